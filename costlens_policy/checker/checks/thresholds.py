"""CL403: thresholds of a budget out of order."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from costlens_policy.checker.checks.subject import Finding, Place, Subject
from costlens_policy.diagnostics.model import Diagnostic, Related
from costlens_policy.documents.policy import Budget

__all__ = ["check_thresholds"]

_FOUND: Final = Finding("CL403")


def check_thresholds(subject: Subject) -> Iterator[Diagnostic]:
    """Warn about a threshold that is always active, and of two at the same ratio or out of order."""
    for policy in subject.bundle.policies:
        for index, budget in enumerate(policy.document.budgets):
            yield from _thresholds(budget, Place(policy, ("budgets", index, "thresholds")))


def _thresholds(budget: Budget, thresholds: Place) -> Iterator[Diagnostic]:
    before = Decimal(-1)
    for index, threshold in enumerate(budget.thresholds):
        place = thresholds.at(index, "at_ratio")
        related = [Related(thresholds.at(index - 1, "at_ratio").span, "the threshold before it")] if index else []
        if threshold.at_ratio == 0:
            advice = "a threshold must start above ratio 0; for what always applies, use a rewrite or a route"
            yield _FOUND.warning(
                "a threshold at ratio 0 is always active", place.span, "from the first call on", advice
            )
        elif threshold.at_ratio == before:
            advice = "merge them into one threshold"
            message = f"two thresholds of `{budget.id}` start at `{threshold.at_ratio}`"
            yield _FOUND.warning(message, place.span, "again", advice, related)
        elif threshold.at_ratio < before:
            message = f"the threshold at `{threshold.at_ratio}` comes after the one at `{before}`"
            yield _FOUND.warning(message, place.span, "out of order", "order the thresholds from low to high", related)
        before = threshold.at_ratio
