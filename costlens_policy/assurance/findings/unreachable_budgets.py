"""CL439: a budget that another one keeps from ever being reached."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from costlens_policy.assurance.domain import Every, Nothing
from costlens_policy.assurance.subject import Rule, Subject
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.compiler.rules import BudgetStep
from costlens_policy.diagnostics.model import Diagnostic, Related
from costlens_policy.units import base_of

__all__ = ["find_unreachable_budgets"]

_FOUND: Final = Finding("CL439")
_DAYS: Final = {"day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}


def find_unreachable_budgets(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of budgets that count nothing beside what a shorter one counts, which leaves less room over their window."""
    for rule in subject.limits:
        for other in subject.limits:
            if _step(other).overflow:
                continue  # what it has no room for counts elsewhere, and is not refused
            most = _most(rule, other)
            if most is not None and _shares_more(rule, other) and _counts_all_of(subject, other, rule):
                limit = _constant(rule)
                yield _FOUND.warning(
                    f"the budget `{rule.id}` is never reached: in its window `{other.id}` allows at most {most:f}",
                    rule.place.at(f"hard_limit_{base_of(_unit(rule))}").span,
                    f"{limit:f} is more than that",
                    "lower the limit, or raise the other one",
                    [Related(other.place.at(f"hard_limit_{base_of(_unit(other))}").span, "refuses before")],
                )
                break


def _most(rule: Rule, other: Rule) -> Decimal | None:
    """Return what the other budget lets through in the window of the first, if the first can never be reached."""
    days, shorter, limit, its = _days(rule), _days(other), _constant(rule), _constant(other)
    if days is None or shorter is None or limit is None or its is None or shorter >= days:
        return None
    begun = 0 if _step(rule).terms.get("zone") == _step(other).terms.get("zone") and days % shorter == 0 else 1
    most = its * (-(-days // shorter) + begun)
    return most if most < limit and _unit(rule) == _unit(other) else None


def _step(rule: Rule) -> BudgetStep:
    assert isinstance(rule.step, BudgetStep)
    return rule.step


def _unit(rule: Rule) -> str:
    return _step(rule).unit


def _constant(rule: Rule) -> Decimal | None:
    limit = _step(rule).limit
    return limit if isinstance(limit, Decimal) else None


def _days(rule: Rule) -> int | None:
    """Return the most days of a calendar window; None for another kind."""
    return _DAYS.get(str(_step(rule).terms.get("calendar")))


def _shares_more(rule: Rule, other: Rule) -> bool:
    """Say whether all that share the first budget share the other one, too."""
    mine, its = _step(rule).scope, _step(other).scope
    if its is None:
        return True
    own = its.reads("variables") and rule.layer != other.layer  # the same words, and other variables
    return mine is not None and mine.source == its.source and not own


def _counts_all_of(subject: Subject, other: Rule, rule: Rule) -> bool:
    return isinstance(subject.domain.find(Every([rule.goal, other.otherwise])), Nothing)
