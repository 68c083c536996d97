"""The fixture that other budget guards use: 100 calls of $0.18 each against a budget of $1.00, so that five fit.

One after the other, all at once, all at once as streams, and all at once while the store of the budget does not answer.
``make fixture``, or ``python -m benchmarks.fixture [--json]``, sends the same requests through LiteLLM's proxy with our
callback, through the same proxy with its own budgets (of deployments, kept in Redis), and to the guard in this process.
What was served is counted by the provider, which runs on this machine, and not by any of the guards. LiteLLM is
installed into ``build/`` first.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from benchmarks.section import Cell, Section, run_section
from costlens_policy import DeniedError, Guard, load
from costlens_policy.ledger import LedgerError
from tests.integration.litellm.proxies import (
    VERSIONS,
    Proxy,
    ask,
    installed,
    running_proxy,
    running_upstream,
    write_policies,
)
from tests.ledger.servers import Server, redis_server

__all__ = ["CALLS", "COST", "LIMIT", "SCENARIOS", "Outcome", "measure", "outcomes"]

CALLS: Final = 100
COST: Final = Decimal("0.18")
LIMIT: Final = Decimal("1.00")
_LITELLM: Final = VERSIONS[-1]
_CHAT: Final = "/v1/chat/completions"
_TOKENS: Final = 5
"""Of each answer. The prompt costs nothing, so that a call costs what its output does, with every guard."""
_PATIENCE: Final = 20.0
"""Seconds after which a client gives up."""
_CATALOGUE: Final = f"""
apiVersion: costlens-policy/v1
kind: Catalogue
metadata: {{name: catalogue, version: "1"}}
models:
  nano:
    provider: openai
    prices: [{{usd_per_million_tokens: {{input: 0, output: {COST / _TOKENS * 10**6:f}}}}}]
"""
_POLICY: Final = """
apiVersion: costlens-policy/v1
kind: Policy
metadata: {name: p, version: "1"}
on_error: deny
budgets:
  - {id: team, scope: 'request.?team.orValue("nobody")', hard_limit_usd: LIMIT, window: {calendar: month}}
"""


class _Scenario(NamedTuple):
    name: str
    at_once: int
    stream: bool = False
    stalled: bool = False


SCENARIOS: Final = (
    _Scenario("sequential", 1),
    _Scenario("concurrent", CALLS),
    _Scenario("streaming", CALLS, stream=True),
    _Scenario("stalled store", CALLS, stalled=True),
)


class Outcome(NamedTuple):
    """What became of the calls of a scenario under one guard. ``served`` is what the provider has served."""

    scenario: str
    guard: str
    served: int
    refused: int
    unanswered: int
    seconds: float

    @property
    def spent(self) -> Decimal:
        return self.served * COST

    @property
    def above(self) -> Decimal:
        """How many dollars were spent above the limit."""
        return max(self.spent - LIMIT, Decimal(0))


_OURS: Final = "costlens-policy in the proxy"
_THEIRS: Final = "LiteLLM's own budget"
_IN_PROCESS: Final = "costlens-policy in the process"


def measure(*, quick: bool = False) -> Section:
    """Run all of it; ``quick`` changes nothing, since it takes about a minute."""
    rows: list[tuple[Cell, ...]] = [
        (
            item.scenario, item.guard, item.served, f"${item.spent:.2f}", f"${item.above:.2f}", item.refused,
            item.unanswered, item.seconds,
        )
        for item in outcomes()
    ]  # fmt: skip
    return Section(
        "fixture",
        f"{CALLS} calls of ${COST} against ${LIMIT}, of which {LIMIT // COST} fit; LiteLLM {_LITELLM}",
        ("calls", "guard", "served", "spent", "above the limit", "refused", "no answer", "seconds"),
        tuple(rows),
        (
            "`served` is what the provider counts, `no answer` what clients gave up on or lost; `seconds` until all had"
            " an answer.",
            "LiteLLM's own budget is that of a deployment, in Redis; those of its keys and teams need its database, and"
            " were not run.",
            "Its store stalls as Redis that is stopped; ours in the process as SQLite that another process has locked.",
        ),
    )


def outcomes() -> Sequence[Outcome]:
    """Return what became of the calls, by scenario."""
    found: list[Outcome] = []
    with TemporaryDirectory() as name, running_upstream() as upstream:
        folder = Path(name)
        policies = write_policies(folder / "policies", limit=f"{LIMIT}", policy=_POLICY)
        (policies / "catalogue.yaml").write_text(_CATALOGUE, encoding="utf-8")
        (policies / "policy-set.yaml").write_text(_without_fallbacks(policies), encoding="utf-8")
        for guard, ours in ((_OURS, True), (_THEIRS, False)):
            with (
                redis_server() as redis,
                _proxy(folder / guard.replace("'", ""), upstream, policies, redis, ours) as it,
            ):
                for scenario in SCENARIOS:
                    found.append(_through(it, upstream, redis, guard, scenario))
        found += [_in_process(policies, folder, scenario) for scenario in SCENARIOS]
    places = {scenario.name: place for place, scenario in enumerate(SCENARIOS)}
    return sorted(found, key=lambda item: places[item.scenario])


def _without_fallbacks(policies: Path) -> str:
    text = (policies / "policy-set.yaml").read_text(encoding="utf-8")
    return text.replace(", fallbacks: [mini]", "").replace("max_output_tokens: 100", f"max_output_tokens: {_TOKENS}")


@contextmanager
def _proxy(folder: Path, upstream: str, policies: Path, redis: Server, ours: bool) -> Iterator[Proxy]:
    """Run a proxy with a group of models for each scenario, so that its own budgets begin anew with each."""
    price = {"input_cost_per_token": 0, "output_cost_per_token": float(COST / _TOKENS)}
    budget = {} if ours else {"max_budget": float(LIMIT), "budget_duration": "1d"}
    models = [
        {
            "model_name": scenario.name,
            "litellm_params": {
                "model": f"openai/{scenario.name.replace(' ', '-')}", "api_base": f"{upstream}/v1", "api_key": "sk-x",
                **price, **budget,
            },
            "model_info": {"costlens_model": "nano"},
        }
        for scenario in SCENARIOS
    ]  # fmt: skip
    router = {"redis_host": "127.0.0.1", "redis_port": redis.port, "redis_password": ""}
    more: dict[str, Any] = {} if ours else {"plain": True, "router_settings": router}
    settings = {"policies": [str(policies)], "ledger": redis.url("fixture")}
    with running_proxy(installed(_LITELLM), folder, upstream, settings, more=more, models=models) as proxy:
        yield proxy


def _through(proxy: Proxy, upstream: str, redis: Server, guard: str, scenario: _Scenario) -> Outcome:
    said = f"{guard}, {scenario.name}" + ("" if scenario.at_once == 1 else ", slow")
    body = {
        "model": scenario.name, "messages": [{"role": "user", "content": said}], "max_tokens": _TOKENS,
        "stream": scenario.stream,
    }  # fmt: skip

    def send(_: int) -> str:
        try:
            answer = ask(proxy.url, _CHAT, body, f"sk-{scenario.name.replace(' ', '-')}/ann", timeout=_PATIENCE)
        except OSError:
            return "unanswered"
        return "served" if answer.status == 200 else "refused"

    if scenario.stalled:
        os.kill(redis.process.pid, signal.SIGSTOP)
    try:
        answers, seconds = _sent(send, scenario.at_once)
    finally:
        if scenario.stalled:
            os.kill(redis.process.pid, signal.SIGCONT)
    log = ask(upstream, "/served", None).body["served"]
    served = sum(entry["status"] == 200 and entry["said"] == said for entry in log)
    return Outcome(scenario.name, guard, served, answers["refused"], answers["unanswered"], seconds)


def _in_process(policies: Path, folder: Path, scenario: _Scenario) -> Outcome:
    """Ask the guard in this process, with SQLite; the provider takes as long as in the proxy, and is a function."""
    path = folder / f"{scenario.name}.db"
    usage = {"prompt_tokens": 20, "completion_tokens": _TOKENS}
    served = Counter[str]()
    with Guard(load(policies, cache=False), ledger=f"sqlite:///{path}?timeout=1", alert_sinks=[]) as guard:

        def send(_: int) -> str:
            try:
                with guard.call({"prompt": "hello", "team": "a", "max_output_tokens": _TOKENS}) as call:
                    served["calls"] += 1
                    time.sleep(0 if scenario.at_once == 1 else 0.5)
                    call.settle(usage)
            except (DeniedError, LedgerError):
                return "refused"
            return "served"

        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            if scenario.stalled:
                other.execute("BEGIN EXCLUSIVE")
            answers, seconds = _sent(send, scenario.at_once)
    return Outcome(scenario.name, _IN_PROCESS, served["calls"], answers["refused"], 0, seconds)


def _sent(send: Callable[[int], str], at_once: int) -> tuple[Counter[str], float]:
    """Send all calls, so many at a time; return how many had which answer, and the seconds that it took."""
    start = time.perf_counter()
    with ThreadPoolExecutor(at_once) as threads:
        answers = Counter(threads.map(send, range(CALLS)))
    return answers, time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(run_section("fixture", measure, sys.argv[1:]))
