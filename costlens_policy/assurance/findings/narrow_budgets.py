"""CL465: a budget that has no room for a single call."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from costlens_policy.assurance.domain import Assignment, Every, Found
from costlens_policy.assurance.subject import Rule, Subject, shown
from costlens_policy.assurance.ways import ways_of
from costlens_policy.assurance.witness import Situation, Witness
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.compiler.rules import BudgetStep
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.engine.decision import Balance
from costlens_policy.units import base_of

__all__ = ["find_narrow_budgets"]

_FOUND: Final = Finding("CL465")
_OUTPUT: Final = ("request", "max_output_tokens")
_SMALLEST: Final = 16


def find_narrow_budgets(subject: Subject) -> Iterator[Diagnostic]:
    """Report budgets that refuse a short request from the first call on, and one with a low output limit, too."""
    for rule in subject.limits:
        if _limit(rule) == 0 or subject.is_diagnosed(rule):
            continue
        if rule.when is not None and rule.when.reads("model"):
            yield from _narrow_for_models(subject, rule)
            continue
        found = subject.domain.find(Every([rule.goal, *(deny.otherwise for deny in subject.denies)]))
        if not isinstance(found, Found):
            continue
        refused = subject.situated(found.values)
        if refused is not None and _is_refused(rule, refused):
            lower = subject.situated({**found.values, _OUTPUT: _SMALLEST})
            yield _report(rule, rule, refused, always=lower is not None and _is_refused(rule, lower))
    yield from _narrow_overflows(subject)


def _narrow_for_models(subject: Subject, rule: Rule) -> Iterator[Diagnostic]:
    """Report a budget of some models that refuses what a route brings to them, however short it is.

    Where other models are left, or some callers have no limit to speak of, it may be meant to keep these models out.
    """
    for values in ways_of(subject, rule.goal) if isinstance(_limit(rule), Decimal) else ():
        seen = subject.situated({**values, _OUTPUT: _SMALLEST})
        if seen is not None and _is_refused(rule, seen):
            yield _report(rule, rule, seen, always=True)
            return


def _narrow_overflows(subject: Subject) -> Iterator[Diagnostic]:
    """Report overflows that have no room for a short call of a budget that has none."""
    rules = {rule.id: rule for rule in subject.rules["budgets"]}
    for rule in subject.limits:
        assert isinstance(rule.step, BudgetStep)
        overflow = rules.get(rule.step.overflow)
        if overflow is None or _limit(overflow) == 0:
            continue
        found = subject.domain.find(Every([rule.goal, overflow.goal, *(deny.otherwise for deny in subject.denies)]))
        if not isinstance(found, Found):
            continue
        refused = _spent(subject, rule, found.values)
        if refused is not None and _is_refused(rule, refused):
            lower = _spent(subject, rule, {**found.values, _OUTPUT: _SMALLEST})
            always = lower is not None and _is_refused(rule, lower)
            yield _report(overflow, rule, refused, always=always)


def _spent(subject: Subject, rule: Rule, values: Assignment) -> Witness | None:
    """Return what is decided once all of a budget is spent."""
    before = subject.situated(values)
    seen = () if before is None else before.decision.balances
    full = {(rule.id, item.key): Balance(used=item.limit) for item in seen if item.budget == rule.id}
    return None if before is None or not full else subject.decided(Situation(before.request, full, before.now))


def _report(rule: Rule, by: Rule, refused: Witness, *, always: bool) -> Diagnostic:
    """Report a budget without room; ``by`` is the one that refuses, of which it may be the overflow."""
    assert isinstance(rule.step, BudgetStep)
    report = _FOUND.mistake if always else _FOUND.warning
    return report(
        f"`{rule.id}` has no room for a single call such as `{shown(refused.request)}`",
        rule.place.at(f"hard_limit_{base_of(rule.step.unit)}").span,
        next(item.reason for item in refused.decision.excluded if item.by == by.id),
        "raise the limit, or lower `max_output_tokens`, for whose worst case there must be room",
        witnesses=[refused.shown],
    )


def _limit(rule: Rule) -> object:
    assert isinstance(rule.step, BudgetStep)
    return rule.step.limit


def _is_refused(rule: Rule, witness: Witness) -> bool:
    """Say whether the budget alone refuses a request when nothing is spent."""
    decision = witness.decision
    return decision.model is None and bool(decision.excluded) and all(item.by == rule.id for item in decision.excluded)
