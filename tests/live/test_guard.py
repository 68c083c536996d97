"""A guard whose policies are replaced: calls go on as they were held, balances go on as the budgets allow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from costlens_policy import AsyncGuard, DeniedError, Guard, LivePolicies
from costlens_policy.ledger import LedgerUnavailableError, MemoryStore, Store
from tests.guard.company import REQUEST, TEAM, Breakable, Clock, Timer

Write = Callable[..., Path]

USAGE = {"prompt_tokens": 1000, "completion_tokens": 100}


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> str | Store:
    return MemoryStore() if request.param == "memory" else f"sqlite:///{tmp_path / 'spend.db'}"


def test_a_call_is_charged_as_it_was_held(write: Write, ledger: str | Store, clock: Clock, folder: Path) -> None:
    live = LivePolicies(write(TEAM), interval=None)
    with Guard(live, ledger, clock=clock) as guard:
        call = guard.call(REQUEST)
        catalogue = (folder / "catalogue.yaml").read_text()
        (folder / "catalogue.yaml").write_text(catalogue.replace("input: 1, output: 2", "input: 100, output: 200"))
        assert live.refresh().loads == 2
        charged = call.settle(USAGE)
        assert charged.cost == Decimal("0.0012")
        (spend,) = guard.spend("p/team", "red")
        assert (spend.used, spend.held) == (Decimal("0.0012"), 0)
        with pytest.raises(DeniedError):  # a call at the new prices, beyond what is left
            guard.call(REQUEST)


def test_a_call_by_its_id_is_charged_as_it_was_held(write: Write, tmp_path: Path, clock: Clock, folder: Path) -> None:
    live = LivePolicies(write(TEAM), interval=None)
    ledger = f"sqlite:///{tmp_path / 'spend.db'}"
    with Guard(live, ledger, clock=clock) as guard:
        guard.call(REQUEST, id="job-1")
    catalogue = (folder / "catalogue.yaml").read_text()
    (folder / "catalogue.yaml").write_text(catalogue.replace("input: 1, output: 2", "input: 100, output: 200"))
    live.refresh()
    with Guard(live, ledger, clock=clock) as guard:
        assert guard.settle("job-1", USAGE).cost == Decimal("0.0012")


def test_a_release_after_a_reload_gives_back(write: Write, ledger: str | Store, clock: Clock) -> None:
    live = LivePolicies(write(TEAM), interval=None)
    with Guard(live, ledger, clock=clock) as guard:
        with guard.call(REQUEST):
            write("routes: []")
            live.refresh()
        write(TEAM)
        live.refresh()
        (spend,) = guard.spend("p/team", "red")
        assert (spend.used, spend.held) == (0, 0)


def test_a_changed_limit_counts_what_was_spent(write: Write, ledger: str | Store, clock: Clock) -> None:
    live = LivePolicies(write(TEAM), interval=None)
    with Guard(live, ledger, clock=clock) as guard:
        for _ in range(3):
            guard.call(REQUEST).settle(USAGE)
        write(TEAM.replace("0.01", "0.004"))
        live.refresh()
        with pytest.raises(DeniedError):
            guard.call(REQUEST)
        (spend,) = guard.spend("p/team", "red")
        assert (spend.used, spend.limit) == (Decimal("0.0036"), Decimal("0.004"))
        write(TEAM.replace("0.01", "0.005"))
        live.refresh()
        guard.call(REQUEST).settle(USAGE)


def test_a_changed_window_begins_anew_and_the_old_one_comes_back(
    write: Write, ledger: str | Store, clock: Clock
) -> None:
    live = LivePolicies(write(TEAM), interval=None)
    with Guard(live, ledger, clock=clock) as guard:
        guard.call(REQUEST).settle(USAGE)
        write(TEAM.replace("calendar: day", "calendar: month"))
        live.refresh()
        guard.call(REQUEST).settle(USAGE)
        (spend,) = guard.spend("p/team", "red")
        assert spend.used == Decimal("0.0012")
        write(TEAM)
        live.refresh()
        (spend,) = guard.spend("p/team", "red")
        assert spend.used == Decimal("0.0012")


def test_open_calls_of_the_version_before_count_for_the_next(write: Write, ledger: str | Store, clock: Clock) -> None:
    live = LivePolicies(write(TEAM), interval=None)
    with Guard(live, ledger, clock=clock) as guard:
        calls = [guard.call(REQUEST) for _ in range(8)]  # $0.0096 of $0.01
        write(TEAM, models="nano, mini")
        live.refresh()
        with pytest.raises(DeniedError):
            guard.call(REQUEST)
        for call in calls:
            call.release()
        assert guard.call(REQUEST).model == "nano"


def test_what_is_known_of_balances_outlives_a_reload_while_the_ledger_is_away(write: Write, clock: Clock) -> None:
    """Otherwise a reload during an outage would open every budget, and the allowance, anew."""
    more = "ledger: {unreachable: allow, allowance_usd: 0.002}"
    live = LivePolicies(write(TEAM, more=more), interval=None)
    store = Breakable(MemoryStore())
    with Guard(live, store, clock=clock, timer=Timer()) as guard:
        for _ in range(7):
            guard.call(REQUEST).settle(USAGE)  # $0.0084 of $0.01
        store.broken = True
        guard.call(REQUEST)  # $0.0012 of the allowance
        write(TEAM, models="nano, mini", more=more)
        live.refresh()
        with pytest.raises(DeniedError):  # both the budget and the allowance are as they were
            guard.call(REQUEST)
        with pytest.raises(LedgerUnavailableError):
            guard.spend()
        store.broken = False


def test_the_async_guard_takes_over_a_version_too(write: Write, ledger: str | Store, clock: Clock) -> None:
    live = LivePolicies(write(TEAM), interval=None)

    async def run() -> list[str]:
        models = []
        async with AsyncGuard(live, ledger, clock=clock) as guard:
            async with guard.call(REQUEST) as first:
                write(TEAM, models="mini")
                live.refresh()
                async with guard.call(REQUEST) as second:
                    models = [first.model, second.model]
                    await second.settle(USAGE)
                charged = await first.settle(USAGE)
            assert charged.cost == Decimal("0.0012")
        return models

    assert asyncio.run(run()) == ["nano", "mini"]


ONE = "budgets: [{id: a, scope: request.team, hard_limit_usd: 100, window: {calendar: month}}]"
OTHERS = (
    "budgets: [{id: b, scope: request.team, hard_limit_usd: 100, window: {calendar: month}},"
    " {id: a, scope: request.team, hard_limit_usd: 50, window: {calendar: day}}]"
)


def test_a_storm_of_reloads_leaves_nothing_held_and_loses_no_charge(
    write: Write, ledger: str | Store, clock: Clock
) -> None:
    """Budgets are renamed, change their windows, go and come back while two hundred calls are open."""
    live = LivePolicies(write(ONE), interval=None)
    with Guard(live, ledger, clock=clock) as guard:
        calls: list[Any] = []
        for number in range(200):
            calls.append(guard.call(REQUEST))
            if number % 20 == 0:
                write((ONE, OTHERS, "routes: []")[number // 20 % 3])
                assert live.refresh().is_current
        charged: dict[str, int] = {}
        for number, call in enumerate(calls):
            for hold in call.decision.balances:
                charged[hold.budget] = charged.get(hold.budget, 0) + (number % 2 == 0)
            call.settle(USAGE) if number % 2 == 0 else call.release()
        assert len(charged) == 2
        used = dict.fromkeys(charged, Decimal(0))
        for policy in (ONE, OTHERS):
            write(policy)
            assert live.refresh().is_current
            for spend in guard.spend(key="red"):
                assert not spend.held
                used[spend.budget] += spend.used
        assert used == {budget: count * Decimal("0.0012") for budget, count in charged.items()}


def test_a_problem_begins_with_the_error(write: Write, folder: Path) -> None:
    live = LivePolicies(write(TEAM), interval=None)  # with warnings in a file before it
    (folder / "p.yaml").write_text((folder / "p.yaml").read_text() + "nonsense: 1\n")
    assert live.refresh().problem.startswith(f"{folder}/p.yaml:")
    assert "nonsense" in live.status.problem.splitlines()[0]
