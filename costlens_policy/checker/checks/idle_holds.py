"""CL459: a quantile that is never held, so that the worst case always is."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from costlens_policy.checker.checks.subject import Finding, Place, Subject
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.documents.budget import Budget
from costlens_policy.quantiles import least_cases
from costlens_policy.units import base_of

__all__ = ["check_idle_holds"]

_FOUND: Final = Finding("CL459")


def check_idle_holds(subject: Subject) -> Iterator[Diagnostic]:
    """Report quantiles of fewer cases than they take, and of calls that can never be measured."""
    for policy in subject.bundle.policies:
        for index, budget in enumerate(policy.document.budgets):
            if budget.hold == "worst_case":
                continue
            place, least = Place(policy, ("budgets", index)), least_cases(budget.hold.quantile)
            if budget.hold.cases < least:
                yield _FOUND.mistake(
                    f"`{budget.id}` holds a quantile of {budget.hold.quantile} from {budget.hold.cases} cases on,"
                    f" and that takes at least {least}",
                    place.at("hold", *(("cases",) if "cases" in budget.hold.model_fields_set else ())).span,
                    "the worst case is held until there are enough",
                    f"set `cases` to at least {least}",
                )
            if _limit(budget) == 0 and not (budget.shadow or budget.overflow):
                yield _FOUND.mistake(
                    f"`{budget.id}` holds a quantile of calls that it never lets through",
                    place.at("hold").span,
                    "no call is ever measured",
                    "remove `hold`, or set a limit above 0",
                )


def _limit(budget: Budget) -> Decimal | int | str:
    limit: Decimal | int | str = getattr(budget, f"hard_limit_{base_of(budget.unit)}")
    return limit
