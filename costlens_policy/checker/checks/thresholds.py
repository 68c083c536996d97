"""CL403: thresholds of a budget out of order."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from costlens_policy.checker.checks.subject import Finding, Place, Subject
from costlens_policy.diagnostics.model import Diagnostic, Related
from costlens_policy.documents.budget import Budget

__all__ = ["check_thresholds"]

_FOUND: Final = Finding("CL403")


def check_thresholds(subject: Subject) -> Iterator[Diagnostic]:
    """Warn about a threshold that is always active, and of two at the same ratio or amount, or out of order."""
    for policy in subject.bundle.policies:
        for index, budget in enumerate(policy.document.budgets):
            place = Place(policy, ("budgets", index, "thresholds"))
            ratios = [(at, item.at_ratio) for at, item in enumerate(budget.thresholds)]
            amounts = [(at, item.amount) for at, item in enumerate(budget.thresholds)]
            yield from _in_order(budget, place, ratios)
            yield from _in_order(budget, place, amounts)


def _in_order(budget: Budget, thresholds: Place, starts: list[tuple[int, Decimal | None]]) -> Iterator[Diagnostic]:
    before, last = Decimal(-1), 0
    for index, start in starts:
        if start is None:
            continue
        condition = budget.thresholds[index].condition
        place = thresholds.at(index, condition)
        related = []
        if before >= 0:
            related = [Related(thresholds.at(last, budget.thresholds[last].condition).span, "the threshold before it")]
        if start == 0:
            what = "ratio" if condition == "at_ratio" else "amount"
            advice = f"a threshold must start above {what} 0; for what always applies, use a rewrite or a route"
            yield _FOUND.warning(
                f"a threshold at {what} 0 is always active", place.span, "from the first call on", advice
            )
        elif start == before:
            advice = "merge them into one threshold"
            message = f"two thresholds of `{budget.id}` start at `{start}`"
            yield _FOUND.warning(message, place.span, "again", advice, related)
        elif start < before:
            message = f"the threshold at `{start}` comes after the one at `{before}`"
            yield _FOUND.warning(message, place.span, "out of order", "order the thresholds from low to high", related)
        before, last = start, index
