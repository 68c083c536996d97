"""Reserving: all lines or none, never above a limit, once per id."""

from __future__ import annotations

from datetime import timedelta

import pytest

from costlens_policy.ledger import (
    AmountError,
    CallConflictError,
    Held,
    Hold,
    HoldLine,
    Period,
    Refused,
    Store,
)
from tests.ledger.build import LEASE, NOW, account, hold, hold_lines, settlement

TEAM = account()
OTHER = account("company/total", "")


def test_room_up_to_the_last_unit(store: Store) -> None:
    assert isinstance(store.reserve(hold("a", TEAM, 60, 100)), Held)
    assert isinstance(store.reserve(hold("b", TEAM, 41, 100)), Refused)
    assert isinstance(store.reserve(hold("c", TEAM, 40, 100)), Held)
    assert isinstance(store.reserve(hold("d", TEAM, 1, 100)), Refused)
    assert isinstance(store.reserve(hold("e", TEAM, 0, 100)), Held)


def test_the_answer_has_the_balances_before_the_call(store: Store) -> None:
    store.reserve(hold("a", TEAM, 60, 100))
    store.settle(settlement("a", TEAM, 50))
    store.reserve(hold("b", TEAM, 10, 100))
    held = store.reserve(hold("c", TEAM, 15, 100))
    assert isinstance(held, Held)
    assert (held.state, held.repeated) == ("held", False)
    (line,) = held.lines
    assert (line.account, line.amount, line.limit) == (TEAM, 15, 100)
    assert (line.used, line.held, line.held_after) == (50, 10, 25)


def test_a_refusal_says_which_lines_have_no_room_and_holds_nothing(store: Store) -> None:
    store.reserve(hold("a", OTHER, 95, 100))
    refused = store.reserve(hold_lines("b", (TEAM, 10, 100), (OTHER, 10, 100)))
    assert isinstance(refused, Refused)
    assert [(line.account, line.used, line.held) for line in refused.lines] == [(TEAM, 0, 0), (OTHER, 0, 95)]
    assert [line.account for line in refused.without_room] == [OTHER]
    assert [(balance.used, balance.held) for balance in store.balances([TEAM, OTHER], NOW)] == [(0, 0), (0, 95)]


def test_a_refused_call_may_ask_again_for_less(store: Store) -> None:
    assert isinstance(store.reserve(hold("a", TEAM, 101, 100)), Refused)
    held = store.reserve(hold("a", TEAM, 99, 100))
    assert isinstance(held, Held)
    assert not held.repeated


def test_a_line_without_a_limit_is_counted_and_never_refused(store: Store) -> None:
    store.reserve(hold("a", TEAM, 10**9, None))
    (balance,) = store.balances([TEAM], NOW)
    assert balance.held == 10**9


def test_two_versions_of_the_policies_share_what_is_spent_and_keep_to_their_own_limits(store: Store) -> None:
    team = account()
    assert isinstance(store.reserve(hold("old", team, 8, 10)), Held)
    assert isinstance(store.reserve(hold("new", team, 10, 20)), Held)
    assert isinstance(store.reserve(hold("old again", team, 1, 10)), Refused)
    store.settle(settlement("new", team, 0))
    refused = store.reserve(hold("old again", team, 3, 10))
    assert [(line.used, line.held, line.limit) for line in refused.lines] == [(0, 8, 10)]
    assert isinstance(store.reserve(hold("old again", team, 2, 10)), Held), "what the other version gave back is free"


def test_repeating_a_call_gives_the_first_answer(store: Store) -> None:
    ask = hold_lines("a", (TEAM, 60, 100), (OTHER, 60, None), model="gpt-5")
    first = store.reserve(ask)
    assert isinstance(first, Held)
    store.reserve(hold("b", TEAM, 10, 100))
    again = store.reserve(ask)
    assert isinstance(again, Held)
    assert again == first._replace(repeated=True)
    assert [balance.held for balance in store.balances([TEAM, OTHER], NOW)] == [70, 60]


def test_repeating_says_what_became_of_the_call(store: Store) -> None:
    for call in "abc":
        store.reserve(hold(call, TEAM, 10, 100))
    store.settle(settlement("a", TEAM, 5))
    store.release("b", NOW)
    later = NOW + timedelta(minutes=2)
    states = [store.reserve(hold(call, TEAM, 10, 100, later)) for call in "abc"]
    assert [answer.state for answer in states if isinstance(answer, Held)] == ["settled", "released", "expired"]
    (balance,) = store.balances([TEAM], later)
    assert (balance.used, balance.held) == (5, 0)


def test_one_id_for_two_calls_is_an_error(store: Store) -> None:
    store.reserve(hold("a", TEAM, 10, 100))
    with pytest.raises(CallConflictError, match="`a` is already used"):
        store.reserve(hold("a", TEAM, 11, 100))
    with pytest.raises(CallConflictError, match="`a` is already used"):
        store.reserve(hold("a", OTHER, 10, 100))
    store.charge(settlement("b", TEAM, 3))
    with pytest.raises(CallConflictError, match="`b` is already used by a call that was charged without a hold"):
        store.reserve(hold("b", TEAM, 3, 100))
    (balance,) = store.balances([TEAM], NOW)
    assert (balance.used, balance.held) == (3, 10)


def test_a_call_without_lines_is_only_remembered(store: Store) -> None:
    held = store.reserve(Hold("a", (), NOW, LEASE))
    assert isinstance(held, Held)
    assert held.lines == ()
    assert store.release("a", NOW).state == "released"


def test_accounts_with_unusual_names_are_told_apart(store: Store) -> None:
    keys = ["", " ", "a", "A", "ä", "a\u0308", "日本", "a'b\"c;--", "a:b", "{a}", "a\x1fb", "*", "%", "\\"]
    keys.append("\U0001f600")
    accounts = [account(key=key) for key in keys]
    for number, each in enumerate(accounts, 1):
        assert isinstance(store.reserve(hold(f"call {each.key}", each, number, 100)), Held)
    assert [balance.held for balance in store.balances(accounts, NOW)] == list(range(1, len(keys) + 1))


@pytest.mark.parametrize("key", ["a\x00b", "a\ud800b", "x" * 1001])
def test_keys_that_no_store_can_keep_are_refused(key: str) -> None:
    with pytest.raises(AmountError, match="the name of an account"):
        account(key=key)


@pytest.mark.parametrize("amount", [-1, 10**27 + 1, 1.0, True, None])
def test_amounts_that_are_none_are_refused(amount: int) -> None:
    with pytest.raises(AmountError, match="an amount must be"):
        HoldLine(TEAM, amount, 100)


@pytest.mark.parametrize("limit", [-1, 10**30 + 1, 1.5])
def test_limits_that_are_none_are_refused(limit: int) -> None:
    with pytest.raises(AmountError, match="a limit must be a whole number"):
        HoldLine(TEAM, 1, limit)


def test_a_call_needs_an_id_and_distinct_lines() -> None:
    with pytest.raises(AmountError, match="must have an id"):
        hold("", TEAM, 1, 1)
    with pytest.raises(AmountError, match="on different budgets or keys"):
        hold_lines("a", (TEAM, 1, 1), (account(period=Period("day:2026-11-24:UTC")), 2, 2))
    with pytest.raises(AmountError, match="at most 64 accounts, got 65"):
        hold_lines("a", *((account(key=str(number)), 1, 1) for number in range(65)))


def test_a_time_without_a_zone_is_refused(store: Store) -> None:
    with pytest.raises(AmountError, match="must have a time zone"):
        store.reserve(hold("a", TEAM, 1, 1, NOW.replace(tzinfo=None)))


class TestVoid:
    """A call that is voided is given back, and holds nothing that comes later."""

    def test_gives_back_what_is_held(self, store: Store) -> None:
        store.reserve(hold("a", TEAM, 60, 100))
        for _ in range(2):
            assert store.void("a", NOW).state == "released"
        assert store.balances([TEAM], NOW)[0].held == 0

    def test_a_hold_that_comes_later_holds_nothing(self, store: Store) -> None:
        for _ in range(2):
            assert store.void("a", NOW).state == "released"
        late = store.reserve(hold("a", TEAM, 60, 100))
        assert isinstance(late, Held)
        assert (late.state, late.repeated, late.lines) == ("released", True, ())
        assert store.balances([TEAM], NOW)[0].held == 0
        assert store.extend("a", LEASE, NOW).state == "released"
        found = store.reservation("a", NOW)
        assert found is not None
        assert (found.state, found.lines) == ("released", ())

    def test_a_charge_counts_nevertheless(self, store: Store) -> None:
        store.void("a", NOW)
        settled = store.charge(settlement("a", TEAM, 7))
        assert settled.lines[0].used == 7
        assert store.void("a", NOW).state == "settled"
        assert store.balances([TEAM], NOW)[0].used == 7
