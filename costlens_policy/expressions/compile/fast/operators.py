"""Operators as Python's own, where the kinds of the operands make them the same."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from costlens_policy.expressions.compile.fast.intervals import fits, result_of
from costlens_policy.expressions.compile.fast.python import attribute, binary, compare, const, negative, not_
from costlens_policy.expressions.runtime.collections import in_map
from costlens_policy.expressions.runtime.equality import contains
from costlens_policy.expressions.tree import ListLiteral, Literal, Node

if TYPE_CHECKING:
    from costlens_policy.expressions.compile.fast.emitter import Emitter

__all__ = ["OPERATORS"]

_SAME: Final = frozenset(("string", "bytes", "int", "uint", "double", "bool"))
"""Kinds whose values Python compares and orders as CEL does, among themselves."""

_TIMES: Final = frozenset(("timestamp", "duration"))
_EXACT: Final = 2**53
_SIGNS: Final[dict[str, ast.cmpop]] = {
    "_==_": ast.Eq(),
    "_!=_": ast.NotEq(),
    "_<_": ast.Lt(),
    "_<=_": ast.LtE(),
    "_>_": ast.Gt(),
    "_>=_": ast.GtE(),
}
_ARITHMETIC: Final[dict[str, ast.operator]] = {"_+_": ast.Add(), "_-_": ast.Sub(), "_*_": ast.Mult(), "_/_": ast.Div()}


def _equality(emitter: Emitter, function: str, left: Node, right: Node) -> ast.expr | None:
    """A string or bytes value equals nothing of another kind, in Python as in CEL; so one such side is enough."""
    equal = function == "_==_"
    kinds = {emitter.kind(left), emitter.kind(right)}
    for null, other in ((left, right), (right, left)):
        if _is_null(null):
            return compare(emitter.emit(other), ast.Is() if equal else ast.IsNot(), const(None))
        if isinstance(null, Literal) and kinds == {"bool"}:
            return emitter.emit(other) if null.value is equal else not_(emitter.emit(other))
    if kinds & {"string", "bytes"} or (len(kinds) == 1 and kinds <= _SAME):
        return compare(emitter.emit(left), _SIGNS[function], emitter.emit(right))
    return _times(emitter, function, left, right, kinds)


def _is_null(node: Node) -> bool:
    return isinstance(node, Literal) and node.value is None


def _order(emitter: Emitter, function: str, left: Node, right: Node) -> ast.expr | None:
    kinds = {emitter.kind(left), emitter.kind(right)}
    if (len(kinds) == 1 and kinds <= _SAME) or kinds == {"int", "uint"} or _is_exact(kinds, left, right):
        return compare(emitter.emit(left), _SIGNS[function], emitter.emit(right))
    return _times(emitter, function, left, right, kinds)


def _is_exact(kinds: set[str | None], left: Node, right: Node) -> bool:
    """Say whether a double meets a literal integer that is a double as well, so that both compare alike."""
    literals = [node.value for node in (left, right) if isinstance(node, Literal)]
    return kinds in ({"int", "double"}, {"uint", "double"}) and any(
        isinstance(value, int) and -_EXACT <= value <= _EXACT for value in literals
    )


def _times(emitter: Emitter, function: str, left: Node, right: Node, kinds: set[str | None]) -> ast.expr | None:
    if len(kinds) > 1 or not kinds <= _TIMES:
        return None
    return compare(
        attribute(emitter.emit(left), "nanoseconds"), _SIGNS[function], attribute(emitter.emit(right), "nanoseconds")
    )


def _arithmetic(emitter: Emitter, function: str, left: Node, right: Node) -> ast.expr | None:
    """Add, subtract, multiply, divide. Division of integers rounds differently; of doubles by zero Python raises."""
    kinds = {emitter.kind(left), emitter.kind(right)}
    if kinds == {"double"}:
        return binary(emitter.emit(left), _ARITHMETIC[function], emitter.emit(right))
    if kinds != {"int"} or function == "_/_":
        return None
    number = binary(emitter.emit(left), _ARITHMETIC[function], emitter.emit(right))
    return number if fits(result_of(emitter.typed, function, left, right)) else emitter.checked(number)


def _not(emitter: Emitter, _: str, operand: Node) -> ast.expr | None:
    return not_(emitter.emit(operand)) if emitter.kind(operand) == "bool" else None


def _negation(emitter: Emitter, _: str, operand: Node) -> ast.expr | None:
    kind = emitter.kind(operand)
    if kind not in ("int", "double"):
        return None
    number = negative(emitter.emit(operand))
    return number if kind == "double" else emitter.checked(number)


def _membership(emitter: Emitter, _: str, element: Node, container: Node) -> ast.expr | None:
    kind = emitter.kind(element)
    members = _members(container, kind)
    if members is not None:
        return compare(emitter.emit(element), ast.In(), emitter.globals.value(members))
    declared = emitter.typed.types[container]
    if emitter.kind(container) == "map":
        if kind in ("string", "int", "uint"):
            return compare(emitter.emit(element), ast.In(), emitter.emit(container))
        return emitter.call(in_map, emitter.emit(element), emitter.emit(container))
    if declared.name != "list":
        return None
    # Python's `in` looks at identity first, and so finds a NaN that equals nothing.
    if kind in _SAME - {"double"} and declared.parameters and declared.parameters[0].name == kind:
        return compare(emitter.emit(element), ast.In(), emitter.emit(container))
    return emitter.call(contains, emitter.emit(element), emitter.emit(container))


def _members(container: Node, kind: str | None) -> frozenset[Any] | None:
    """Return the elements of a literal list as a set, if looking an element up in it is what CEL does.

    Among strings that holds for elements of any kind: what cannot be hashed raises.
    """
    if not isinstance(container, ListLiteral) or any(container.optional):
        return None
    values = [node.value if isinstance(node, Literal) else None for node in container.elements]
    kinds = {type(value) for value in values}
    wanted = {None: str, "string": str, "int": int, "bytes": bytes}.get(kind)
    return frozenset(values) if kinds == {wanted} else None


OPERATORS: Final[dict[str, Callable[..., ast.expr | None]]] = {
    "_==_": _equality,
    "_!=_": _equality,
    "_<_": _order,
    "_<=_": _order,
    "_>_": _order,
    "_>=_": _order,
    "_+_": _arithmetic,
    "_-_": _arithmetic,
    "_*_": _arithmetic,
    "_/_": _arithmetic,
    "-_": _negation,
    "!_": _not,
    "@in": _membership,
}
"""By function: what emits a call of it from its arguments, or gives None where only a call of the run time will do."""
