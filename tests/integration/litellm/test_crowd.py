"""Two proxies on one ledger, and many calls at once: not a cent over the limit, and nothing stays held."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.litellm.conftest import Gateway
from tests.integration.litellm.proxies import ask, running_proxy, write_policies
from tests.integration.litellm.test_calls import CHAT, MESSAGES, NANO, RESPONSES
from tests.ledger.servers import redis_server

SAID = [{"role": "user", "content": "hello, slow"}]
LIMIT = Decimal(6000)
"""Of a team, in millionths of a dollar: of 200 calls that cost 30 each, all can be paid, but not held at once."""


@pytest.fixture(scope="module")
def pair(upstream: str, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Gateway]]:
    folder = tmp_path_factory.mktemp("pair")
    policies = write_policies(folder / "policies", limit=str(LIMIT / 1_000_000))
    with redis_server() as redis:
        ledger = redis.url("spend")
        settings = {"policies": [str(policies)], "ledger": ledger}
        with (
            running_proxy(python, folder / "one", upstream, settings) as one,
            running_proxy(python, folder / "two", upstream, settings) as two,
        ):
            yield tuple(Gateway(proxy, upstream, ledger, policies) for proxy in (one, two))  # type: ignore[misc]


def crowd(pair: tuple[Gateway, Gateway], who: str, path: str, body: dict[str, Any]) -> Counter[int]:
    """Send 200 calls at once, in turn to each proxy, and return how often each status came."""

    def send(number: int) -> int:
        return ask(pair[number % 2].proxy.url, path, body, f"sk-{who}").status

    with ThreadPoolExecutor(200) as threads:
        return Counter(threads.map(send, range(200)))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streams"])
def test_two_hundred_at_once_are_counted_to_the_last_digit(pair: tuple[Gateway, Gateway], stream: bool) -> None:
    who = "crowd-streams" if stream else "crowd"
    body = {"model": "fast", "messages": SAID, "stream": stream}
    statuses = crowd(pair, who, CHAT, body)
    assert set(statuses) <= {200, 402}
    assert statuses[402] > 0  # the worst cases of all do not fit
    time.sleep(1)
    used = pair[0].settled(who)
    assert used == statuses[200] * NANO
    assert used <= LIMIT


def test_other_apis_are_counted_as_well(pair: tuple[Gateway, Gateway]) -> None:
    statuses = crowd(pair, "messages", MESSAGES, {"model": "fast", "max_tokens": 100, "messages": SAID, "stream": True})
    assert pair[0].settled("messages") == statuses[200] * NANO
    statuses = crowd(pair, "responses", RESPONSES, {"model": "fast", "input": "hello, slow"})
    assert pair[0].settled("responses") == statuses[200] * NANO


def test_the_limit_holds_when_it_is_exhausted(pair: tuple[Gateway, Gateway]) -> None:
    body = {"model": "fast", "messages": [{"role": "user", "content": "hello"}], "stream": True}
    answered = 0
    for _ in range(3):
        answered += crowd(pair, "poor", CHAT, body)[200]
    used = pair[0].settled("poor")
    assert used == answered * NANO
    assert used <= LIMIT
