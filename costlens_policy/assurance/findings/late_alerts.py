"""CL441: a budget whose only alert comes with the refusal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Finding, Place
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.documents.budget import Budget

__all__ = ["find_late_alerts"]

_FOUND: Final = Finding("CL441")
_LATE: Final = 0.995


def find_late_alerts(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of thresholds at the limit itself, which only a call that fills the budget to the last digit reaches."""
    for policy in subject.policies:
        for index, budget in enumerate(policy.document.budgets):
            for at, threshold in enumerate(budget.thresholds):
                if _LATE <= (threshold.at_ratio or 0) <= 1 and not _may_be_exceeded(budget):
                    where = "at the limit itself" if threshold.at_ratio == 1 else "just below the limit"
                    yield _FOUND.warning(
                        f"a threshold of `{budget.id}` lies {where}",
                        Place(policy, ("budgets", index, "thresholds", at, "at_ratio")).span,
                        "hardly any call reaches it before the limit refuses it",
                        "choose a lower ratio; what goes above the limit is refused with an alert of its own",
                    )


def _may_be_exceeded(budget: Budget) -> bool:
    """Say whether calls reach the limit and go on: all of them, on its overflow, or with less held than they cost."""
    return budget.shadow or bool(budget.overflow) or budget.hold != "worst_case"
