"""What advice makes of measured quality: intervals, and models that the evidence does not tell apart."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from costlens_policy.advise.calls import Seen, Task, TaskCall
from costlens_policy.advise.derivation import DerivationSettings, Market, derive
from costlens_policy.advise.evidence import Measured, are_alike, cannot_tell, finding, measured
from costlens_policy.advise.ranking import page_of_ranking, rank
from costlens_policy.catalogue import Catalogue, Evidence, Model, Period, Rates

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def model(name: str, usd: int, quality: float, low: float, high: float) -> Model:
    rates = Rates({bucket: Decimal(usd) for bucket in ("input", "output", "cache_read", "cache_write")})
    known = {"triage": Evidence(low, high, cases=200)}
    return Model(name, periods=(Period(None, rates),), quality={"triage": quality}, evidence=known)


def task_with(outcomes: dict[str, list[float]]) -> Task:
    task = Task("triage")
    for at in range(max([1, *map(len, outcomes.values())])):
        found = {name: values[at] for name, values in outcomes.items() if at < len(values)}
        task.add(TaskCall("triage", None, "large", 1000, 100, outcomes=found))
    return task


def test_recorded_outcomes_count_before_the_catalogue_and_get_an_interval() -> None:
    known = measured(task_with({"large": [1.0] * 80 + [0.0] * 20}), model("large", 5, 0.5, 0.4, 0.6))
    assert known is not None
    assert (known.value, known.low, known.high) == (
        0.8,
        pytest.approx(0.7112, abs=1e-4),
        pytest.approx(0.8666, abs=1e-4),
    )
    stated = measured(task_with({}), model("large", 5, 0.5, 0.4, 0.6))
    assert stated == Measured(0.5, 0.4, 0.6)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (Measured(0.8, 0.75, 0.85), Measured(0.77, 0.7, 0.8), True),
        (Measured(0.8, 0.78, 0.82), Measured(0.7, 0.68, 0.72), False),
        (Measured(0.8, None, None), Measured(0.7, 0.6, 0.8), False),
        (None, Measured(0.7, 0.6, 0.8), False),
    ],
)
def test_a_difference_within_the_noise(one: Measured | None, other: Measured | None, expected: bool) -> None:
    assert cannot_tell(one, other) is cannot_tell(other, one) is expected


@pytest.mark.parametrize(
    ("small", "says"),
    [
        (model("small", 1, 0.88, 0.83, 0.92), "so --small might name it"),
        (model("small", 1, 0.91, 0.87, 0.94), "the evidence does not tell `small` (0.91, 0.87 to 0.94) from `large`"),
        (model("small", 1, 0.6, 0.55, 0.65), "none is known to be as good"),
    ],
)
def test_advice_names_what_the_evidence_does_not_tell_apart(small: Model, says: str) -> None:
    task, large = task_with({}), model("large", 5, 0.9, 0.86, 0.93)
    catalogue = Catalogue.of([small, large])
    market = Market(catalogue.find, (small, large), "here")
    derived = derive(task, Seen(), market, DerivationSettings("task", 12, NOW))
    lines = (*derived.assumed, *derived.evidence)
    assert any(says in line for line in lines), lines
    assert any("the evidence does not tell" in line for line in lines) is (small.quality["triage"] > 0.8)


def scores(right: int, of: int = 1000) -> list[float]:
    return [1.0] * right + [0.0] * (of - right)


def test_outcomes_of_the_same_calls_are_compared_call_by_call() -> None:
    """Ten calls that one alone answers rightly, of a thousand, are no noise, though the intervals overlap."""
    small, large = model("small", 1, 0.5, 0.4, 0.6), model("large", 5, 0.5, 0.4, 0.6)
    paired = task_with({"large": scores(900), "small": scores(890)})
    assert cannot_tell(measured(paired, small), measured(paired, large))
    assert not are_alike(paired, small, large)
    assert "`small` (0.89, 0.869 to 0.908) is measured to be worse than `large`" in finding(paired, small, large)
    assert "on the same 1,000 calls (-1.0 points, -1.7 to -0.3)" in finding(paired, small, large)
    assert finding(paired, large, small) == ""
    apart = Task("triage")
    for name, right in (("large", 900), ("small", 890)):
        for score in scores(right):
            apart.add(TaskCall("triage", None, name, 1000, 100, outcomes={name: score}))
    assert are_alike(apart, small, large)
    assert finding(apart, small, large).endswith("from `large` (0.9, 0.88 to 0.917)")
    few = task_with({"large": scores(3, 3), "small": scores(3, 3)})
    assert are_alike(few, small, large)


def test_the_reason_says_what_the_evidence_holds_against_a_tuned_model() -> None:
    large, tuned = (model(name, usd, 0.9, 0.8, 0.95) for name, usd in (("large", 5), ("tuned", 1)))
    tuned = replace(tuned, base="small")
    catalogue = Catalogue.of([large, tuned])
    market = Market(catalogue.find, (large,), "here", trained=tuned)
    for right, says in (
        (905, "the evidence does not tell `tuned`"),
        (850, "`tuned` (0.85, 0.827 to 0.871) is measured"),
    ):
        seen = Seen()
        for at in range(1000):
            outcomes = {"large": float(at < 900), "tuned": float(at < right)}
            seen.add(TaskCall("triage", None, "large", 5000, 60, outcomes=outcomes))
        ranking = rank(seen, market, DerivationSettings("task", 12, NOW))
        (part,) = (part for part in page_of_ranking(ranking, ()).parts if part.title in ("why", "why not"))
        assert says in str(part)
