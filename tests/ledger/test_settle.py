"""Settling: exactly once, also late, also more than was held."""

from __future__ import annotations

from datetime import timedelta

import pytest

from costlens_policy.ledger import (
    AmountError,
    Charge,
    EntryQuery,
    Held,
    Period,
    Refused,
    Released,
    Store,
    UnknownCallError,
)
from tests.ledger.build import NOW, account, hold, hold_lines, settlement, settlement_lines

TEAM = account()
OTHER = account("company/total", "")
LATER = NOW + timedelta(minutes=5)


def test_the_charge_replaces_the_hold(store: Store) -> None:
    store.reserve(hold_lines("a", (TEAM, 60, 100), (OTHER, 60, 100)))
    settled = store.settle(settlement_lines("a", (TEAM, 20), (OTHER, 25)))
    assert [line.account for line in settled.lines] == [TEAM, OTHER]
    assert [(line.amount, line.was_held, line.used, line.held) for line in settled.lines] == [
        (20, 60, 20, 0),
        (25, 60, 25, 0),
    ]
    assert (settled.late, settled.repeated, settled.settled_at) == (False, False, NOW)
    assert isinstance(store.reserve(hold("b", TEAM, 80, 100)), Held)


def test_settling_twice_counts_once(store: Store) -> None:
    store.reserve(hold("a", TEAM, 60, 100))
    first = store.settle(settlement("a", TEAM, 20))
    again = store.settle(settlement("a", TEAM, 59, LATER))
    assert again == first._replace(repeated=True)
    assert store.charge(settlement("a", TEAM, 33)) == again
    assert store.balances([TEAM], NOW)[0].used == 20
    assert len(store.entries(EntryQuery()).items) == 1


def test_more_than_was_held_is_an_overdraft_and_the_next_call_sees_it(store: Store) -> None:
    store.reserve(hold("a", TEAM, 60, 100))
    settled = store.settle(settlement("a", TEAM, 130))
    assert settled.lines[0].overdraft == 70
    (entry,) = store.entries(EntryQuery()).items
    assert (entry.amount, entry.was_held, entry.overdraft) == (130, 60, 70)
    refused = store.reserve(hold("b", TEAM, 1, 100))
    assert isinstance(refused, Refused)
    assert refused.lines[0].used == 130


def test_a_late_charge_counts(store: Store) -> None:
    store.reserve(hold("a", TEAM, 60, 100))
    store.reserve(hold("b", TEAM, 90, 100, LATER))
    settled = store.settle(settlement("a", TEAM, 50, LATER))
    assert settled.late
    assert (settled.lines[0].was_held, settled.lines[0].used, settled.lines[0].held) == (60, 50, 90)
    (entry,) = store.entries(EntryQuery()).items
    assert entry.late


def test_a_charge_after_the_release_counts(store: Store) -> None:
    store.reserve(hold("a", TEAM, 60, 100))
    assert store.release("a", NOW) == Released("a", "released")
    assert store.balances([TEAM], NOW)[0].held == 0
    assert store.settle(settlement("a", TEAM, 5)).late
    assert store.release("a", NOW) == Released("a", "settled")
    (balance,) = store.balances([TEAM], NOW)
    assert (balance.used, balance.held) == (5, 0)


def test_releasing_twice_or_nothing_changes_nothing(store: Store) -> None:
    store.reserve(hold("a", TEAM, 60, 100))
    store.reserve(hold("b", TEAM, 10, 100))
    assert [store.release(call, NOW).state for call in ("a", "a", "c")] == ["released", "released", "unknown"]
    assert store.balances([TEAM], NOW)[0].held == 10


def test_an_unknown_call_is_an_error_unless_it_is_charged_on_purpose(store: Store) -> None:
    with pytest.raises(UnknownCallError, match="`a` was never held in this ledger; use `charge`"):
        store.settle(settlement("a", TEAM, 5))
    first = store.charge(settlement("a", TEAM, 5, model="gpt-5"))
    assert (first.lines[0].was_held, first.lines[0].overdraft, first.late) == (0, 5, False)
    assert store.charge(settlement("a", TEAM, 5)) == first._replace(repeated=True)
    assert store.settle(settlement("a", TEAM, 5)) == first._replace(repeated=True)
    assert store.release("a", NOW).state == "settled"
    assert store.balances([TEAM], NOW)[0].used == 5


def test_charging_a_held_call_settles_it(store: Store) -> None:
    store.reserve(hold("a", TEAM, 60, 100))
    store.charge(settlement("a", TEAM, 5))
    (balance,) = store.balances([TEAM], NOW)
    assert (balance.used, balance.held) == (5, 0)


def test_accounts_that_were_not_held_are_charged_and_those_not_charged_are_freed(store: Store) -> None:
    third = account("models/opus", "")
    store.reserve(hold_lines("a", (TEAM, 60, 100), (OTHER, 60, 100)))
    settled = store.settle(settlement_lines("a", (third, 7), (TEAM, 9)))
    assert [(line.account, line.amount, line.was_held) for line in settled.lines] == [
        (TEAM, 9, 60),
        (OTHER, 0, 60),
        (third, 7, 0),
    ]
    balances = store.balances([TEAM, OTHER, third], NOW)
    assert [(balance.used, balance.held) for balance in balances] == [(9, 0), (0, 0), (7, 0)]
    assert [entry.account for entry in store.entries(EntryQuery(call="a")).items] == [TEAM, third]
    assert store.settle(settlement_lines("a")) == settled._replace(repeated=True)


def test_a_charge_counts_in_the_period_of_its_hold(store: Store) -> None:
    day = [account(period=Period(f"day:2026-11-{number}:UTC")) for number in (24, 25)]
    store.reserve(hold("a", day[0], 60, 100))
    settled = store.settle(settlement("a", day[1], 50, LATER))
    assert settled.lines[0].account == day[0]
    assert [balance.used for balance in store.balances(day, LATER)] == [50, 0]


def test_facts_of_the_hold_and_of_the_charge_are_kept_together(store: Store) -> None:
    store.reserve(hold("a", TEAM, 60, 100, model="gpt-5", tags={"team": "research", "n": [1, 2.5, None, "ü\x00\x1f"]}))
    store.settle(settlement("a", TEAM, 50, LATER, model="gpt-5-mini", usage={"prompt": 12}))
    (entry,) = store.entries(EntryQuery()).items
    assert entry.facts == {
        "model": "gpt-5-mini",
        "tags": {"team": "research", "n": [1, 2.5, None, "ü\x00\x1f"]},
        "usage": {"prompt": 12},
    }
    assert (entry.kind, entry.call, entry.at, entry.counts, entry.late) == ("charge", "a", LATER, True, True)


def test_charges_that_are_none_are_refused() -> None:
    with pytest.raises(AmountError, match="an amount must be"):
        Charge(TEAM, -1)
    with pytest.raises(AmountError, match="on different budgets or keys"):
        settlement_lines("a", (TEAM, 1), (account(period=Period("day:2026-11-24:UTC")), 1))
    with pytest.raises(AmountError, match="must have an id"):
        settlement_lines("")
