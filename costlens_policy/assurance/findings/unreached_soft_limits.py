"""CL442: a soft limit that some hard limit lies below."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from costlens_policy.assurance.subject import Rule, Subject
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.rules import BudgetStep
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.expressions.tree import Conditional, Literal, Node
from costlens_policy.units import base_of

__all__ = ["find_unreached_soft_limits"]

_FOUND: Final = Finding("CL442")


def find_unreached_soft_limits(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of soft limits that are not below every amount that the expression of the hard limit writes out."""
    for rule in subject.rules["budgets"]:
        assert isinstance(rule.step, BudgetStep)
        soft = next((item.at_amount for item in rule.step.thresholds if item.is_soft_limit), None)
        if soft is None or not isinstance(rule.step.limit, Formula) or rule.step.carry_over is not None:
            continue
        lower = sorted(amount for amount in _amounts(rule.step.limit.typed.root) if amount <= soft)
        if lower:
            yield _found(rule, soft, lower[0])


def _found(rule: Rule, soft: Decimal, hard: Decimal) -> Diagnostic:
    assert isinstance(rule.step, BudgetStep)
    return _FOUND.warning(
        f"the soft limit of `{rule.id}` is {soft:f}, and its hard limit may be {hard:f}",
        rule.place.at(f"soft_limit_{base_of(rule.step.unit)}").span,
        "never reached there",
        "use a threshold with `at_ratio`, which follows the limit",
    )


def _amounts(node: Node) -> Iterator[Decimal]:
    """Yield the results of an expression that are written out."""
    if isinstance(node, Conditional):
        yield from _amounts(node.accepted)
        yield from _amounts(node.rejected)
    elif isinstance(node, Literal) and isinstance(node.value, int | float):
        yield Decimal(repr(node.value))
