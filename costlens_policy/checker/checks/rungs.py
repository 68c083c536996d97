"""CL403: rungs of a budget that are not a ladder."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from costlens_policy.checker.checks.subject import Finding, Place, Subject
from costlens_policy.diagnostics.model import Diagnostic, Related
from costlens_policy.documents.budgets import Budget

__all__ = ["check_rungs"]

_FOUND: Final = Finding("CL403")


def check_rungs(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of a rung that is always active, and of two at the same ratio or out of order."""
    for policy in subject.bundle.policies:
        for index, budget in enumerate(policy.document.budgets):
            yield from _ladder(budget, Place(policy, ("budgets", index, "rungs")))


def _ladder(budget: Budget, rungs: Place) -> Iterator[Diagnostic]:
    before = Decimal(-1)
    for index, rung in enumerate(budget.rungs):
        place = rungs.at(index, "at_ratio")
        related = [Related(rungs.at(index - 1, "at_ratio").span, "the rung before it")] if index else []
        if rung.at_ratio == 0:
            advice = "for what always holds, write a rewrite or a route; a rung starts at a ratio above 0"
            yield _FOUND.warning("a rung at ratio 0 is always active", place.span, "from the first call on", advice)
        elif rung.at_ratio == before:
            advice = "put what they do into one rung"
            message = f"two rungs of `{budget.id}` start at `{rung.at_ratio}`"
            yield _FOUND.warning(message, place.span, "again", advice, related)
        elif rung.at_ratio < before:
            message = f"the rung at `{rung.at_ratio}` stands after the one at `{before}`"
            yield _FOUND.warning(message, place.span, "out of order", "order the rungs from low to high", related)
        before = rung.at_ratio
