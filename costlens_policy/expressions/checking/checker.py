"""The type checker. Types, overloads and aggregates follow the specification's "Gradual Type Checking"."""

from __future__ import annotations

from typing import Final

from costlens_policy.expressions.checking.calls import check_call
from costlens_policy.expressions.checking.compounds import (
    check_bind,
    check_comprehension,
    check_conditional,
    check_list,
    check_literal,
    check_logic,
    check_map,
    check_optional_map,
)
from costlens_policy.expressions.checking.members import check_index, check_name, check_presence, check_select
from costlens_policy.expressions.checking.presence import Paths, unguarded_reads
from costlens_policy.expressions.checking.walk import Rule, Walk
from costlens_policy.expressions.problems import Problem
from costlens_policy.expressions.tree import (
    Bind,
    Call,
    Comprehension,
    Conditional,
    Index,
    ListLiteral,
    Literal,
    Logic,
    MapLiteral,
    Name,
    Node,
    OptionalMap,
    Presence,
    Select,
    TypedExpr,
)
from costlens_policy.expressions.types import BOOL, DOUBLE, Environment, Type, is_numeric

__all__ = ["check", "unchecked"]

_RULES: Final[dict[type, Rule]] = {
    Bind: check_bind,
    Call: check_call,
    Comprehension: check_comprehension,
    Conditional: check_conditional,
    Index: check_index,
    ListLiteral: check_list,
    Literal: check_literal,
    Logic: check_logic,
    MapLiteral: check_map,
    Name: check_name,
    OptionalMap: check_optional_map,
    Presence: check_presence,
    Select: check_select,
}


def check(
    source: str,
    node: Node,
    environment: Environment,
    expected: Type | None = None,
    present: Paths = frozenset(),
) -> tuple[TypedExpr | None, tuple[Problem, ...]]:
    """Type an expression whose tree is ``node``. Returns it, or None where there are errors, and every problem.

    ``expected`` is the type that the whole must have; ``present`` are optional attributes that are known to be there.
    """
    walk = Walk(source, environment, _RULES, strict=True)
    if expected == BOOL:
        walk.condition(node, "a condition is expected here")
    else:
        _expect(walk, node, walk.type(node), expected)
    typed = walk.finished(node)
    if walk.fields:  # a map that no record holds is a value at hand, and not what requests may leave out
        walk.problems += unguarded_reads(typed, present)
    problems = tuple(sorted(walk.problems, key=lambda item: (item.extent.start, item.extent.end)))
    return (None if any(item.is_error for item in problems) else typed), problems


def unchecked(source: str, node: Node, environment: Environment) -> TypedExpr:
    """Resolve names without checking types: everything is ``dyn``, and what is wrong fails when evaluated."""
    walk = Walk(source, environment, _RULES, strict=False)
    walk.type(node)
    return walk.finished(node)


def _expect(walk: Walk, node: Node, found: Type, expected: Type | None) -> None:
    if expected is None or walk.substitution.fits([(expected, found)]):
        return
    shown = walk.shown(found)
    advice = f"write `{expected}({walk.text(node)})`" if is_numeric(expected) and is_numeric(shown) else ""
    if expected == DOUBLE and isinstance(node, Literal) and isinstance(node.value, int):
        advice = f"write `{node.value}.0`"
    message = f"a value of type {expected} is expected here, and this is of type {shown}"
    walk.report("CL309", message, node.extent, f"type {shown}", advice)
