"""CL402: a soft limit that is not below the hard limit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.checker.checks.subject import Finding, Place, Subject
from costlens_policy.diagnostics.model import Diagnostic, Related
from costlens_policy.units import base_of

__all__ = ["check_soft_limits"]

_FOUND: Final = Finding("CL402")


def check_soft_limits(subject: Subject) -> Iterator[Diagnostic]:
    """Report soft limits that are not below a constant hard limit."""
    for policy in subject.bundle.policies:
        for index, budget in enumerate(policy.document.budgets):
            soft, hard = f"soft_limit_{base_of(budget.unit)}", f"hard_limit_{base_of(budget.unit)}"
            low, high = getattr(budget, soft), getattr(budget, hard)
            if low is None or isinstance(high, str) or low < high or budget.carry_over is not None:
                continue
            place = Place(policy, ("budgets", index))
            relation = "equal to" if low == high else "above"
            yield _FOUND.error(
                f"the soft limit of `{budget.id}` is {relation} its hard limit",
                place.at(soft).span,
                "raises its alert too late" if low == high else "never reached",
                f"choose a soft limit below `{high}`",
                [Related(place.at(hard).span, "calls are denied from here on")],
            )
