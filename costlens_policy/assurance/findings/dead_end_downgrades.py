"""CL469: a threshold from which on nothing is left to serve."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from costlens_policy.assurance.domain import Assignment
from costlens_policy.assurance.subject import Rule, Subject, shown
from costlens_policy.assurance.ways import ways_of
from costlens_policy.assurance.witness import Situation, Witness
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.compiler.rules import BudgetStep, ThresholdStep
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.engine.decision import Balance

__all__ = ["find_dead_end_downgrades"]

_FOUND: Final = Finding("CL469")


def find_dead_end_downgrades(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of downgrades to models that cannot serve: they refuse calls long before the limit does.

    A downgrade that adds nothing may be meant to refuse, and one whose models are not among the route's is CL427.
    """
    for rule in subject.limits:
        step = rule.step
        assert isinstance(step, BudgetStep)
        excluding = [item for item in step.thresholds if item.excludes and item.models and item.at_ratio]
        if not isinstance(step.limit, Decimal) or not excluding:
            continue
        ways = list(ways_of(subject, rule.goal))
        for threshold in excluding:
            found = next((dead for values in ways if (dead := _dead_end(subject, rule, values, threshold))), None)
            if found is not None:
                before, later = found
                yield _FOUND.warning(
                    f"from {threshold.at_ratio:.0%} of `{rule.id}` on, `{before.decision.rule}` serves nothing "
                    f"such as `{shown(later.request)}`",
                    rule.place.at("thresholds", step.thresholds.index(threshold), "downgrade").key_span,
                    "; ".join(f"`{item.model}`: {item.reason}" for item in later.decision.excluded[:2]),
                    "add a model that can serve these requests, or let one remain",
                    witnesses=[before.shown, later.shown],
                )


def _dead_end(
    subject: Subject, rule: Rule, values: Assignment, threshold: ThresholdStep
) -> tuple[Witness, Witness] | None:
    """Return a request that is served before anything is spent, and refused once so much is."""
    assert isinstance(rule.step, BudgetStep)
    assert isinstance(rule.step.limit, Decimal)
    spent = threshold.starts_at(rule.step.limit)
    before = subject.situated(values)
    seen = () if before is None or before.decision.model is None else before.decision.balances
    key = next((item.key for item in seen if item.budget == rule.id), None)
    if before is None or key is None:
        return None
    later = subject.decided(Situation(before.request, {(rule.id, key): Balance(used=spent)}, before.now))
    if later is None or later.decision.model is not None:
        return None
    unable = {item.model for item in later.decision.excluded if not item.by}
    return (before, later) if unable.intersection(threshold.models) else None
