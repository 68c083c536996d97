"""CL438: a budget whose limit is zero."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.domain import Every, Holds
from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Finding, Place
from costlens_policy.checker.reads import nodes_of
from costlens_policy.diagnostics.model import Diagnostic, Shown
from costlens_policy.expressions import Node, TypedExpr
from costlens_policy.expressions.tree import Conditional, Literal
from costlens_policy.units import base_of

__all__ = ["find_zero_limits"]

_FOUND: Final = Finding("CL438")


def find_zero_limits(subject: Subject) -> Iterator[Diagnostic]:
    """Report budgets that refuse every call they count. Elsewhere, zero often stands for no limit; here it does not."""
    for policy in subject.policies:
        for index, budget in enumerate(policy.document.budgets):
            key = f"hard_limit_{base_of(budget.unit)}"
            place = Place(policy, ("budgets", index, key))
            if budget.shadow or budget.overflow:
                continue
            for node in _zeros(subject.documents.typed(place)):
                yield _FOUND.mistake(
                    f"the limit of `{budget.id}` is zero for some, and refuses every call of theirs",
                    place.part(node.extent),
                    "zero is a limit, not the absence of one",
                    "set their limit; to refuse their calls, write a deny; for no limit, exempt them with `when`",
                )
            if getattr(budget, key) != 0:
                continue
            yield _FOUND.mistake(
                f"the budget `{budget.id}` refuses every call that it counts",
                place.span,
                "zero is a limit, not the absence of one",
                "set the limit; to refuse calls, write a deny; for no limit, remove the budget",
                witnesses=_refused(subject, policy.name, budget.id),
            )


def _refused(subject: Subject, policy: str, budget: str) -> list[Shown]:
    """Return a request that the budget counts and refuses; one whose condition fails is refused whatever the limit."""
    name = f"{policy}/{budget}"
    counted = [rule.goal for rule in subject.rules["budgets"] if rule.id == name]
    goals = [Holds(goal.tree) if isinstance(goal, Holds) else goal for goal in counted]
    return subject.shown(
        Every([*goals, subject.admitted]), lambda seen: any(item.by == name for item in seen.decision.excluded)
    )


def _zeros(typed: TypedExpr | None) -> Iterator[Node]:
    """Yield the outcomes of a limit's conditions that are zero."""
    for node in nodes_of(typed.root) if typed is not None else ():
        if isinstance(node, Conditional):
            outcomes = (node.accepted, node.rejected)
            yield from (item for item in outcomes if isinstance(item, Literal) and item.value == 0)
