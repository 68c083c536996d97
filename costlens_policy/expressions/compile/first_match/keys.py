"""What a condition demands of single attributes: equality with a literal, membership in a list of them, a prefix.

Such a demand is an operand of the condition's ``&&``. Where it is not met, that operand is false, and the whole is
false whatever the other operands are, errors included: so a condition need not even be looked at for a request that
does not meet it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from costlens_policy.expressions.tree import Call, ListLiteral, Literal, Logic, Name, Node, Presence, Select
from costlens_policy.expressions.typed import ResolutionKind, TypedExpr
from costlens_policy.expressions.types import INT, STRING

__all__ = ["Demands", "Key", "Operand", "Wanted", "demands_of"]

Wanted: TypeAlias = frozenset[str | int]

_LARGEST_SET: Final = 64


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """A field of a record variable: its whole value, or its first ``prefix`` characters where that is not 0.

    ``optional`` says that it may be missing.
    """

    variable: str
    field: str
    prefix: int
    optional: bool


@dataclass(frozen=True, slots=True)
class Operand:
    """An operand of a condition's ``&&``: a demand of ``key``, or a ``has()`` of the ``field``, or neither."""

    node: Node
    key: Key | None
    field: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Demands:
    """The ``wanted`` values by key, and the operands they come from."""

    wanted: dict[Key, Wanted]
    operands: tuple[Operand, ...]

    def left(self, keys: Collection[Key]) -> tuple[Node, ...]:
        """Return the operands that remain to be evaluated where the demands of some keys are met."""
        fields = {(key.variable, key.field) for key in keys}
        return tuple(part.node for part in self.operands if part.key not in keys and part.field not in fields)

    def guards(self, key: Key) -> bool:
        """Say whether the condition is false, not an error, where the key's field is missing."""
        return any(part.field == (key.variable, key.field) for part in self.operands)


def demands_of(typed: TypedExpr, parameters: Collection[str]) -> Demands:
    """Split a condition into what an index of the parameters' fields can answer and what it cannot."""
    wanted: dict[Key, Wanted] = {}
    operands: list[Operand] = []
    for node in _operands(typed.root):
        demand = _demand(typed, node)
        if demand is None or demand[0].variable not in parameters:
            operands.append(Operand(node, None, _presence(typed, node)))
            continue
        key, values = demand
        wanted[key] = wanted[key] & values if key in wanted else values
        operands.append(Operand(node, key, None))
    return Demands(wanted, tuple(operands))


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
