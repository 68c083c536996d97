"""What a condition demands of single attributes: equality with a literal, membership in a list, a prefix, a range.

Such a demand is an operand of the condition's ``&&``. Where it is not met, that operand is false, and the whole is
false whatever the other operands are, errors included: so a condition need not even be looked at for a request that
does not meet it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, TypeAlias, cast

from costlens_policy.expressions.tree import (
    Call,
    ListLiteral,
    Literal,
    Logic,
    Name,
    Node,
    Presence,
    ResolutionKind,
    Select,
    TypedExpr,
)
from costlens_policy.expressions.types import DOUBLE, INT, STRING
from costlens_policy.frozen import frozen

__all__ = ["Demands", "Key", "Operand", "Range", "Wanted", "demands_of"]

Wanted: TypeAlias = frozenset[str | int]

_LARGEST_SET: Final = 64


@frozen(order=True)
class Key:
    """A field of a record variable: its whole value, or its first ``prefix`` characters where that is not 0.

    ``optional`` says that it may be missing.
    """

    variable: str
    field: str
    prefix: int
    optional: bool


@frozen
class Range:
    """Numbers between two bounds, each of which may be one of them itself."""

    low: float = -math.inf
    high: float = math.inf
    includes_low: bool = True
    includes_high: bool = True

    def narrowed(self, other: Range) -> Range:
        """Return the numbers that are in both."""
        low = max(self, other, key=lambda found: (found.low, not found.includes_low))
        high = min(self, other, key=lambda found: (found.high, found.includes_high))
        return Range(low.low, high.high, low.includes_low, high.includes_high)


@frozen
class Operand:
    """An operand of a condition's ``&&``: a demand of ``key``, or a ``has()`` of the ``field``, or neither."""

    node: Node
    key: Key | None
    field: tuple[str, str] | None


@frozen
class Demands:
    """The ``wanted`` values by key, the ``ranges`` of numbers by key, and the operands they come from.

    ``is_range`` says whether the condition is nothing but one range.
    """

    wanted: dict[Key, Wanted]
    operands: tuple[Operand, ...]
    ranges: dict[Key, Range]
    is_range: bool

    def left(self, keys: Collection[Key]) -> tuple[Node, ...]:
        """Return the operands that remain to be evaluated where the demands of some keys are met."""
        fields = {(key.variable, key.field) for key in keys}
        return tuple(part.node for part in self.operands if part.key not in keys and part.field not in fields)

    def guards(self, key: Key) -> bool:
        """Return whether the condition is false, not an error, where the key's field is missing."""
        return any(part.field == (key.variable, key.field) for part in self.operands)


def demands_of(typed: TypedExpr, parameters: Collection[str]) -> Demands:
    """Split a condition into what an index of the parameters' fields can answer and what it cannot."""
    wanted: dict[Key, Wanted] = {}
    ranges: dict[Key, Range] = {}
    operands: list[Operand] = []
    bounded = 0
    for node in _operands(typed.root):
        demand = _demand(typed, node)
        if demand is not None and demand[0].variable in parameters:
            operands.append(Operand(node, demand[0], None))
            _add(wanted, *demand)
            continue
        operands.append(Operand(node, None, _presence(typed, node)))
        for key, values in _implied(typed, node).items():
            if key.variable in parameters:
                _add(wanted, key, values)
        bound = _bound(typed, node)
        if bound is not None and bound[0].variable in parameters:
            key, found = bound
            ranges[key] = ranges[key].narrowed(found) if key in ranges else found
            bounded += 1
    return Demands(wanted, tuple(operands), ranges, bounded == len(operands) and len(ranges) == 1)


def _add(wanted: dict[Key, Wanted], key: Key, values: Wanted) -> None:
    wanted[key] = wanted[key] & values if key in wanted else values


def _operands(root: Node) -> tuple[Node, ...]:
    return root.operands if isinstance(root, Logic) and root.operator == "&&" else (root,)


def _demand(typed: TypedExpr, node: Node) -> tuple[Key, Wanted] | None:
    if isinstance(node, Logic):
        return _alternatives(typed, node)
    if not isinstance(node, Call) or node not in typed.calls:
        return None
    return next((found for found in _of_call(typed, node) if found is not None), None)


def _of_call(typed: TypedExpr, node: Call) -> Iterator[tuple[Key, Wanted] | None]:
    invocation = typed.calls[node]
    if len(invocation.arguments) != 2:
        return
    left, right = invocation.arguments
    match invocation.function:
        case "_==_":
            yield _pair(typed, left, _values((right,)))
            yield _pair(typed, right, _values((left,)))
        case "@in" if isinstance(right, ListLiteral) and not any(right.optional):
            yield _pair(typed, left, _values(right.elements))
        case "startsWith" if isinstance(right, Literal) and right.value:
            yield _pair(typed, left, _values((right,)), prefix=len(right.value))


def _alternatives(typed: TypedExpr, node: Logic) -> tuple[Key, Wanted] | None:
    """Read ``a == 1 || a == 2``: every operand demands something of the one key."""
    if node.operator != "||":
        return None
    demands = [_demand(typed, operand) for operand in node.operands]
    keys = {demand[0] for demand in demands if demand is not None}
    if None in demands or len(keys) != 1:
        return None
    values = frozenset[str | int]().union(*(demand[1] for demand in demands if demand is not None))
    return (keys.pop(), values) if len(values) <= _LARGEST_SET else None


def _implied(typed: TypedExpr, node: Node) -> Mapping[Key, Wanted]:
    """Return what is demanded by every alternative of ``(a == 1 && …) || (a == 2 && …)``: without it, all are false.

    The operand itself stays to be evaluated.
    """
    if not isinstance(node, Logic):
        demand = _demand(typed, node)
        return {} if demand is None else dict((demand,))
    each = [_implied(typed, operand) for operand in node.operands]
    if node.operator == "&&":
        found: dict[Key, Wanted] = {}
        for key, values in (item for implied in each for item in implied.items()):
            _add(found, key, values)
        return found
    shared = frozenset[Key].intersection(*(frozenset(implied) for implied in each))
    either = {key: frozenset[str | int]().union(*(implied[key] for implied in each)) for key in shared}
    return {key: values for key, values in either.items() if len(values) <= _LARGEST_SET}


_MIRRORED: Final = {"_<_": "_>_", "_<=_": "_>=_", "_>_": "_<_", "_>=_": "_<=_"}


def _bound(typed: TypedExpr, node: Node) -> tuple[Key, Range] | None:
    """Read a comparison of a number with a literal, such as ``request.prompt_tokens < 1000``."""
    invocation = typed.calls.get(node) if isinstance(node, Call) else None
    if invocation is None or invocation.function not in _MIRRORED:
        return None
    left, right = invocation.arguments
    function = invocation.function
    if isinstance(left, Literal):
        left, right, function = right, left, _MIRRORED[function]
    kind = {INT: int, DOUBLE: float}.get(typed.types[left])
    if not isinstance(left, Select) or not isinstance(right, Literal) or kind is None or type(right.value) is not kind:
        return None
    field, bound = _field(typed, left.operand, left.field), cast("float", right.value)
    if field is None or not math.isfinite(bound):
        return None
    key = Key(*field, 0, _is_optional(typed, *field))
    if function in ("_<_", "_<=_"):
        return key, Range(high=bound, includes_high=function == "_<=_")
    return key, Range(low=bound, includes_low=function == "_>=_")


def _values(nodes: tuple[Node, ...]) -> Wanted | None:
    """Return literals that are all strings, or all ints, as a set."""
    values = frozenset[Any](node.value if isinstance(node, Literal) else None for node in nodes)
    kinds = {type(value) for value in values}
    return values if kinds in ({str}, {int}) and len(values) <= _LARGEST_SET else None


def _pair(typed: TypedExpr, node: Node, values: Wanted | None, prefix: int = 0) -> tuple[Key, Wanted] | None:
    if values is None or not isinstance(node, Select):
        return None
    field = _field(typed, node.operand, node.field)
    kind = {STRING: str, INT: int}.get(typed.types[node])
    if field is None or kind is None or not isinstance(next(iter(values)), kind):
        return None
    return Key(*field, prefix, _is_optional(typed, *field)), values


def _presence(typed: TypedExpr, node: Node) -> tuple[str, str] | None:
    return _field(typed, node.operand, node.field) if isinstance(node, Presence) else None


def _field(typed: TypedExpr, operand: Node, field: str) -> tuple[str, str] | None:
    """Return variable and field, where the operand is a variable that is a record."""
    if not isinstance(operand, Name):
        return None
    resolution = typed.resolutions.get(operand)
    if resolution is None or resolution.kind is not ResolutionKind.VARIABLE:
        return None
    record = typed.environment.record(resolution.type)
    return None if record is None or field not in record.fields else (resolution.name, field)


def _is_optional(typed: TypedExpr, variable: str, field: str) -> bool:
    record = typed.environment.record(typed.environment.variables[variable])
    return record is None or record.fields[field].optional
