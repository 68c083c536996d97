"""By how much spending can have exceeded a limit: derived from entries, and never below what it did."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from costlens_policy.ledger import Adjustment, EntryQuery, Held, MemoryStore, decimal_of
from costlens_policy.ledger.laws.build import NOW, account, hold, settlement
from costlens_policy.ledger.measured import worst_facts
from costlens_policy.ledger.overspend import beyond_holds, overspends

TEAM = account()
LATER = NOW + timedelta(minutes=5)


def test_what_the_bound_consists_of():
    store = MemoryStore()
    for call, charge, at in (("kept", 5, NOW), ("above", 17, NOW), ("far above", 30, NOW), ("late", 8, LATER)):
        store.reserve(hold(call, TEAM, 10, 1000))
        store.settle(settlement(call, TEAM, charge, at))
    store.charge(settlement("without a hold", TEAM, 3))
    for id, kind, amount in (("a", "correct", 4), ("b", "correct", -2), ("c", "topup", 500)):
        store.adjust(Adjustment(id, kind, TEAM, amount, "Ann", "why", LATER))
    store.charge(settlement("elsewhere", account(key="other"), 1))
    other, team = overspends(store, EntryQuery(), LATER)
    assert (other.account.key, other.bound) == ("other", 1)
    assert (team.charges, team.above, team.overdraft, team.largest) == (5, 3, 7 + 20 + 3, 20)
    assert (team.late, team.late_amount, team.adjusted, team.bound) == (1, 8, 4, 30 + 8 + 4)
    assert [item.account for item in overspends(store, EntryQuery(key="other"), LATER)] == [other.account]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 90), st.integers(0, 90)), max_size=30))
def test_what_is_used_never_exceeds_the_limit_by_more(calls):
    """Calls of a random hold, charged at random after a random time, some of them late."""
    store, limit, open_calls, now = MemoryStore(), 100, [], NOW
    for number, (amount, charge, seconds) in enumerate(calls):
        now += timedelta(seconds=seconds)
        if isinstance(store.reserve(hold(f"{number}", TEAM, amount, limit, now)), Held):
            open_calls.append((f"{number}", charge))
        if seconds % 2 and open_calls:
            call, charge = open_calls.pop(0)
            store.settle(settlement(call, TEAM, charge, now))
    for call, charge in open_calls:
        store.settle(settlement(call, TEAM, charge, now))
    found = overspends(store, EntryQuery(), LATER)
    assert store.balances([TEAM], now)[0].used - limit <= sum(item.bound for item in found)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 60), st.booleans()), max_size=30))
def test_calls_under_way_add_no_more_than_their_worst_cases_exceed_their_holds_by(calls):
    """Calls of random holds below their worst cases, some settled meanwhile; then all others come to their worst."""
    store, limit, open_calls = MemoryStore(), 100, []
    for number, (amount, beyond, settles) in enumerate(calls):
        worst = decimal_of(amount + beyond, "usd")
        facts = worst_facts("coding", [("nano", 100, {"usd": worst})], [(TEAM.budget, TEAM.key, worst)])
        if isinstance(store.reserve(hold(f"{number}", TEAM, amount, limit, NOW, **facts)), Held):
            open_calls.append((f"{number}", amount + beyond))
        if settles and open_calls:
            call, worst = open_calls.pop(0)
            store.settle(settlement(call, TEAM, worst if number % 2 else worst // 2, NOW))
    before = sum(item.bound for item in overspends(store, EntryQuery(), NOW))
    assert beyond_holds(store, None, None, NOW).get(TEAM, 0) == sum(
        item.open for item in overspends(store, EntryQuery(), NOW)
    )
    for call, worst in open_calls:
        store.settle(settlement(call, TEAM, worst, NOW))
    assert store.balances([TEAM], NOW)[0].used - limit <= before
