"""What a scope key can be: one rule on every way in, so that every ledger keeps the same keys."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from costlens_policy import AsyncGuard, Guard, RequestError
from costlens_policy.guard import GuardError
from tests.guard.company import REQUEST, write_company

POLICY = """
budgets:
  - {id: team, scope: request.?team.orValue("nobody"), hard_limit_usd: 1, window: {lifetime: true}}
  - id: pair
    scope: request.?team.orValue("") + request.?user.orValue("")
    hard_limit_usd: 1
    window: {lifetime: true}
"""
HOPELESS = ["k" * 513, "ö" * 257, "k" * 100_000, "a\x00b", "\x00", "\ud800", "a\udfffb"]
FINE = ["", " ", "k" * 512, "ö" * 256, "a\x1fb", "line\nend", "\x1b[0m", "\U0010ffff"]
TEXTS = st.text(st.characters(), max_size=40) | st.sampled_from(HOPELESS + FINE)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return write_company(tmp_path_factory.mktemp("keys"), POLICY)


@pytest.mark.parametrize("key", HOPELESS)
def test_what_no_ledger_could_keep_is_refused_everywhere(engine: Any, ledger: Any, key: str) -> None:
    request = {**REQUEST, "team": key}
    with Guard(engine, ledger, alert_sinks=[]) as guard:
        with pytest.raises(RequestError, match=r"the scope key of budget `p/team` must"):
            guard.call(request)
        with pytest.raises(RequestError, match=r"the scope key of budget `p/team` must"):
            guard.call(request, id="named")
        with pytest.raises(RequestError, match="`key` must"):
            guard.spend("p/team", key)
        with pytest.raises(GuardError, match="the id of a call must"):
            guard.call(REQUEST, id=key)
        assert not any(spend.held or spend.used for spend in guard.spend())
    with pytest.raises(RequestError, match="the scope key of budget `p/team` must"):
        engine.decide(request)


def test_the_async_guard_keeps_to_it(engine: Any) -> None:
    async def main() -> None:
        async with AsyncGuard(engine, alert_sinks=[]) as guard:
            with pytest.raises(RequestError):
                async with guard.call({**REQUEST, "team": "a\x00b"}):
                    pass
            with pytest.raises(RequestError):
                await guard.spend("p/team", "\ud800")

    asyncio.run(main())


def test_the_key_counts_and_not_what_it_is_made_of(engine: Any) -> None:
    with Guard(engine, alert_sinks=[]) as guard, pytest.raises(RequestError, match="`p/pair` must have at most 512"):
        guard.call({**REQUEST, "team": "t" * 300, "user": "u" * 300})


@pytest.fixture
def guards(engine: Any, tmp_path: Path) -> Iterator[list[Guard]]:
    ledgers = ("memory:", f"sqlite:///{tmp_path / 'spend.db'}")
    with ExitStack() as stack:
        yield [stack.enter_context(Guard(engine, ledger, alert_sinks=[])) for ledger in ledgers]


@given(key=TEXTS)
@example(key="a\x1f")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_other_key_is_kept(guards: list[Guard], key: str) -> None:
    for guard in guards:
        try:
            call = guard.call({**REQUEST, "team": key})
        except RequestError:
            assert len(key) > 250 or not key.isascii() or "\x00" in key
            continue
        with call:
            (spend,) = guard.spend("p/team", key)
            assert (spend.key, spend.held) == (key, Decimal("0.0012"))
            call.release()
