"""Amounts: whole numbers, rounded so that a limit is never passed, and two limbs that lose nothing."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.ledger import MAX_AMOUNT, MAX_LIMIT, AmountError, amount_of, decimal_of, limit_of
from costlens_policy.ledger.amounts import LIMB, join_limbs, split_limbs

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
