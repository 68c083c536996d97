"""CL439: a budget that another one keeps from ever being reached."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from costlens_policy.assurance.domain import Every, Nothing
from costlens_policy.assurance.subject import Rule, Subject
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.clock import duration_of
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.rules import BudgetStep
from costlens_policy.diagnostics.model import Diagnostic, Related
from costlens_policy.expressions import Node
from costlens_policy.expressions.tree import Call
from costlens_policy.units import base_of

__all__ = ["find_unreachable_budgets"]

_FOUND: Final = Finding("CL439")
_COUNTED: Final = {("month", "quarter"): 3, ("month", "year"): 12, ("quarter", "year"): 4}
"""How many windows fall into a longer one, each of them whole."""
_WITHIN: Final = frozenset({*_COUNTED, ("day", "week"), ("day", "month"), ("day", "quarter"), ("day", "year")})
"""Windows that lie in a longer one: what that one allows is all that they may reach."""
_DAYS: Final = {"day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}


def find_unreachable_budgets(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of budgets that count nothing beside what a shorter one counts, which leaves less room over their window."""
    for rule in subject.limits:
        if _step(rule).per_call and _unit(rule) == "requests" and _constant(rule) != 0:
            yield _FOUND.warning(
                f"the budget `{rule.id}` is never reached: a single call counts as one request",
                rule.place.at("window").key_span,
                "each call by itself",
                "choose a window in which calls add up",
            )
            continue
        for other in subject.limits:
            if _step(other).overflow or _step(other).hold is not None:
                continue  # what it has no room for counts elsewhere, or its limit can be exceeded
            most = _most(rule, other)
            if most is not None and _shares_more(rule, other) and _counts_all_of(subject, other, rule):
                limit = _constant(rule)
                yield _FOUND.warning(
                    f"the budget `{rule.id}` is never reached: in its window `{other.id}` allows at most {most:f}",
                    rule.place.at(f"hard_limit_{base_of(_unit(rule))}").span,
                    f"{limit:f} is {'the same' if limit == most else 'more than that'}",
                    "lower the limit, or raise the other one",
                    [Related(other.place.at(f"hard_limit_{base_of(_unit(other))}").span, "refuses before")],
                    proved=True,
                )
                break


def _most(rule: Rule, other: Rule) -> Decimal | None:
    """Return what the other budget lets through in the window of the first, if the first can never be reached."""
    limit, its = _constant(rule), _constant(other)
    if _step(other).carry_over is not None:  # it may admit more than its limit
        return None
    if rule is other or limit is None or its is None or _unit(rule) != _unit(other) or limit < its:
        return None
    times = _times(_step(rule), _step(other))
    if times is None or its * times > limit:
        return None
    return its * times if its * times < limit or times > 1 or _comes_later(rule, other) else None


def _comes_later(rule: Rule, other: Rule) -> bool:
    """Say whether the second of two equal budgets is the first that is given."""
    same = _step(rule).terms == _step(other).terms and _source(rule.when) == _source(other.when)
    return same and (other.layer, other.place.path[1]) < (rule.layer, rule.place.path[1])


def _source(formula: Formula | None) -> str | None:
    return None if formula is None else formula.source


def _times(step: BudgetStep, other: BudgetStep) -> int | None:
    """Return how many windows of another budget fall into one of a budget; None where the other has the longer one."""
    if step.per_call:
        return None if other.per_call else 1  # a single call has to find room in the other one, too
    if step.terms == other.terms and "starts_at" not in step.terms:
        return 2 if "from_first_use" in step.terms else 1  # windows of the two need not begin together
    inside = str(step.terms.get("calendar")), str(other.terms.get("calendar"))
    if step.terms.get("zone") == other.terms.get("zone") and not _moved(step) and not _moved(other):
        if inside in _WITHIN:
            return 1
        if inside[::-1] in _COUNTED:
            return _COUNTED[inside[::-1]]
    hours, shorter = _hours(step), _hours(other)
    if hours is None or shorter is None or shorter >= hours:
        return None
    aligned = step.terms.get("zone") == other.terms.get("zone") and not _moves(step) and not _moves(other)
    begun = 0 if aligned and hours % shorter == 0 else 1
    return int(-(-hours // shorter)) + begun


def _moves(step: BudgetStep) -> bool:
    """Say whether windows begin at any time, not at those of the calendar."""
    return "rolling" in step.terms or "from_first_use" in step.terms


def _moved(step: BudgetStep) -> bool:
    """Say whether months, quarters or years begin at another day or month than usual."""
    return any(step.terms.get(term, 1) != 1 for term in ("month_start_day", "year_start_month"))


def _step(rule: Rule) -> BudgetStep:
    assert isinstance(rule.step, BudgetStep)
    return rule.step


def _unit(rule: Rule) -> str:
    return _step(rule).unit


def _constant(rule: Rule) -> Decimal | None:
    limit = _step(rule).limit
    return limit if isinstance(limit, Decimal) else None


def _hours(step: BudgetStep) -> Decimal | None:
    """Return the most hours of a window; None for one that is fixed, or never ends, and for single calls."""
    length = step.terms.get("rolling") or step.terms.get("from_first_use")
    if length is not None:
        return Decimal(str(duration_of(length).total_seconds())) / 3600
    days = _DAYS.get(str(step.terms.get("calendar")))
    return None if days is None else Decimal(24 * days)


def _shares_more(rule: Rule, other: Rule) -> bool:
    """Say whether all that share the first budget share the other one, too."""
    mine, its = _step(rule).scope, _step(other).scope
    if its is None:
        return True
    own = its.reads("variables") and rule.layer != other.layer  # the same words, and other variables
    if mine is None or own:
        return False
    parts = [mine.source[node.extent.start : node.extent.end] for node in _joined(mine.typed.root)]
    return bool(mine.source == its.source or its.source in parts)


def _joined(node: Node) -> Iterator[Node]:
    """Yield the texts that a scope joins, as in ``request.team + "/" + request.user``."""
    if isinstance(node, Call) and node.function == "_+_":
        for side in node.arguments:
            yield from _joined(side)
    else:
        yield node


def _counts_all_of(subject: Subject, other: Rule, rule: Rule) -> bool:
    return isinstance(subject.domain.find(Every([rule.goal, other.otherwise])), Nothing)
