"""Leases: what is held by a client that died becomes free by itself, whatever the clocks do."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.ledger import AmountError, Held, Refused, Store, UnknownCallError
from costlens_policy.ledger.account import MAX_LEASE, lease_end
from costlens_policy.ledger.amounts import SECOND
from tests.ledger.build import LEASE, NOW, account, hold, hold_lines, settlement

TEAM = account()
OTHER = account("company/total", "")
SHORT = timedelta(seconds=10)


def test_an_expired_hold_is_free_for_the_next_call(store: Store) -> None:
    first = store.reserve(hold("a", TEAM, 60, 100, lease=SHORT))
    assert isinstance(first, Held)
    assert first.expires_at == NOW + SHORT
    assert isinstance(store.reserve(hold("b", TEAM, 60, 100, NOW + SHORT - timedelta(microseconds=1))), Refused)
    assert store.balances([TEAM], NOW + SHORT)[0].held == 0
    assert isinstance(store.reserve(hold("b", TEAM, 60, 100, NOW + SHORT)), Held)


def test_many_expired_holds_are_free_at_once(store: Store) -> None:
    for number in range(50):
        store.reserve(hold(f"{number}", TEAM, 2, 100, NOW + timedelta(milliseconds=73 * number), lease=SHORT))
    answer = store.reserve(hold("b", TEAM, 100, 100, NOW + timedelta(minutes=1)))
    assert isinstance(answer, Held)
    assert answer.lines[0].held == 0


def test_only_what_has_expired_is_freed(store: Store) -> None:
    store.reserve(hold("a", TEAM, 30, 100, lease=SHORT))
    store.reserve(hold("b", TEAM, 40, 100, lease=LEASE))
    refused = store.reserve(hold("c", TEAM, 61, 100, NOW + SHORT))
    assert isinstance(refused, Refused)
    assert refused.lines[0].held == 40


def test_a_clock_that_goes_back_revives_no_hold_and_loses_none(store: Store) -> None:
    """The account was touched by a clock that is ahead: what that has freed stays free, what came after stays held."""
    store.reserve(hold("a", TEAM, 60, 100, lease=SHORT))
    ahead = store.reserve(hold("b", TEAM, 50, 100, NOW + LEASE, lease=SHORT))
    assert isinstance(ahead, Held)
    behind = store.reserve(hold("c", TEAM, 7, 100, lease=SHORT))
    assert isinstance(behind, Held)
    assert behind.lines[0].held == 50
    assert store.settle(settlement("a", TEAM, 5)).late
    (balance,) = store.balances([TEAM], NOW)
    assert (balance.used, balance.held) == (5, 57)
    store.release("c", NOW)
    store.release("b", NOW)
    assert store.balances([TEAM], NOW)[0].held == 0


def test_a_new_hold_with_the_same_end_is_not_mistaken_for_one_that_was_freed(store: Store) -> None:
    store.reserve(hold("a", TEAM, 60, 100, lease=SHORT))
    store.reserve(hold("b", TEAM, 1, 100, NOW + LEASE))
    store.reserve(hold("c", TEAM, 20, 100, lease=SHORT))
    store.release("a", NOW)
    assert store.balances([TEAM], NOW)[0].held == 21


def test_extending_moves_the_end(store: Store) -> None:
    store.reserve(hold_lines("a", (TEAM, 60, 100), (OTHER, 5, None), lease=SHORT))
    extended = store.extend("a", LEASE, NOW + timedelta(seconds=5))
    assert (extended.state, extended.expires_at) == ("held", NOW + timedelta(seconds=65))
    assert store.balances([TEAM, OTHER], NOW + timedelta(seconds=64))[0].held == 60
    assert isinstance(store.reserve(hold("b", TEAM, 60, 100, NOW + timedelta(seconds=64))), Refused)
    assert isinstance(store.reserve(hold("b", TEAM, 60, 100, NOW + timedelta(seconds=65))), Held)
    assert [balance.held for balance in store.balances([TEAM, OTHER], NOW + timedelta(seconds=65))] == [60, 0]


def test_extending_never_shortens(store: Store) -> None:
    store.reserve(hold("a", TEAM, 60, 100, lease=LEASE))
    assert store.extend("a", SHORT, NOW).expires_at == NOW + LEASE


def test_what_has_ended_is_not_extended(store: Store) -> None:
    for call in "abcd":
        store.reserve(hold(call, TEAM, 10, None, lease=SHORT))
    store.settle(settlement("a", TEAM, 5))
    store.release("b", NOW)
    later = NOW + SHORT
    assert [store.extend(call, LEASE, later).state for call in "abc"] == ["settled", "released", "expired"]
    store.reserve(hold("e", TEAM, 1, None, later))
    assert store.extend("d", LEASE, NOW).state == "expired", "another clock has freed it"
    assert store.balances([TEAM], NOW)[0].held == 1
    with pytest.raises(UnknownCallError):
        store.extend("z", LEASE, NOW)


def test_an_extended_call_settles_and_is_released_as_any_other(store: Store) -> None:
    for call in "ab":
        store.reserve(hold(call, TEAM, 10, 100, lease=SHORT))
        store.extend(call, LEASE, NOW)
    assert not store.settle(settlement("a", TEAM, 5, NOW + timedelta(seconds=30))).late
    store.release("b", NOW + timedelta(seconds=30))
    (balance,) = store.balances([TEAM], NOW)
    assert (balance.used, balance.held) == (5, 0)


@pytest.mark.parametrize("lease", [timedelta(0), -SHORT, MAX_LEASE + timedelta(microseconds=1)])
def test_leases_that_are_none_are_refused(store: Store, lease: timedelta) -> None:
    with pytest.raises(AmountError, match="a lease must be"):
        store.reserve(hold("a", TEAM, 60, 100, lease=lease))


@given(
    st.integers(0, 2**52),
    st.timedeltas(min_value=timedelta(microseconds=1), max_value=MAX_LEASE),
)
def test_a_lease_is_never_cut_and_at_most_a_second_or_a_120th_longer(now: int, lease: timedelta) -> None:
    length = lease // timedelta(microseconds=1)
    end = lease_end(now, lease) * SECOND
    assert length <= end - now <= length + max(SECOND, length // 120 + SECOND)


@given(st.integers(0, 2**52), st.timedeltas(min_value=timedelta(microseconds=1), max_value=MAX_LEASE))
def test_few_ends_are_there_at_one_time(now: int, lease: timedelta) -> None:
    length = lease // timedelta(microseconds=1)
    ends = {lease_end(now + length * part // 1000, lease) for part in range(1000)}
    assert len(ends) <= 122
