"""Values: what no ledger can hold is refused; amounts, leases and windows are rounded so that no limit is passed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costlens_policy.ledger import (
    MAX_AMOUNT,
    MAX_LIMIT,
    Account,
    Adjustment,
    AdjustmentError,
    AlertClaim,
    AmountError,
    Charge,
    EntryQuery,
    HoldLine,
    LedgerError,
    MemoryStore,
    Period,
    amount_of,
    decimal_of,
    limit_of,
)
from costlens_policy.ledger.account import BUCKETS, CLOCKS, MAX_LEASE, STEP, clocks_after, forgotten_buckets, lease_end
from costlens_policy.ledger.adjustments import Grant, adjusted_grants, grants_at
from costlens_policy.ledger.amounts import LIMB, SECOND, join_limbs, micros, split_limbs
from costlens_policy.ledger.laws.build import NOW, account, hold, hold_lines, settlement, settlement_lines

TEAM = account()
DAY = timedelta(days=1)
DOLLARS = st.decimals(min_value=0, max_value=10**12 - 1, allow_nan=False, allow_infinity=False, places=22)


@given(DOLLARS)
def test_charges_are_rounded_up_and_limits_down_by_less_than_a_femto_dollar(dollars: Decimal) -> None:
    exact = Fraction(dollars) * 10**15
    assert 0 <= amount_of(dollars, "usd") - exact < 1
    assert 0 <= exact - limit_of(dollars, "usd") < 1


@given(st.integers(-MAX_LIMIT, MAX_LIMIT))
def test_amounts_read_back_exactly(amount: int) -> None:
    assert Fraction(decimal_of(amount, "usd")) == Fraction(amount, 10**15)
    assert decimal_of(amount, "tokens") == amount
    assert join_limbs(*split_limbs(amount)) == amount


@given(st.integers(-MAX_AMOUNT, MAX_AMOUNT))
def test_limbs_and_the_sum_of_several_are_exact_as_doubles(amount: int) -> None:
    high, low = split_limbs(amount)
    assert 0 <= low < LIMB
    assert 8 * LIMB < 2**53
    assert float(high) == high
    assert float(8 * low) == 8 * low


def test_tokens_and_requests_are_whole() -> None:
    assert amount_of(Decimal("1.5"), "tokens") == 2
    assert limit_of(Decimal("1.5"), "requests") == 1
    assert amount_of(7, "tokens") == 7


def test_a_billion_tokens_of_the_cheapest_cached_price_are_exact() -> None:
    cheapest = Decimal("0.001") / 1_000_000
    one = amount_of(cheapest, "usd")
    assert decimal_of(one * 10**9, "usd") == cheapest * 10**9
    assert decimal_of(amount_of(10**9, "usd") + one, "usd") == Decimal("1000000000.000000001")


def test_a_limit_beyond_all_amounts_is_as_good_as_none() -> None:
    assert limit_of(Decimal("1e20"), "usd") == MAX_LIMIT


@pytest.mark.parametrize(
    "value", [Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Decimal(-1), -1, True, 1.5, "1", None, 10**60]
)
def test_what_is_no_amount_is_refused(value: Decimal) -> None:
    with pytest.raises(AmountError, match="an amount"):
        amount_of(value, "usd")
    with pytest.raises(AmountError, match="an amount"):
        limit_of(value, "usd")


def test_an_amount_above_the_greatest_is_refused() -> None:
    assert amount_of(10**12, "usd") == MAX_AMOUNT
    with pytest.raises(AmountError, match="an amount must be from 0 to"):
        amount_of(10**12 + 1, "usd")


@pytest.mark.parametrize("key", ["a\x00b", "a\ud800b", "x" * 1201])
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


def test_charges_that_are_none_are_refused() -> None:
    with pytest.raises(AmountError, match="an amount must be"):
        Charge(TEAM, -1)
    with pytest.raises(AmountError, match="on different budgets or keys"):
        settlement_lines("a", (TEAM, 1), (account(period=Period("day:2026-11-24:UTC")), 1))
    with pytest.raises(AmountError, match="must have an id"):
        settlement_lines("")


def adjustment(id: str, kind: Any, amount: int, of: Account = TEAM, **more: Any) -> Adjustment:
    fields = {"id": id, "kind": kind, "account": of, "amount": amount, "author": "ann", "reason": "launch week"}
    return Adjustment(**{**fields, "now": NOW, "expires_at": NOW + DAY, **more})


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


def test_alerts_with_names_that_no_store_can_keep_are_refused() -> None:
    with pytest.raises(AmountError, match="control character"):
        AlertClaim("a\x1fb", "", "lifetime", "1")
    with pytest.raises(AmountError, match="the name of an alert"):
        AlertClaim("a", "\x00", "lifetime", "1")


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


SKEWS: Final = st.lists(st.integers(-5000, 5000), min_size=1, max_size=4, unique=True)
TURNS: Final = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), min_size=1, max_size=400)


@given(SKEWS, TURNS)
@settings(max_examples=150, deadline=None)
def test_no_bucket_in_the_last_window_of_any_clock_may_go(skews: list[int], turns: list[tuple[int, int]]) -> None:
    """Clocks that differ as they like go on at one pace, and are asked in any order."""
    buckets: set[int] = set()
    clocks: list[int] = []
    passed = 0
    for index, step in turns:
        passed += step
        shown = passed + skews[index % len(skews)]
        buckets |= set(range(shown - 3, shown + 1))
        clocks = clocks_after(clocks, shown)
        for bucket in forgotten_buckets(buckets, clocks):
            assert not any(shown - BUCKETS <= bucket <= shown for shown in (passed + skew for skew in skews))
            buckets.remove(bucket)


def test_clocks_and_what_they_keep_are_bounded() -> None:
    clocks: list[int] = []
    buckets: set[int] = set()
    for bucket in range(0, 1000 * STEP, 7):
        clocks = clocks_after(clocks, bucket)
        buckets = (buckets | {bucket}) - set(forgotten_buckets({*buckets, bucket}, clocks))
    assert clocks == [bucket], "a clock that goes on is one clock"
    for number in range(100):
        clocks = clocks_after(clocks, -number * 10 * STEP)
    assert len(clocks) == CLOCKS


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (lambda it: it.reserve(hold("held", TEAM, 11, 100)), "the call id `held` is already used by a call with"),
        (lambda it: it.reserve(hold("charged", TEAM, 3, 100)), "`charged` is already used by a call that was charged"),
        (
            lambda it: it.settle(settlement("new", TEAM, 5)),
            "the call `new` was never held in this ledger; use `charge`",
        ),
        (lambda it: it.adjust(adjustment("p", "override", 40)), "until 2026-11-25 12:00:00 UTC; revoke it first"),
        (lambda it: it.reserve(hold("a", TEAM, 1, 1, NOW.replace(tzinfo=None))), "must have a time zone, got `2026"),
        (lambda it: it.entries(EntryQuery(after="x")), "`x` is not the start of a page"),
        (lambda it: it.reserve(hold("a", TEAM, 1, 1, lease=timedelta(0))), "must be positive and at most 31 days"),
    ],
)
def test_what_a_store_refuses_says_why(operation: Callable[[MemoryStore], object], words: str) -> None:
    store = MemoryStore()
    store.reserve(hold("held", TEAM, 10, 100))
    store.charge(settlement("charged", TEAM, 3))
    store.adjust(adjustment("o", "override", 30))
    with pytest.raises(LedgerError, match=words):
        operation(store)


def test_an_override_of_which_nobody_knows_since_when_replaced_what_every_earlier_period_left() -> None:
    """Ledgers that are older than carry-over have such ones."""
    day, days = timedelta(days=1), Period("day:2026-11-24:UTC", NOW, NOW + timedelta(days=1))
    old = Grant("override", 5, micros(NOW + 3 * day // 2))
    later = Adjustment("t", "topup", account(period=Period("day:2026-11-26:UTC", NOW + 2 * day, NOW + 3 * day)),
        1, "Ann", "more", NOW + 2 * day)  # fmt: skip
    for grants in ((old,), adjusted_grants((old,), later)):
        over = [replace(days, starts_at=NOW + n * day, resets_at=NOW + (n + 1) * day) for n in (-9, 0, 1)]
        assert [grants_at(grants, each, micros(NOW + 3 * day)).replaced for each in over] == [True, True, False]
