"""CL452: an overflow that never counts what has no room."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from costlens_policy.assurance.domain import Every, Nothing
from costlens_policy.assurance.subject import Rule, Subject
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.compiler.rules import BudgetStep
from costlens_policy.diagnostics.model import Diagnostic, Related

__all__ = ["find_idle_overflows"]

_FOUND: Final = Finding("CL452")


def find_idle_overflows(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of overflows that count no call of the budget that they stand in for, or have no room for any of them."""
    rules = {rule.id: rule for rule in subject.rules["budgets"]}
    for rule in rules.values():
        overflow = rules.get(_step(rule).overflow)
        if overflow is None:
            continue
        if isinstance(subject.domain.find(Every([rule.goal, overflow.goal])), Nothing):
            message = f"the overflow `{overflow.id}` counts no call that `{rule.id}` counts"
            advice = "let its `when` hold for these calls"
            yield _found(rule, overflow, message, "never counts one of those", advice, proved=True)
        elif _is_smaller(_step(overflow), _step(rule)):
            message = f"the overflow `{overflow.id}` has no room for any call that has none on `{rule.id}`"
            yield _found(rule, overflow, message, "admits no larger calls", "raise its limit, or remove `overflow`")


def _found(rule: Rule, overflow: Rule, message: str, label: str, advice: str, proved: bool = False) -> Diagnostic:
    related = [Related(overflow.place.at("id").span, label)]
    return _FOUND.warning(message, rule.place.at("overflow").span, "never stands in", advice, related, proved=proved)


def _is_smaller(overflow: BudgetStep, step: BudgetStep) -> bool:
    """Whether both limit each call by itself, and the overflow admits none that the first budget does not."""
    limits = overflow.limit, step.limit
    if not (overflow.per_call and step.per_call and overflow.unit == step.unit):
        return False
    return isinstance(limits[0], Decimal) and isinstance(limits[1], Decimal) and limits[0] <= limits[1]


def _step(rule: Rule) -> BudgetStep:
    assert isinstance(rule.step, BudgetStep)
    return rule.step
