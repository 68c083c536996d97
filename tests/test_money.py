"""Money is exact, bounded, and readable."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.money import (
    MAX_AMOUNT,
    ZERO,
    format_usd,
    fraction_digits,
    from_units,
    per_million,
    plain,
    to_units,
    total,
    usd,
)

AMOUNTS = st.decimals(min_value=0, max_value=MAX_AMOUNT, allow_nan=False, allow_infinity=False, places=18)


@given(AMOUNTS, st.integers(min_value=0, max_value=2**53))
def test_a_price_times_tokens_is_exact(price: Decimal, tokens: int) -> None:
    assert Fraction(per_million(price, tokens)) == Fraction(price) * tokens / 1_000_000


@given(st.lists(AMOUNTS, max_size=50))
def test_a_sum_is_exact_in_any_order(amounts: list[Decimal]) -> None:
    assert Fraction(total(amounts)) == sum(map(Fraction, amounts))
    assert total(amounts) == total(reversed(amounts))


@given(AMOUNTS)
def test_units_read_back_as_the_amount(amount: Decimal) -> None:
    digits = fraction_digits(amount)
    assert from_units(to_units(amount, digits), digits) == amount
    if digits:
        assert Fraction(amount) * 10 ** (digits - 1) % 1 != 0, "one digit less does not hold it"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.1, "0.1"), (1e-7, "1E-7"), (3, "3"), ("0.000002", "0.000002"), (Decimal("1.10"), "1.10")],
)
def test_numbers_become_dollars(value: float | int | str | Decimal, expected: str) -> None:
    assert usd(value) == Decimal(expected)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, "not a boolean"),
        ("ten", "a decimal number"),
        (float("nan"), "finite"),
        (Decimal("sNaN"), "finite"),
        (float("inf"), "finite"),
        (-1, "not negative"),
        (Decimal("1e999999"), "at most 1000000000000000 US dollars"),
        ("1e-31", "30 digits"),
        ("1e-999999", "30 digits"),
    ],
)
def test_what_is_not_money_is_refused(value: float | str | Decimal, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        usd(value)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "$0.00"),
        ("0.000125", "$0.000125"),
        ("1204.5", "$1,204.50"),
        ("1E+3", "$1,000.00"),
        ("2.5000", "$2.50"),
        ("-3.1", "-$3.10"),
        ("1234567890123.123456789012345678901", "$1,234,567,890,123.123456789012345678901"),
    ],
)
def test_amounts_for_people(amount: str, text: str) -> None:
    assert format_usd(Decimal(amount)) == text


def test_nothing_sums_to_zero() -> None:
    assert total([]) == ZERO


@given(AMOUNTS, st.integers(min_value=0, max_value=5))
def test_equal_amounts_share_one_plain_text(amount: Decimal, zeros: int) -> None:
    text = plain(amount)
    assert Decimal(text) == amount
    assert text == plain(Decimal(f"{amount:f}" + "0" * zeros))
    assert "E" not in text
    assert plain(Decimal("1E+3")) == "1000"
