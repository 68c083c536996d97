"""How a proxy with the callback starts and ends: wrong settings, several workers, signals."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.integration.litellm.conftest import Started
from tests.integration.litellm.proxies import running_proxy, write_policies
from tests.integration.litellm.test_calls import CHAT, HELLO, NANO

# With its default server, LiteLLM's workers must be up within five seconds, or are stopped: gunicorn waits for them.
WORKERS = ("--num_workers", "2", "--run_gunicorn")
BODY: dict[str, Any] = {"model": "fast", "messages": HELLO}


@pytest.mark.parametrize(
    ("settings", "policy", "message"),
    [
        ({"ledgre": "x"}, None, "costlens_policy.ledgre"),
        ({"attributes": {"taem": "key.team_id"}}, None, "did you mean `team`"),
        ({"ledger": "redis://127.0.0.1:9/0"}, None, "127.0.0.1:9"),
        ({}, "nonsense", "policy.yaml"),
    ],
)
def test_a_proxy_does_not_start_with_what_is_wrong(
    upstream: str, python: Path, tmp_path: Path, settings: dict[str, Any], policy: str | None, message: str
) -> None:
    options = {} if policy is None else {"policy": policy}
    policies = write_policies(tmp_path / "policies", **options)
    given = {"policies": [str(policies)], "ledger": f"sqlite:///{tmp_path}/spend.db", **settings}
    with pytest.raises(RuntimeError, match=message), running_proxy(python, tmp_path / "proxy", upstream, given):
        pass


def test_several_workers_do_not_start_with_a_ledger_in_memory(upstream: str, python: Path, tmp_path: Path) -> None:
    given = {"policies": [str(write_policies(tmp_path / "policies"))], "ledger": "memory:"}
    with pytest.raises(RuntimeError, match="several workers"):  # noqa: SIM117
        with running_proxy(python, tmp_path / "proxy", upstream, given, arguments=WORKERS):
            pass


def test_several_workers_share_a_ledger(start: Started) -> None:
    gateway = start(arguments=WORKERS)
    answers = [gateway.ask(CHAT, {**BODY, "stream": number % 2 == 0}, key="sk-shared") for number in range(20)]
    assert {answer.status for answer in answers} == {200}
    assert gateway.settled("shared") == 20 * NANO


def test_the_settings_may_stand_after_the_callback(start: Started) -> None:
    gateway = start(section_last=True)
    assert gateway.ask(CHAT, BODY, key="sk-last").status == 200
    assert gateway.settled("last") == NANO


def test_policies_are_replaced_while_the_proxy_serves(start: Started, tmp_path: Path) -> None:
    log = tmp_path / "decisions.jsonl"
    gateway = start({"reload_seconds": 0.2, "decision_log": str(log)})
    assert gateway.ask(CHAT, BODY, key="sk-live").status == 200
    policy = gateway.policies / "policy.yaml"
    good = policy.read_text(encoding="utf-8")
    policy.write_text(good + "\nnonsense", encoding="utf-8")
    time.sleep(1)
    assert gateway.ask(CHAT, BODY, key="sk-live").status == 200  # the last good version
    assert "goes on serving" in gateway.proxy.log.read_text(encoding="utf-8")
    policy.write_text(good.replace("hard_limit_usd: 1", "hard_limit_usd: 0.000001"), encoding="utf-8")
    end = time.monotonic() + 30
    while (answer := gateway.ask(CHAT, BODY, key="sk-live")).status == 200 and time.monotonic() < end:
        time.sleep(0.2)
    assert answer.status == 402
    assert gateway.settled("live") >= 2 * NANO
    while "decision" not in (kinds := _kinds(log)) and time.monotonic() < end + 10:
        time.sleep(0.1)  # no answer waits for the log
    assert kinds[:2] == ["hold", "charge"]
    assert "decision" in kinds  # the denial


def _kinds(log: Path) -> list[str]:
    """Return the kinds of the entries of a decision log."""
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line)["kind"] for line in lines if line.endswith("\n")]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_proxy_that_is_told_to_end_leaves_nothing_held(start: Started, stream: bool) -> None:
    gateway = start()
    assert gateway.ask(CHAT, BODY, key="sk-end").status == 200
    body = {"model": "fast", "messages": [{"role": "user", "content": "stall"}], "stream": stream}
    asking = threading.Thread(target=_ask_and_lose, args=(gateway, body), daemon=True)
    asking.start()
    end = time.monotonic() + 20
    while not gateway.spend("end")[1] and time.monotonic() < end:
        time.sleep(0.05)
    assert gateway.spend("end")[1] > 0
    gateway.proxy.process.send_signal(signal.SIGTERM)
    try:
        gateway.proxy.process.wait(60)
    except subprocess.TimeoutExpired:
        pytest.fail("the proxy did not end")
    used, held = gateway.spend("end")
    assert held == 0
    assert used > NANO  # the answer, if LiteLLM waited for it; what came of a stream; or the worst case


def _ask_and_lose(gateway: Any, body: Any) -> None:
    with suppress(OSError):
        gateway.ask(CHAT, body, key="sk-end")
