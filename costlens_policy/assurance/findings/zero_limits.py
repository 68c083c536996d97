"""CL438: a budget whose limit is zero."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Finding, Place
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.units import base_of

__all__ = ["find_zero_limits"]

_FOUND: Final = Finding("CL438")


def find_zero_limits(subject: Subject) -> Iterator[Diagnostic]:
    """Report budgets that refuse every call they count. Elsewhere, zero often stands for no limit; here it does not."""
    for policy in subject.policies:
        for index, budget in enumerate(policy.document.budgets):
            key = f"hard_limit_{base_of(budget.unit)}"
            if budget.shadow or budget.overflow or getattr(budget, key) != 0:
                continue
            yield _FOUND.mistake(
                f"the budget `{budget.id}` refuses every call that it counts",
                Place(policy, ("budgets", index, key)).span,
                "zero is a limit, not the absence of one",
                "set the limit; to refuse calls, write a deny; for no limit, remove the budget",
            )
