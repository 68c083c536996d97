"""CL453: an overflow that takes the limit of a budget out of force."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.domain import Every, Nothing
from costlens_policy.assurance.subject import Rule, Subject
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.compiler.rules import BudgetStep
from costlens_policy.diagnostics.model import Diagnostic, Related

__all__ = ["find_endless_overflows"]

_FOUND: Final = Finding("CL453")


def find_endless_overflows(subject: Subject) -> Iterator[Diagnostic]:
    """Report budgets whose overflow counts any number of calls, so that they limit nothing any more."""
    rules = {rule.id: rule for rule in subject.rules["budgets"]}
    for rule in rules.values():
        step = _step(rule)
        overflow = rules.get(step.overflow)
        if overflow is None or step.shadow:  # which counts every call itself
            continue
        key, why, advice = _endless(_step(overflow), step)
        if key and not isinstance(subject.domain.find(Every([rule.goal, overflow.goal])), Nothing):
            yield _FOUND.mistake(
                f"the budget `{rule.id}` limits nothing that its overflow `{overflow.id}` counts",
                rule.place.at("overflow").span,
                "takes the limit out of force",
                advice,
                [Related(overflow.place.at(key).span, why)],
                witnesses=subject.shown(Every([rule.goal, overflow.goal])),
            )


def _endless(overflow: BudgetStep, step: BudgetStep) -> tuple[str, str, str]:
    """Return by which of its keys, and why, an overflow counts whatever has no room on a budget; and what to do.

    All are empty where it does not. Larger calls are what the overflow of a limit on each call is for.
    """
    if overflow.shadow:
        return "shadow", "in shadow, refuses nothing", "remove `shadow` from the overflow, or put both in shadow"
    if overflow.per_call and (not step.per_call or overflow.unit == "requests"):
        return "window", "limits each call by itself, not their sum", "give the overflow a window that limits a sum"
    return "", "", ""


def _step(rule: Rule) -> BudgetStep:
    assert isinstance(rule.step, BudgetStep)
    return rule.step
