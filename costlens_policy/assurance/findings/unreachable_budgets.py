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

__all__ = ["find_unreachable_budgets"]

_FOUND: Final = Finding("CL439")
_DAYS: Final = {"day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}


def find_unreachable_budgets(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of budgets that count nothing beside what a shorter one counts, which leaves less room over their window."""
    for rule in subject.limits:
        for other in subject.limits:
            most = _most(rule, other)
            if most is not None and _same_scope(rule, other) and _counts_all_of(subject, other, rule):
                limit = _constant(rule)
                yield _FOUND.warning(
                    f"the budget `{rule.id}` is never reached: in its window `{other.id}` allows at most {most:f}",
                    rule.place.at(f"hard_limit_{_unit(rule)}").span,
                    f"{limit:f} is more than that",
                    "lower the limit, or raise the other one",
                    [Related(other.place.at(f"hard_limit_{_unit(other)}").span, "refuses before")],
                )
                break


def _most(rule: Rule, other: Rule) -> Decimal | None:
    """Return what the other budget lets through in the window of the first, if the first can never be reached."""
    mine, limit, its = _days(rule), _constant(rule), _constant(other)
    shorter = _days(other)
    if rule is other or None in (mine, limit, its, shorter) or _unit(rule) != _unit(other):
        return None
    assert mine is not None and limit is not None and its is not None and shorter is not None  # noqa: PT018 - for mypy
    if shorter >= mine:
        return None
    windows = -(-mine // shorter) + (1 if mine % shorter else 0)
    most = its * windows
    return most if most < limit else None


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


def _same_scope(rule: Rule, other: Rule) -> bool:
    mine, its = _step(rule).scope, _step(other).scope
    return its is None if mine is None else its is not None and mine.source == its.source


def _counts_all_of(subject: Subject, other: Rule, rule: Rule) -> bool:
    return isinstance(subject.domain.find(Every([rule.goal, other.otherwise])), Nothing)
