"""The cost of a call is exact, and does not depend on how a price was written."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.catalogue.catalogue import Model, Period, Rates, Usage
from costlens_policy.catalogue.rates import BUCKETS, complete

PRICES = st.decimals(min_value=0, max_value=10**9, allow_nan=False, allow_infinity=False, places=18)
TOKENS = st.integers(min_value=0, max_value=2**53)
GIVEN = st.fixed_dictionaries(
    {"input": PRICES, "output": PRICES},
    optional={bucket: PRICES for bucket in BUCKETS if bucket not in ("input", "output")},
)
USAGES = st.builds(Usage, **dict.fromkeys(BUCKETS, TOKENS))


@given(GIVEN, PRICES, USAGES)
def test_cost_equals_the_fraction(prices: dict[str, Decimal], per_request: Decimal, usage: Usage) -> None:
    rates = Rates(prices, per_request)
    filled = complete(prices)
    expected = sum(Fraction(filled[bucket]) * getattr(usage, bucket) / 1_000_000 for bucket in BUCKETS)
    assert Fraction(rates.cost(usage)) == expected + Fraction(per_request)
    assert rates.cost_as_double(usage) == float(rates.cost(usage))


@given(PRICES, PRICES, TOKENS)
def test_trailing_zeros_of_a_price_do_not_show(price: Decimal, other: Decimal, tokens: int) -> None:
    usage = Usage(input=tokens, output=7)
    longer = Rates({"input": Decimal(f"{price:f}0000"), "output": other})
    assert str(Rates({"input": price, "output": other}).cost(usage)) == str(longer.cost(usage))


@pytest.mark.parametrize(
    ("given_prices", "bucket", "expected"),
    [
        ({}, "cache_read", 10),
        ({}, "reasoning", 50),
        ({"cache_write": 12}, "cache_write_1h", 12),
        ({}, "cache_write_1h", 10),
        ({"cache_read": 1}, "cache_read_audio", 1),
        ({"input_audio": 30}, "cache_read_audio", 30),
        ({"input_audio": 30, "cache_read": 1}, "cache_read_audio", 30),
        ({}, "output_image", 50),
    ],
)
def test_what_is_left_out_costs_as_what_it_belongs_to(given_prices: dict[str, int], bucket: str, expected: int) -> None:
    prices = {"input": Decimal(10), "output": Decimal(50)} | {key: Decimal(v) for key, v in given_prices.items()}
    assert complete(prices)[bucket] == expected


def test_input_and_output_must_be_given() -> None:
    with pytest.raises(ValueError, match="output"):
        Rates({"input": Decimal(1)})


def test_a_long_prompt_prices_the_whole_call_anew() -> None:
    low, high = (Rates({"input": Decimal(price), "output": Decimal(price)}) for price in (1, 2))
    period = Period(None, low, ((200_000, high),))
    assert period.rates_for(200_000) is low
    assert period.rates_for(200_001) is high


def test_a_prompt_counts_its_cached_part() -> None:
    assert Usage(input=1, cache_read=2, cache_write=4, output=64, input_audio=8, input_image=16).prompt_tokens == 31


def test_days_choose_the_period() -> None:
    rates = Rates({"input": Decimal(1), "output": Decimal(1)})
    first, second = Period(date(2026, 1, 1), rates), Period(date(2026, 6, 1), rates)
    model = Model("m", periods=(first, second), deprecated=date(2026, 5, 1), retired=date(2026, 7, 1))
    assert model.period_on(date(2025, 12, 31)) is None
    assert model.period_on(date(2026, 5, 31)) is first
    assert model.period_on(date(2026, 6, 1)) is second
    assert not model.deprecated_on(date(2026, 4, 30))
    assert model.deprecated_on(date(2026, 5, 1))
    assert not model.retired_on(date(2026, 6, 30))
    assert model.retired_on(date(2026, 7, 1))
