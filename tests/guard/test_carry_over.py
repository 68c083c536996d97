"""Budgets whose unused money is carried over into the next periods."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from costlens_policy import DeniedError, Guard
from costlens_policy.carry_over import CarryOver
from costlens_policy.ledger import Account, Adjustment, MemoryStore, open_ledger
from costlens_policy.ledger.amounts import amount_of
from costlens_policy.ledger.laws.carrying import broken_rules
from costlens_policy.periods import schedule_of
from tests.guard.company import REQUEST, Breakable, Clock, Timer

WINDOW = {"calendar": "day", "zone": "UTC", "week_start": "monday", "month_start_day": 1, "year_start_month": 1}
TEAM = """
budgets:
  - id: team
    scope: request.?team.orValue("nobody")
    hard_limit_usd: 0.01
    window: {calendar: day}
    carry_over: {%s}
"""
USAGE = {"prompt_tokens": 1000, "completion_tokens": 0}
"""On `nano` $0.001."""


def spend(guard, times=1, request=REQUEST):
    for _ in range(times):
        guard.call(request).settle(USAGE)


def state(guard, clock=None):
    (line,) = guard.spend("team", "red")
    return line.used, line.limit, line.carried


def usd(*amounts):
    return tuple(map(Decimal, amounts))


def test_unused_money_of_the_last_day_alone(guard_of, clock):
    guard = guard_of(TEAM % "share: 1")
    spend(guard, 4)
    assert state(guard) == usd("0.004", "0.01", "0")
    clock.move(days=1)
    assert state(guard) == usd("0", "0.016", "0.006")
    spend(guard, 14)
    with pytest.raises(DeniedError, match=r"of \$0.016, \$0.006 of it carried over") as refused:
        spend(guard, 3)
    assert (refused.value.limit, refused.value.resets_at) == (Decimal("0.016"), datetime(2026, 5, 12, tzinfo=UTC))
    clock.move(days=1)
    assert state(guard) == usd("0", "0.01", "0")
    clock.move(days=1)
    assert state(guard)[1] == Decimal("0.01"), "nothing was used the day before: nobody knows that there was a budget"


def test_a_share_up_to_a_cap_for_several_days(guard_of, clock):
    guard = guard_of(TEAM % "share: 0.5, max_usd: 0.0045, periods: 3")
    carried = []
    for times in (8, 6, 10, 1):
        spend(guard, times)
        clock.move(days=1)
        carried.append(state(guard)[2])
    assert carried == [Decimal(amount) for amount in ("0.001", "0.003", "0.003", "0.0045")]


def test_days_since_which_a_budget_is_there_count_without_a_call(guard_of, clock):
    guard = guard_of(TEAM % "periods: 2, since: 2026-05-09T00:00:00Z")
    assert state(guard)[2] == Decimal("0.01"), "the 9th, not the 8th"
    clock.move(days=1)
    assert state(guard)[2] == Decimal("0.02")


def test_a_new_process_knows_what_was_left_and_late_charges_lower_it(guard_of, clock):
    policy = TEAM % "share: 1"
    first = guard_of(policy, max_age=0)
    spend(first, 4)
    late = first.call(REQUEST, lease=timedelta(hours=30))
    clock.move(days=1)
    fresh = guard_of(policy, max_age=0)
    held = late.decision.estimate.worst_cost
    assert state(fresh)[2] == Decimal("0.006") - held, "what is held may still be charged"
    late.settle({"prompt_tokens": 9000, "completion_tokens": 0})
    assert state(fresh) == usd("0", "0.01", "0") == state(first), "more than was left: nothing is carried, and not less"


def test_without_the_ledger_nothing_is_carried_over_that_nobody_has_read(company, clock):
    store, timer = Breakable(MemoryStore()), Timer()
    engine = company(
        TEAM % "since: 2026-05-01T00:00:00Z", models="nano", more="ledger: {unreachable: allow, allowance_usd: 1}"
    )
    with Guard(engine, store, clock=clock, timer=timer, alert_sinks=[]) as guard:
        store.broken = True
        with pytest.raises(DeniedError, match=r"of \$0.01; candidates"):
            guard.call({**REQUEST, "prompt_tokens": 12_000})
        store.broken, timer.seconds = False, timer.seconds + 60
        assert guard.call({**REQUEST, "prompt_tokens": 12_000}).decision.allowed


def test_every_call_is_held_within_the_limit_with_what_is_carried(guard_of, clock):
    guard, other = guard_of(TEAM % "share: 1"), guard_of(TEAM % "share: 1")
    spend(guard, 3)
    clock.move(days=1)
    for number in range(16):  # 0.017, and each call is held at 0.0012
        spend((guard, other)[number % 2])
    for made in (guard, other):
        with pytest.raises(DeniedError):
            spend(made)


def test_a_limit_that_people_replace_is_without_what_is_carried(guard_of, clock):
    store = MemoryStore()
    guard = guard_of(TEAM % "share: 1", ledger=store)
    spend(guard, 4)
    clock.move(days=1)
    account = Account("p/team", "red", "usd", schedule_of(WINDOW).at(clock()))
    amount, until = amount_of(Decimal("0.002"), "usd"), clock() + timedelta(hours=1)
    store.adjust(Adjustment("up", "topup", account, amount, "ann", "more", clock()))
    assert state(guard) == usd("0", "0.018", "0.006")
    store.adjust(Adjustment("low", "override", account, amount, "ann", "a test", clock(), until))
    assert state(guard) == usd("0", "0.004", "0")
    spend(guard, 3)
    with pytest.raises(DeniedError):
        spend(guard)


def override(store, clock, id, until):
    account = Account("p/team", "red", "usd", schedule_of(WINDOW).at(clock()))
    amount = amount_of(Decimal("0.002"), "usd")
    store.adjust(Adjustment(id, "override", account, amount, "ann", "runaway job", clock(), until))
    return account


@pytest.mark.parametrize("url", ["memory:", "sqlite"])
def test_what_people_took_away_is_not_carried_over(guard_of, clock, tmp_path, url):
    with contextlib.closing(open_ledger(f"sqlite:///{tmp_path}/o.db" if url == "sqlite" else url)) as store:
        guard = guard_of(TEAM % "periods: 3", ledger=store)
        spend(guard)
        clock.move(days=1)
        spend(guard)
        override(store, clock, "stop", datetime(2026, 5, 12, tzinfo=UTC))
        clock.move(days=1)
        assert state(guard)[2] == 0, "the override replaced what was left the day before, too"
        spend(guard, 4)
        account = override(store, clock, "short", clock() + timedelta(hours=1))
        store.adjust(Adjustment("over", "revoke", account, 0, "ann", "mended", clock() + timedelta(minutes=1)))
        clock.move(days=1)
        assert state(guard)[2] == Decimal("0.006"), "nobody's override was in force when that day ended"


def test_conditions_read_what_is_carried_and_records_repeat_it(guard_of, clock):
    rule = """
routes:
  - {id: rich, when: 'budgets["team"].carried > 0.0', model: thinker}
"""
    guard = guard_of(TEAM % "share: 1" + rule)
    spend(guard)
    clock.move(days=1)
    call = guard.call(REQUEST, id="mine", lease=timedelta(hours=2))
    assert call.model == "thinker"
    decision = call.decision.to_dict()
    assert decision["balances_read"][0]["earlier"] == ["0.001"]
    assert decision["balances"][0]["carried"] == "0.009"
    clock.move(hours=1)
    again = guard.call(REQUEST, id="mine")
    assert again.decision.to_dict() == decision


def test_what_an_overflow_counts_is_left_unused_here(guard_of, clock):
    policy = (TEAM % "share: 1").replace("carry_over", "overflow: pool\n    carry_over")
    guard = guard_of(policy + "  - {id: pool, hard_limit_usd: 1, window: {calendar: day}}\n")
    spend(guard, 15)
    assert state(guard)[0] == Decimal("0.009")
    clock.move(days=1)
    assert state(guard)[2] == Decimal("0.001")


def test_clocks_that_differ_spend_once_what_was_left(guard_of, clock):
    """One process is a day ahead, as at midnight those are whose clocks differ by seconds."""
    ahead = Clock()
    behind, first = guard_of(TEAM % "share: 1"), guard_of(TEAM % "share: 1", clock=ahead)
    spend(behind, 4)
    ahead.move(days=1)
    for guard in (first, behind, first):
        with contextlib.suppress(DeniedError):
            spend(guard, 20)
    used = [state(guard)[0] for guard in (behind, first)]
    assert used[0] + used[1] <= Decimal("0.02"), used
    assert used[1] > Decimal("0.014"), "and what was left is spent"
    with pytest.raises(DeniedError, match=r"has no room for \$0.0012: \$0.004 used and \$0.00 held of \$0.004"):
        spend(behind)


def test_a_call_shows_what_the_ledger_carries_over_in_one_round_trip(guard_of, clock):
    store, policy = Breakable(MemoryStore()), TEAM % "share: 1"
    guard, other = guard_of(policy, ledger=store), guard_of(policy, ledger=store)
    late = [guard.call(REQUEST, lease=timedelta(days=2)) for _ in range(3)]
    held = late[0].decision.estimate.worst_cost
    clock.move(days=1)
    spend(other)
    for number, call in enumerate(late, 1):
        call.settle(USAGE)
        del store.asked[:]
        fresh = other.call(REQUEST)
        assert store.asked == ["reserve"]
        assert fresh.decision.holds[0].carried == Decimal("0.01") - number * Decimal("0.001") - (3 - number) * held
        fresh.release()
    assert state(other)[2] == Decimal("0.007")


def test_a_limit_that_is_worked_out_from_the_request(guard_of, clock):
    guard = guard_of(
        (TEAM % "share: 0.333333").replace("0.01", "'request.?user == optional.of(\"vip\") ? 1.0 / 90.0 : 0.01'")
    )
    vip = {**REQUEST, "user": "vip"}
    spend(guard, 1, vip)
    clock.move(days=1)
    for request, limit in ((vip, Decimal(1.0 / 90.0)), (REQUEST, Decimal("0.01"))):
        call = guard.call(request)
        (seen,) = call.decision.holds
        assert abs(seen.carried - (limit - Decimal("0.001")) * Decimal("0.333333")) < Decimal("1e-15")
        call.release()
        spend(guard)


def test_a_crowd_of_guards_whose_clocks_differ_by_days(guard_of, clock):
    """Each has its day, and spends until it is refused; then the days are held to the rule.

    Holds last for days: a clock that is ahead by more than a lease frees what others hold.
    """
    guards = []
    for day in (0, 1, 2, 0, 1, 2):
        own = Clock()
        own.move(days=day)
        guards.append(guard_of(TEAM % "share: 1, periods: 2, since: 2026-05-10T00:00:00Z", clock=own))

    def spend_all(guard):
        for _ in range(15):
            with contextlib.suppress(DeniedError):
                guard.call(REQUEST, lease=timedelta(days=9)).settle(USAGE)

    with ThreadPoolExecutor(len(guards)) as pool:
        list(pool.map(spend_all, guards))
    taken = {day: amount_of(state(guards[day])[0], "usd") for day in range(3)}
    rule = CarryOver(Decimal(1), None, 2, None)
    assert broken_rules(rule, amount_of(Decimal("0.01"), "usd"), taken) == {}, taken
    assert sum(taken.values()) > amount_of(Decimal("0.025"), "usd"), "and nearly all of it is spent"
