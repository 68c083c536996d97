"""Units of budgets: one text that says how tokens of each kind count."""

from __future__ import annotations

from decimal import Decimal
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.catalogue import BUCKETS
from costlens_policy.units import PARENTS, Kind, UnitError, base_of, measure, root_of, show_amount, unit_of_kinds

WEIGHTS = st.decimals(0, 1_000_000, places=6) | st.sampled_from(
    [Decimal(0), Decimal(1), Decimal("1.0"), Decimal("0.1")]
)
COUNTS = st.dictionaries(st.sampled_from(list(PARENTS)), WEIGHTS, min_size=1)


def test_every_kind_that_has_a_price_can_be_counted() -> None:
    assert get_args(Kind) == tuple(PARENTS)
    assert set(PARENTS) == {*BUCKETS, "cached_input"}
    assert {root_of(kind) for kind in PARENTS} == {"input", "output"}


def weights_of(count: dict[str, Decimal]) -> dict[str, Decimal]:
    """Return the weight of each kind by walking up from it."""

    def weight(kind: str | None) -> Decimal:
        return Decimal(0) if kind is None else count[kind] if kind in count else weight(PARENTS[kind])

    return {kind: weight(kind) for kind in PARENTS}


@given(COUNTS, COUNTS)
def test_a_unit_says_all_weights_and_equal_counts_have_one(one: dict[str, Decimal], other: dict[str, Decimal]) -> None:
    if not any(one.values()):
        with pytest.raises(UnitError):
            unit_of_kinds(one)
        return
    unit = unit_of_kinds(one)
    found = measure(unit)
    assert {kind: found.amount(units) for kind, units in found.per_token.items()} == weights_of(one)
    assert unit_of_kinds(weights_of(one)) == unit
    assert len(unit) < 400
    if any(other.values()):
        assert (unit_of_kinds(other) == unit) == (weights_of(other) == weights_of(one))


@pytest.mark.parametrize(
    ("count", "unit"),
    [
        ({"input": 1, "output": 1}, "tokens"),
        ({"output": 6, "cached_input": "0.10", "input": "1.0"}, "tokens(input=1,cached_input=0.1,output=6)"),
        ({"output": 1, "reasoning": 1, "input": 0}, "tokens(output=1)"),
        ({"cache_read": 1, "cache_read_audio": 1, "input": 1, "output": 1}, "tokens"),
        ({"cached_input": 2, "cache_read": 1}, "tokens(cached_input=2,cache_read=1)"),
    ],
)
def test_texts(count: dict[str, object], unit: str) -> None:
    assert unit_of_kinds({kind: Decimal(str(weight)) for kind, weight in count.items()}) == unit  # type: ignore[misc]
    assert base_of(unit) == "tokens"


@pytest.mark.parametrize(
    "unit",
    ["", "euros", "tokens()", "tokens(input)", "tokens(inptu=1)", "tokens(input=one)", "tokens(input=-1)",
     "tokens(input=1e-7)", "tokens(input=NaN)", "tokens(input=1"],
)  # fmt: skip
def test_what_is_no_unit(unit: str) -> None:
    with pytest.raises(UnitError):
        measure(unit)


@pytest.mark.parametrize(
    ("amount", "unit", "text"),
    [
        ("12.5", "usd", "$12.50"),
        ("1200", "tokens", "1,200 tokens"),
        ("3", "requests", "3 requests"),
        ("1200.50", "tokens(input=1,output=0.5)", "1,200.5 weighted tokens"),
        ("20", "tokens(cached_input=1)", "20 cached input tokens"),
        ("20", "tokens(output=2)", "20 weighted tokens"),
    ],
)
def test_amounts_for_people(amount: str, unit: str, text: str) -> None:
    assert show_amount(Decimal(amount), unit) == text
