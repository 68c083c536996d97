"""What is told to the policies is what they declare, and their suite is complete."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from costlens_policy.advise.advice import facts_of, recommend
from costlens_policy.advise.inputs import rules_of_thumb
from costlens_policy.advise.numbers import calculate
from costlens_policy.checker import check
from costlens_policy.testing import run_suites
from tests.advise.workloads import setting
from tests.conftest import ROOT

ADVICE = ROOT / "policies" / "advice"
NOW = datetime(2026, 11, 2, tzinfo=UTC)
BARE: dict[str, Any] = {"caching": None, "small": None, "fine_tuned": None, "hybrid": None}


def facts(**changes: Any) -> dict[str, Any]:
    made = setting(**changes)
    return facts_of(made, calculate(made, rules_of_thumb()), rules_of_thumb())


def test_facts_are_the_declared_attributes() -> None:
    needs = {"scope": "narrow", "accuracy": Decimal("0.9"), "latency_ms": 900}
    full = facts(
        needs=needs,
        current={"model": "large", "accuracy": Decimal("0.93"), "latency_ms": 2000},
        small={"model": "small", "accuracy": Decimal("0.8"), "latency_ms": 500},
        fine_tuned={"model": "tuned", "accuracy": 1, "training": {"usd": 1}, "labeling": {"usd_each": 1}},
        queries={"per_month": 5_000_000},
    )
    assert set(full) == set(check(ADVICE).linked.policy_set.document.attributes)


@pytest.mark.parametrize("changes", [{}, BARE, {"caching": None}, {"hybrid": None, "small": None}])
def test_any_workload_gets_a_recommendation(changes: dict[str, Any]) -> None:
    found = recommend(ADVICE, facts(**changes), NOW)
    assert found.strategy is not None
    assert found.rule.startswith("strategy/")
    assert found.reason


def test_the_rule_of_thumb_for_latency_is_for_narrow_tasks_that_nobody_measured() -> None:
    current = {"model": "large", "latency_ms": 2000}
    assert facts(current=current)["fine_tuned_latency_ms"] == 600
    assert "fine_tuned_latency_ms" not in facts(current=current, needs={"scope": "multi-domain"})
    assert "fine_tuned_latency_ms" not in facts()


def test_refusal_is_no_strategy() -> None:
    needs = {"scope": "narrow", "data_stays_inside": True}
    found = recommend(ADVICE, facts(needs=needs), NOW)
    assert (found.strategy, found.rule) == (None, "strategy/nothing-stays-inside")
    assert "may not leave the company" in found.reason


def test_the_suite_covers_every_rule() -> None:
    run = run_suites([ADVICE])
    assert run.exit_code == 0
