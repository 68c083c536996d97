"""CL441: a budget whose only alert comes with the refusal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Finding, Place
from costlens_policy.diagnostics.model import Diagnostic

__all__ = ["find_late_alerts"]

_FOUND: Final = Finding("CL441")


def find_late_alerts(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of thresholds at the limit itself, which only a call that fills the budget to the last digit reaches."""
    for policy in subject.policies:
        for index, budget in enumerate(policy.document.budgets):
            for at, threshold in enumerate(budget.thresholds):
                if threshold.at_ratio == 1 and not (budget.shadow or budget.overflow):
                    yield _FOUND.warning(
                        f"a threshold of `{budget.id}` lies at the limit itself",
                        Place(policy, ("budgets", index, "thresholds", at, "at_ratio")).span,
                        "only a call that fills the budget to the last digit reaches it",
                        "choose a ratio below 1; what goes above the limit is refused with an alert of its own",
                    )
