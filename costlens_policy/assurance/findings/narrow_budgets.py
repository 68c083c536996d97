"""CL465: a budget that has no room for a single call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.domain import Every, Found
from costlens_policy.assurance.subject import Rule, Subject, shown
from costlens_policy.assurance.witness import Witness
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.compiler.rules import BudgetStep
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.units import base_of

__all__ = ["find_narrow_budgets"]

_FOUND: Final = Finding("CL465")
_OUTPUT: Final = ("request", "max_output_tokens")
_SMALLEST: Final = 16


def find_narrow_budgets(subject: Subject) -> Iterator[Diagnostic]:
    """Report budgets that refuse a short request from the first call on, and one with a low output limit, too."""
    for rule in subject.limits:
        step = rule.step
        assert isinstance(step, BudgetStep)
        if step.limit == 0 or (step.when is not None and step.when.reads("model")) or subject.is_diagnosed(rule):
            continue
        found = subject.domain.find(Every([rule.goal, *(deny.otherwise for deny in subject.denies)]))
        if not isinstance(found, Found):
            continue
        refused = subject.situated(found.values)
        if refused is None or not _is_refused(rule, refused):
            continue
        lower = subject.situated({**found.values, _OUTPUT: _SMALLEST})
        always = lower is not None and _is_refused(rule, lower)
        report = _FOUND.mistake if always else _FOUND.warning
        yield report(
            f"`{rule.id}` has no room for a single call such as `{shown(subject.request(found.values))}`",
            rule.place.at(f"hard_limit_{base_of(step.unit)}").span,
            next(item.reason for item in refused.decision.excluded if item.by == rule.id),
            "raise the limit, or lower `max_output_tokens`, for whose worst case there must be room",
            witnesses=[refused.shown],
        )


def _is_refused(rule: Rule, witness: Witness) -> bool:
    """Say whether the budget alone refuses a request when nothing is spent."""
    decision = witness.decision
    return decision.model is None and bool(decision.excluded) and all(item.by == rule.id for item in decision.excluded)
