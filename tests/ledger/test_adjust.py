"""What people change by hand: it holds for as long as it says, and the history says who and why."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from costlens_policy.ledger import (
    Account,
    Adjustment,
    AdjustmentError,
    EntryQuery,
    Grants,
    Held,
    Period,
    Refused,
    Store,
)
from tests.ledger.build import NOW, account, hold, settlement

NOVEMBER = Period("month:2026-11-01:UTC", NOW.replace(day=1, hour=0), NOW.replace(month=12, day=1, hour=0))
DECEMBER = Period("month:2026-12-01:UTC", NOW.replace(month=12, day=1, hour=0), NOW.replace(year=2027, month=1, day=1))
TEAM = account(period=NOVEMBER)
NEXT = account(period=DECEMBER)
DAY = timedelta(days=1)


def adjustment(id: str, kind: Any, amount: int, of: Account = TEAM, **more: Any) -> Adjustment:
    fields = {"id": id, "kind": kind, "account": of, "amount": amount, "author": "ann", "reason": "launch week"}
    return Adjustment(**{**fields, "now": NOW, "expires_at": NOW + DAY, **more})


def test_a_top_up_adds_to_the_limit_until_it_expires(store: Store) -> None:
    answer = store.adjust(adjustment("t", "topup", 50))
    assert (answer.balance.grants, answer.repeated) == (Grants(None, 50), False)
    held = store.reserve(hold("a", TEAM, 150, 100))
    assert isinstance(held, Held)
    assert held.lines[0].limit == 150
    store.release("a", NOW)
    refused = store.reserve(hold("b", TEAM, 101, 100, NOW + DAY))
    assert isinstance(refused, Refused)
    assert refused.lines[0].limit == 100
    assert store.balances([TEAM], NOW + DAY)[0].grants == Grants()


def test_a_top_up_ends_with_its_period(store: Store) -> None:
    store.adjust(adjustment("t", "topup", 50, expires_at=NOW + 60 * DAY))
    store.adjust(adjustment("u", "topup", 5, expires_at=None))
    in_december = NOW + 10 * DAY
    balances = store.balances([TEAM, NEXT], in_december)
    assert [balance.grants for balance in balances] == [Grants(), Grants()]
    assert [balance.grants.topup for balance in store.balances([TEAM, NEXT], NOW)] == [55, 0]


def test_an_override_replaces_the_limit_in_every_period(store: Store) -> None:
    store.adjust(adjustment("o", "override", 30, expires_at=NOW + 60 * DAY))
    store.adjust(adjustment("t", "topup", 7))
    assert store.balances([TEAM], NOW)[0].grants == Grants(30, 7)
    assert isinstance(store.reserve(hold("a", TEAM, 38, 100)), Refused)
    assert isinstance(store.reserve(hold("a", TEAM, 37, 100)), Held)
    assert isinstance(store.reserve(hold("b", NEXT, 31, 100, NOW + 10 * DAY)), Refused)
    assert isinstance(store.reserve(hold("b", account(key="other"), 100, 100)), Held)


def test_overrides_must_not_overlap(store: Store) -> None:
    store.adjust(adjustment("o", "override", 30))
    with pytest.raises(AdjustmentError, match="another override is in force until 2026-11-25 12:00:00 UTC; revoke"):
        store.adjust(adjustment("p", "override", 40))
    store.adjust(adjustment("p", "override", 40, now=NOW + DAY, expires_at=NOW + 2 * DAY))
    assert store.balances([TEAM], NOW + DAY)[0].grants == Grants(40, 0)


def test_revoking_ends_what_is_in_force(store: Store) -> None:
    store.adjust(adjustment("o", "override", 30))
    store.adjust(adjustment("t", "topup", 7))
    store.adjust(adjustment("n", "topup", 9, NEXT, expires_at=None))
    store.adjust(adjustment("w", "revoke", 0, expires_at=None))
    assert [balance.grants for balance in store.balances([TEAM, NEXT], NOW)] == [Grants(), Grants(None, 9)]
    store.adjust(adjustment("p", "override", 40))


def test_setting_corrects_what_is_spent_and_leaves_what_is_held(store: Store) -> None:
    store.charge(settlement("a", TEAM, 80))
    store.reserve(hold("b", TEAM, 15, 100))
    answer = store.adjust(adjustment("s", "set", 20, expires_at=None))
    assert (answer.balance.used, answer.balance.held) == (20, 15)
    store.adjust(adjustment("r", "set", 0, expires_at=None))
    assert isinstance(store.reserve(hold("c", TEAM, 85, 100)), Held)
    entries = store.entries(EntryQuery()).items
    assert [(entry.kind, entry.amount) for entry in entries] == [("charge", 80), ("set", -60), ("set", -20)]
    assert sum(entry.amount for entry in entries if entry.counts) == 0


def test_repeating_an_adjustment_changes_nothing(store: Store) -> None:
    first = store.adjust(adjustment("t", "topup", 50))
    store.charge(settlement("a", TEAM, 80))
    again = store.adjust(adjustment("t", "topup", 50))
    assert (again.balance, again.repeated) == (first.balance, True)
    assert store.balances([TEAM], NOW)[0].grants == Grants(None, 50)
    assert len(store.entries(EntryQuery()).items) == 2


def test_the_history_says_who_and_why(store: Store) -> None:
    store.adjust(adjustment("t", "topup", 50))
    store.adjust(adjustment("w", "revoke", 0, expires_at=None, reason="over"))
    first, second = store.entries(EntryQuery(account=TEAM)).items
    assert (first.kind, first.call, first.amount, first.counts, first.at) == ("topup", "t", 50, False, NOW)
    assert first.facts == {"author": "ann", "reason": "launch week", "expires_at": "2026-11-25T12:00:00+00:00"}
    assert second.facts == {"author": "ann", "reason": "over"}
    assert store.entries(EntryQuery(call="w")).items == (second,)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id": ""}, "the id of an adjustment must not be empty"),
        ({"author": " "}, "the author of an adjustment must not be empty"),
        ({"reason": ""}, "the reason of an adjustment must not be empty"),
        ({"expires_at": NOW}, "must expire in the future, got 2026-11-24 12:00 UTC"),
        ({"kind": "override", "expires_at": None}, "must have an expiry time"),
        ({"kind": "set"}, "kind `set` cannot have an expiry time"),
        ({"amount": -1}, "an amount must be"),
    ],
)
def test_adjustments_that_make_no_sense_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises((AdjustmentError, ValueError), match=words):
        replace(adjustment("t", "topup", 50), **change)


def test_a_release_is_recorded_and_changes_nothing(store: Store) -> None:
    store.adjust(adjustment("t", "topup", 50))
    for _ in range(2):
        store.adjust(adjustment("r", "release", 30, expires_at=None, call="job-7"))
    (balance,) = store.balances([TEAM], NOW)
    assert (balance.used, balance.held, balance.grants) == (0, 0, Grants(None, 50))
    *_, entry = store.entries(EntryQuery()).items
    assert (entry.kind, entry.amount, entry.counts, entry.facts["call"]) == ("release", 30, False, "job-7")
