"""Ranges, swings and volume: what has to hold whatever the numbers are."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costlens_policy.advise.inputs import base_point, rules_of_thumb, uncertain_inputs
from costlens_policy.advise.numbers import calculate, totals_at
from costlens_policy.advise.strategies import monthly_queries
from tests.advise.workloads import document, setting

SPREADS: dict[str, dict[str, Any]] = {
    "queries": {
        "per_month": {"low": 50_000, "base": 100_000, "high": 400_000},
        "growth_per_month": {"low": Decimal("-0.02"), "base": 0, "high": Decimal("0.05")},
    },
    "output_tokens": {"low": 20, "base": 50, "high": 100},
    "caching": {
        "share": Decimal("0.9"),
        "hit_ratio": {"low": Decimal("0.3"), "base": Decimal("0.8"), "high": Decimal("0.95")},
    },
}


@given(st.integers(1, 10**6), st.integers(0, 10**6), st.integers(1, 30))
def test_more_volume_never_lowers_a_total(volume: int, more: int, months: int) -> None:
    made = setting(months)
    base = base_point(uncertain_inputs(made.workload, rules_of_thumb()))
    few = totals_at(made, {**base, "queries.per_month": Decimal(volume)})
    many = totals_at(made, {**base, "queries.per_month": Decimal(volume + more)})
    assert all(few[name] <= many[name] for name in few)


@given(st.decimals(-1, 1, places=3), st.decimals(0, 1, places=3))
def test_more_growth_never_lowers_a_total(growth: Decimal, more: Decimal) -> None:
    made = setting()
    base = base_point(uncertain_inputs(made.workload, rules_of_thumb()))
    slow = totals_at(made, {**base, "queries.growth_per_month": growth})
    fast = totals_at(made, {**base, "queries.growth_per_month": growth + more})
    assert all(slow[name] <= fast[name] for name in slow)


def test_growth_of_minus_100_percent_ends_the_queries() -> None:
    assert monthly_queries(Decimal(1000), Decimal(-1), 3) == (1000, 0, 0)


@settings(max_examples=25)
@given(st.sets(st.sampled_from(sorted(SPREADS))))
def test_ranges_hold_the_base_and_every_swing(names: set[str]) -> None:
    numbers = calculate(setting(**{name: SPREADS[name] for name in names}), rules_of_thumb())
    for name, amount in numbers.totals.items():
        assert numbers.totals_range.lowest[name] <= amount <= numbers.totals_range.highest[name]
        assert numbers.savings_range.lowest[name] <= numbers.savings[name] <= numbers.savings_range.highest[name]
        for swing in numbers.swings:
            for end in (0, 1):
                assert numbers.totals_range.lowest[name] <= swing.totals[end][name]
                assert swing.savings[end][name] <= numbers.savings_range.highest[name]


def test_without_uncertainty_ranges_are_points() -> None:
    numbers = calculate(setting(), rules_of_thumb())
    assert numbers.swings == ()
    assert numbers.totals == numbers.totals_range.lowest == numbers.totals_range.highest


def test_numbers_do_not_depend_on_the_run() -> None:
    assert calculate(setting(**SPREADS), rules_of_thumb()) == calculate(setting(**SPREADS), rules_of_thumb())


def test_the_cheaper_way_to_prompt_is_what_savings_are_against() -> None:
    dear = {"share": Decimal("0.9"), "hit_ratio": 0}  # every query writes the cache, for more than plain input
    numbers = calculate(setting(caching=dear), rules_of_thumb())
    assert numbers.prompting == "prompt-only"
    assert numbers.savings["prompt-with-caching"] < 0 == numbers.savings["prompt-only"]


def test_a_short_start_is_not_cached() -> None:
    plain = calculate(setting(caching=None), rules_of_thumb())
    short = {"share": Decimal("0.9"), "hit_ratio": Decimal("0.8"), "shortest_tokens": 1024}
    cached = calculate(setting(caching=short), rules_of_thumb())
    assert cached.strategies["fine-tuned"].usd_per_query == plain.strategies["fine-tuned"].usd_per_query
    assert cached.totals["prompt-with-caching"] < cached.totals["prompt-only"]


def test_strategies_are_those_that_the_workload_speaks_of() -> None:
    alone = calculate(setting(caching=None, small=None, fine_tuned=None, hybrid=None), rules_of_thumb())
    assert list(alone.strategies) == ["prompt-only"]
    assert alone.break_evens == {}


def test_rules_of_thumb_fill_in_what_is_left_out() -> None:
    workload = document(fine_tuned={"model": "tuned", "labeling": {"usd_each": Decimal("0.4")}})
    inputs = uncertain_inputs(workload, rules_of_thumb())
    rules = rules_of_thumb()
    taken = {name: item for name, item in inputs.items() if item.origin == rules.source}
    assert list(taken) == ["fine_tuned.training.usd", "fine_tuned.labeling.examples", "fine_tuned.lead_weeks"]
    training = taken["fine_tuned.training.usd"]
    assert (training.low, training.base, training.high) == (3000, 11500, 20000)
    assert rules.source == "rule of thumb"
    assert (rules.crossover_queries_per_month.value, rules.latency_reduction.value) == (100_000, Decimal("0.70"))


@pytest.mark.parametrize("months", [1, 120])
def test_short_and_long_horizons(months: int) -> None:
    numbers = calculate(setting(months, **SPREADS), rules_of_thumb())
    assert len(numbers.monthly) == months
