"""CL453: an overflow in shadow, so that the budget before it refuses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.compiler.rules import BudgetStep
from costlens_policy.diagnostics.model import Diagnostic, Related

__all__ = ["find_shadowed_overflows"]

_FOUND: Final = Finding("CL453")


def find_shadowed_overflows(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of budgets whose overflow is in shadow: it counts whatever they have no room for, without a limit."""
    rules = {rule.id: rule for rule in subject.rules["budgets"]}
    for rule in rules.values():
        step = rule.step
        assert isinstance(step, BudgetStep)
        overflow = rules.get(step.overflow)
        if overflow is None or step.shadow:
            continue
        assert isinstance(overflow.step, BudgetStep)
        if overflow.step.shadow:
            yield _FOUND.warning(
                f"`{rule.id}` refuses no call that its overflow `{overflow.id}` counts, since that is in shadow",
                rule.place.at("overflow").span,
                "counts what has no room, and refuses nothing",
                f"remove `shadow` from the overflow, or put `{rule.id}` in shadow, too",
                [Related(overflow.place.at("shadow").span, "in shadow")],
            )
