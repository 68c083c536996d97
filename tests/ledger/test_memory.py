"""Memory: it forgets old calls, entries and accounts by their number, and never what balances depend on."""

from __future__ import annotations

from datetime import timedelta

import pytest

from costlens_policy.ledger import (
    AccountQuery,
    EntryQuery,
    Held,
    MemoryStore,
    Period,
    ReservationQuery,
    UnknownCallError,
)
from costlens_policy.ledger.laws.build import LEASE, NOW, account, hold, settlement

TEAM = account()


def test_old_calls_and_entries_go_and_balances_stay() -> None:
    store = MemoryStore(history=10)
    for number in range(100):
        store.reserve(hold(f"{number}", TEAM, 1, None))
        store.settle(settlement(f"{number}", TEAM, 1))
    assert store.balances([TEAM], NOW)[0].used == 100
    entries = store.entries(EntryQuery()).items
    assert [entry.call for entry in entries] == [str(number) for number in range(90, 100)]
    assert store.settle(settlement("95", TEAM, 1)).repeated
    with pytest.raises(UnknownCallError):
        store.settle(settlement("5", TEAM, 1))


def test_a_call_that_is_held_is_not_forgotten() -> None:
    store = MemoryStore(history=10)
    store.reserve(hold("long", TEAM, 1000, None, lease=timedelta(days=1)))
    for number in range(100):
        store.reserve(hold(f"{number}", TEAM, 1, None))
        store.settle(settlement(f"{number}", TEAM, 1))
    assert [call.call for call in store.reservations(ReservationQuery(), NOW).items] == ["long"]
    assert store.settle(settlement("long", TEAM, 7)).lines[0].used == 107


def test_accounts_go_when_there_are_many_and_their_period_is_over() -> None:
    store = MemoryStore(history=10)
    for day in range(50):
        start = NOW + timedelta(days=day)
        period = Period(f"day:{day}", start, start + timedelta(days=1))
        store.charge(settlement(f"{day}", account(period=period), 1, start))
    assert len(store.accounts(AccountQuery(), NOW).items) == 10


def test_accounts_stay_while_their_period_lasts() -> None:
    store = MemoryStore(history=10)
    for number in range(50):
        store.charge(settlement(f"{number}", account(key=f"{number:02}"), 1))
    assert len(store.accounts(AccountQuery(), NOW).items) == 50


def test_refused_calls_leave_nothing_behind() -> None:
    store = MemoryStore()
    for number in range(50):
        assert not isinstance(store.reserve(hold(f"{number}", account(key=f"{number}"), 2, 1, lease=LEASE)), Held)
    assert store.accounts(AccountQuery(), NOW).items == ()
