"""Calls: an operation of Python, one overload's implementation, or the choice among overloads at run time."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from costlens_policy.expressions.compile.fast.emitter import Emitter
from costlens_policy.expressions.compile.fast.python import (
    attribute,
    binary,
    call,
    choice,
    compare,
    const,
    name,
    named,
    negative,
    not_,
)
from costlens_policy.expressions.errors import CelError
from costlens_policy.expressions.functions import functions
from costlens_policy.expressions.limits import held_to
from costlens_policy.expressions.runtime.collections import either, in_map, value_or
from costlens_policy.expressions.runtime.equality import contains
from costlens_policy.expressions.runtime.functions import (
    dispatcher,
    implementation,
    implementations,
    kind_of_type,
    searches,
)
from costlens_policy.expressions.runtime.operators import INT_MAX, INT_MIN
from costlens_policy.expressions.tree import (
    Call,
    Conditional,
    Index,
    Invocation,
    ListLiteral,
    Literal,
    Node,
    Select,
    TypedExpr,
)
from costlens_policy.expressions.types import Overload
from costlens_policy.expressions.values import NO_VALUE, Value

__all__ = ["call_"]


_LAZY: Final = ("or", "orValue")


def call_(emitter: Emitter, node: Call) -> ast.expr:
    invocation = emitter.typed.calls[node]
    function = invocation.function
    emitter.charge(invocation)
    emit = _IN_PLACE.get(function)
    emitted = emit(emitter, function, *invocation.arguments) if emit and invocation.overloads else None
    if emitted is not None:
        return emitted
    return emitter.without_fast_form() if function in _LAZY else _run_time_call(emitter, invocation)


def _run_time_call(emitter: Emitter, invocation: Invocation) -> ast.expr:
    arguments = [emitter.emit(argument) for argument in invocation.arguments]
    if searches(invocation.function):
        arguments.append(emitter.account())
    overload = _settled(emitter, invocation)
    if overload is not None:
        return emitter.call(held_to(emitter.limits.size, implementation(overload.id)), *arguments)
    function = dispatcher(invocation.function, invocation.overloads)
    return emitter.call(held_to(emitter.limits.size, function), *arguments)


def _settled(emitter: Emitter, invocation: Invocation) -> Overload | None:
    """Return the one overload that the kinds of the arguments leave, or None where values must decide."""
    declared = functions().get(invocation.function)
    if declared is None or len(invocation.overloads) != 1:
        return None
    overload = next((one for one in declared.overloads if one.id in invocation.overloads), None)
    if overload is None or overload.id not in implementations():
        return None
    wanted = map(kind_of_type, overload.parameters)
    agrees = all(
        kind is None or kind == emitter.kind(argument)
        for kind, argument in zip(wanted, invocation.arguments, strict=True)
    )
    return overload if agrees else None


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
    """Return whether a double meets a literal integer that is a double as well, so that both compare alike."""
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
    return number if _fits(_result_of(emitter.typed, function, left, right)) else emitter.checked(number)


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


_SIZED: Final = ("string", "bytes", "list", "map")
_CLOCK: Final = {"getHours": (3_600, 24), "getMinutes": (60, 60), "getSeconds": (1, 60)}
"""By method: how many seconds there are to a unit, and how many units to the next greater one."""

_SECOND: Final = 1_000_000_000


def _size(emitter: Emitter, _: str, sized: Node) -> ast.expr | None:
    return call(name("len"), emitter.emit(sized)) if emitter.kind(sized) in _SIZED else None


def _contains(emitter: Emitter, _: str, text: Node, part: Node) -> ast.expr | None:
    if not _are_strings(emitter, text, part):
        return None
    return compare(emitter.emit(part), ast.In(), emitter.emit(text))


def _affix(emitter: Emitter, function: str, text: Node, part: Node) -> ast.expr | None:
    if not _are_strings(emitter, text, part):
        return None
    return call(attribute(emitter.emit(text), function.lower()), emitter.emit(part))


def _matches(emitter: Emitter, _: str, text: Node, pattern: Node) -> ast.expr | None:
    """Compile a literal pattern now, and match one without operators by Python's own string methods."""
    if emitter.kind(text) != "string" or not isinstance(pattern, Literal) or type(pattern.value) is not str:
        return None
    from costlens_policy.expressions.runtime.regex import matcher, plain_pattern  # it brings RE2 along

    try:
        matches = matcher(pattern.value)
    except CelError:
        return None
    plain = plain_pattern(pattern.value)
    if plain is None:
        return emitter.call(matches, emitter.emit(text), emitter.account())
    start, literal, end = plain
    if start and end:
        return compare(emitter.emit(text), ast.Eq(), const(literal))
    if start or end:
        return call(attribute(emitter.emit(text), "startswith" if start else "endswith"), const(literal))
    return compare(const(literal), ast.In(), emitter.emit(text))


def _clock(emitter: Emitter, function: str, time: Node, *zone: Node) -> ast.expr | None:
    if zone or emitter.kind(time) != "timestamp":
        return None
    unit, modulus = _CLOCK[function]
    units = binary(attribute(emitter.emit(time), "nanoseconds"), ast.FloorDiv(), const(unit * _SECOND))
    return binary(units, ast.Mod(), const(modulus))


def _are_strings(emitter: Emitter, *nodes: Node) -> bool:
    return all(emitter.kind(node) == "string" for node in nodes)


_SCRATCH: Final = "o"
_PLAIN_KEYS: Final = ("string", "int", "uint")
_NO_ENTRIES: Final[dict[Value, Value]] = {}


def _or_value(emitter: Emitter, _: str, optional: Node, other: Node) -> ast.expr | None:
    """Evaluate the default only where there is no value; of a map's entry with a literal default, get it directly."""
    if isinstance(other, Literal):
        entry = _entry(emitter, optional)
        if entry is not None:
            container, key = entry
            return call(attribute(container, "get"), key, emitter.emit(other))
    if emitter.kind(optional) != "optional_type":
        return None
    return _lazily(emitter, optional, other, attribute(name(_SCRATCH), "value"), value_or)


def _or(emitter: Emitter, _: str, optional: Node, other: Node) -> ast.expr | None:
    if emitter.kind(optional) != "optional_type" or emitter.kind(other) != "optional_type":
        return None
    return _lazily(emitter, optional, other, name(_SCRATCH), either)


def _lazily(
    emitter: Emitter, optional: Node, other: Node, present: ast.expr, at_once: Callable[..., Value]
) -> ast.expr:
    """Write ``present if (o := optional) is not NO_VALUE else other``; where ``:=`` may not stand, evaluate both."""
    left, right = emitter.emit(optional), emitter.emit(other)
    if emitter.in_range:
        return emitter.call(at_once, left, right)
    return choice(compare(named(_SCRATCH, left), ast.IsNot(), emitter.bind(NO_VALUE)), present, right)


def _has_value(emitter: Emitter, _: str, optional: Node) -> ast.expr | None:
    entry = _entry(emitter, optional)
    if entry is not None:
        container, key = entry
        return compare(key, ast.In(), container)
    if emitter.kind(optional) != "optional_type":
        return None
    return compare(emitter.emit(optional), ast.IsNot(), emitter.bind(NO_VALUE))


def _entry(emitter: Emitter, node: Node) -> tuple[ast.expr, ast.expr] | None:
    """Return container and key of ``map.?field`` and ``map[?key]``; the map itself may be missing."""
    if not isinstance(node, Select | Index) or not node.optional:
        return None
    container = _entries(emitter, node.operand)
    if container is None:
        return None
    if isinstance(node, Select):
        return container, const(node.field)
    return (container, emitter.emit(node.key)) if emitter.kind(node.key) in _PLAIN_KEYS else None


def _entries(emitter: Emitter, node: Node) -> ast.expr | None:
    """Emit a map; of an attribute ``record.?field`` that is one, no entries where the attribute is absent."""
    if emitter.kind(node) == "map":
        return emitter.emit(node)
    declared = emitter.typed.types[node]
    holds_map = declared.name == "optional_type" and declared.parameters[0].name == "map"
    if not isinstance(node, Select) or not node.optional or not holds_map or emitter.kind(node.operand) != "map":
        return None
    return call(attribute(emitter.emit(node.operand), "get"), const(node.field), emitter.bind(_NO_ENTRIES))


_Interval: TypeAlias = tuple[int, int]

_ANY: Final[_Interval] = (INT_MIN, INT_MAX)
_DEEPEST: Final = 8


def _interval(typed: TypedExpr, node: Node, depth: int = 0) -> _Interval:
    """Return bounds of the value of a node whose type is int; of what is not known, those of the type."""
    if isinstance(node, Literal) and type(node.value) is int:
        return (node.value, node.value)
    if depth > _DEEPEST:
        return _ANY
    if isinstance(node, Conditional):
        accepted, rejected = _interval(typed, node.accepted, depth + 1), _interval(typed, node.rejected, depth + 1)
        return (min(accepted[0], rejected[0]), max(accepted[1], rejected[1]))
    return _call_interval(typed, node, depth) if isinstance(node, Call) else _ANY


def _call_interval(typed: TypedExpr, node: Call, depth: int) -> _Interval:
    invocation = typed.calls[node]
    if invocation.function not in ("_+_", "_-_", "_*_"):
        row = functions().get(invocation.function)
        return _ANY if row is None or row.bounds is None else row.bounds
    left, right = (_interval(typed, argument, depth + 1) for argument in invocation.arguments)
    bounds = _combined(invocation.function, left, right)
    return bounds if _fits(bounds) else _ANY


def _combined(function: str, left: _Interval, right: _Interval) -> _Interval:
    if function == "_+_":
        return (left[0] + right[0], left[1] + right[1])
    if function == "_-_":
        return (left[0] - right[1], left[1] - right[0])
    products = [one * other for one in left for other in right]
    return (min(products), max(products))


def _result_of(typed: TypedExpr, function: str, left: Node, right: Node) -> _Interval:
    """Return bounds of a sum, difference or product before it is checked."""
    return _combined(function, _interval(typed, left), _interval(typed, right))


def _fits(bounds: _Interval) -> bool:
    return bounds[0] >= INT_MIN and bounds[1] <= INT_MAX


_IN_PLACE: Final[dict[str, Callable[..., ast.expr | None]]] = {
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
    "size": _size,
    "contains": _contains,
    "startsWith": _affix,
    "endsWith": _affix,
    "matches": _matches,
    **dict.fromkeys(_CLOCK, _clock),
    "or": _or,
    "orValue": _or_value,
    "hasValue": _has_value,
}
"""By function: what emits a call of it from its arguments, or gives None where only a call of the run time will do."""
