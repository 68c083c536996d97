"""Totals and break-even against an independent computation in fractions."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from costlens_policy.advise.inputs import base_point, rules_of_thumb, uncertain_inputs
from costlens_policy.advise.numbers import crossover, totals_at
from costlens_policy.advise.strategies import Setting, break_even, cumulative, monthly_at, prompting_of, strategies_at
from tests.advise import independent
from tests.advise.independent import MONTH_HOURS, Facts, paid_by
from tests.advise.workloads import setting


def _decimals(low: str, high: str, places: int) -> st.SearchStrategy[Decimal]:
    return st.decimals(Decimal(low), Decimal(high), places=places)


@st.composite
def _cases(draw: st.DrawFn) -> tuple[Setting, Facts]:
    tokens = draw(st.integers(1, 20_000))
    examples = draw(st.integers(0, tokens))
    instructions = draw(st.integers(0, tokens - examples))
    values: dict[str, Any] = {
        "per_month": draw(st.integers(1, 2_000_000)),
        "growth": draw(_decimals("-1", "0.5", 3)),
        "share": draw(_decimals("0", "1", 2)),
        "hit": draw(_decimals("0", "1", 2)),
        "training": draw(_decimals("0", "20000", 2)),
        "examples": draw(st.integers(0, 20_000)),
        "at_hand": draw(st.integers(0, 20_000)),
        "usd_each": draw(_decimals("0", "2", 2)),
        "every": draw(st.integers(1, 30)),
        "relabeled": draw(_decimals("0", "1", 2)),
        "hourly": draw(_decimals("0", "5", 2)),
        "weeks": draw(_decimals("0", "70", 1)),
        "routed": draw(_decimals("0", "1", 2)),
    }
    months, output = draw(st.integers(1, 36)), draw(st.integers(0, 2000))
    facts = Facts(
        **{name: value if name == "every" else Fraction(value) for name, value in values.items()},
        months=months,
        tokens=Fraction(tokens),
        absorbed=Fraction(examples + instructions),
        output=Fraction(output),
    )
    made = setting(
        months,
        queries={"per_month": values["per_month"], "growth_per_month": values["growth"]},
        prompt={"tokens": tokens, "examples": examples, "instructions": instructions},
        output_tokens=output,
        caching={"share": values["share"], "hit_ratio": values["hit"]},
        fine_tuned={
            "model": "tuned",
            "training": {"usd": values["training"]},
            "labeling": {name: values[name] for name in ("examples", "at_hand", "usd_each")},
            "retraining": {"every_months": values["every"], "relabeled_share": values["relabeled"]},
            "hosting_usd_per_hour": values["hourly"],
            "lead_weeks": values["weeks"],
        },
        hybrid={"routed_share": values["routed"]},
    )
    return made, facts


def _base(made: Setting) -> dict[str, Decimal]:
    return base_point(uncertain_inputs(made.workload, rules_of_thumb()))


@given(_cases())
def test_totals_are_equal_to_the_last_digit(case: tuple[Setting, Facts]) -> None:
    made, facts = case
    totals = totals_at(made, _base(made))
    assert len(totals) == 5
    for name, amount in totals.items():
        assert Fraction(amount) == independent.total(facts, name), name


@given(_cases())
def test_curves_end_at_the_totals_and_pass_through_every_month(case: tuple[Setting, Facts]) -> None:
    made, facts = case
    base = _base(made)
    monthly = monthly_at(made, base)
    totals = totals_at(made, base)
    for name, strategy in strategies_at(made, base).items():
        curve = list(cumulative(strategy, monthly))
        assert len(curve) == made.months + 1
        assert curve[-1] == totals[name]
        again = independent.later_payment(facts) if strategy.upfront_usd or strategy.again_usd else 0
        for month, amount in enumerate(curve[:-1]):
            due = again if month and strategy.again_months and month % strategy.again_months == 0 else 0
            assert Fraction(amount) + due == paid_by(facts, name, month * MONTH_HOURS), (name, month)


@settings(max_examples=50)  # each takes a fraction's sum for every month
@given(_cases())
def test_the_break_even_is_where_the_curves_cross_for_good(case: tuple[Setting, Facts]) -> None:
    made, facts = case
    base = _base(made)
    monthly = monthly_at(made, base)
    strategies = strategies_at(made, base)
    prompting = prompting_of(strategies)
    for name in ("fine-tuned", "hybrid", "small-model"):
        found = break_even(strategies[name], prompting, monthly)

        def gap(hours: Fraction, name: str = name) -> Fraction:
            return paid_by(facts, name, hours) - paid_by(facts, prompting.name, hours, beside=name)

        end = facts.months * MONTH_HOURS
        if found is None:
            assert gap(end) > 0
            continue
        hours = found.months * MONTH_HOURS
        assert gap(hours) == 0 if found.months else gap(hours) <= 0
        knots = [month * MONTH_HOURS for month in range(facts.months + 1)] + [facts.weeks * 168]
        assert all(gap(knot) <= 0 for knot in knots if hours <= knot <= end)
        assert 0 <= found.queries <= sum(monthly)


@given(_cases())
def test_the_crossover_is_the_first_volume_that_pays(case: tuple[Setting, Facts]) -> None:
    made, _ = case
    base = _base(made)
    for name in ("fine-tuned", "hybrid"):
        found = crossover(made, base, name)
        if found is None:
            continue
        for queries, pays in ((found, True), (found - 1, False)):
            if queries:
                point = {**base, "queries.per_month": Decimal(queries)}
                totals = totals_at(made, point)
                prompting = prompting_of(strategies_at(made, point)).name
                assert (totals[name] <= totals[prompting]) is pays


def test_by_hand() -> None:
    """One month, no growth: sums that a reader can check with a pencil."""
    made = setting(
        1,
        queries={"per_month": 1_000_000},
        caching=None,
        hybrid=None,
        fine_tuned={
            "model": "tuned",
            "training": {"tokens_per_example": 1000, "epochs": 3, "usd_per_million_tokens": 25},
            "labeling": {"examples": 2000, "at_hand": 500, "usd_each": Decimal("0.4")},
            "lead_weeks": 0,
        },
    )
    totals = totals_at(made, _base(made))
    assert totals["prompt-only"] == 10_400  # a million times 5,000 at $2 and 50 at $8 a million
    assert totals["small-model"] == 520
    # 6 million training tokens at $25, 1,500 labels at $0.40, then 1,000 at $0.80 and 50 at $3.20.
    assert totals["fine-tuned"] == 150 + 600 + 960
