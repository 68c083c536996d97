"""What is written out in an expression: numbers, texts, lists and times, and tables in which values are looked up."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, MutableSet
from datetime import UTC, datetime
from typing import Any, Final

from costlens_policy.expressions import Node, ResolutionKind, TypedExpr
from costlens_policy.expressions.tree import Call, Index, ListLiteral, Literal, MapLiteral, Name, Select

__all__ = ["Constants", "literal", "table", "without_default"]

_FINE: Final = re.compile(r"\.\d{7}")
"""Fractions of a second that a ``datetime`` has not."""


class Constants(MutableSet[Any]):
    """Constants that expressions write out: ``True``, ``1`` and ``1.0`` are three, which Python's sets take for one.

    What is ``in`` them equals one of them in CEL, in which ``1 == 1.0`` and neither is ``true``.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Iterable[Any] = ()) -> None:
        self._values: dict[tuple[type, Any], Any] = {}
        self.update(values)

    def __contains__(self, value: object) -> bool:
        kinds = (int, float) if type(value) in (int, float) else (type(value),)
        return any((kind, value) in self._values for kind in kinds)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values.values())

    def __len__(self) -> int:
        return len(self._values)

    def add(self, value: Any) -> None:
        self._values.setdefault((type(value), value), value)

    def discard(self, value: Any) -> None:
        self._values.pop((type(value), value), None)

    def update(self, values: Iterable[Any]) -> None:
        for value in values:
            self.add(value)


def literal(node: Node) -> tuple[Any] | None:
    """Return what is written out, in a tuple; None where nothing is."""
    if isinstance(node, Call) and node.function == "-_" and isinstance(node.arguments[0], Literal):
        value = node.arguments[0].value
        return (-value,) if isinstance(value, int | float) and not isinstance(value, bool) else None
    if isinstance(node, ListLiteral) and not any(node.optional):
        items = [literal(element) for element in node.elements]
        return None if None in items else ([item[0] for item in items if item is not None],)
    if isinstance(node, MapLiteral) and not node.entries:
        return ({},)
    if isinstance(node, Call) and node.function == "timestamp" and isinstance(node.arguments[0], Literal):
        return _timestamp(node.arguments[0].value)
    return (node.value,) if isinstance(node, Literal) else None


def _timestamp(text: object) -> tuple[datetime] | None:
    if _FINE.search(str(text)):
        return None
    try:
        return (datetime.fromisoformat(str(text)).astimezone(UTC),)
    except ValueError:
        return None


def without_default(node: Node) -> Node:
    """Return what has a value that is written out in its place where it is missing, or the node itself."""
    if isinstance(node, Call) and node.function == "orValue" and node.target is not None:
        return node.target if literal(node.arguments[0]) is not None else node
    return node


def table(typed: TypedExpr, node: Node) -> Mapping[Any, Any] | None:
    """Return a map that an expression reads, where all of it is written out, in place or in a data document."""
    if isinstance(node, MapLiteral):
        found: dict[Any, Any] = {}
        for entry in node.entries:
            key, value = literal(entry.key), literal(entry.value)
            if key is None or value is None or entry.optional or key[0] in found:
                return None  # with keys `1` and `true`, it is no map of Python's
            found[key[0]] = value[0]
        return found
    constant = _constant(typed, node)
    return constant if isinstance(constant, Mapping) else None


def _constant(typed: TypedExpr, node: Node) -> Any:
    """Return what an expression reads of the data documents; None where it reads anything else."""
    if isinstance(node, Name):
        resolution = typed.resolutions.get(node)
        is_variable = resolution is not None and resolution.kind is ResolutionKind.VARIABLE
        return typed.environment.constants.get(node.name) if is_variable else None
    if isinstance(node, Select):
        above, key = _constant(typed, node.operand), node.field
    elif isinstance(node, Index) and isinstance(node.key, Literal):
        above, key = _constant(typed, node.operand), str(node.key.value)
    else:
        return None
    return above.get(key) if isinstance(above, Mapping) else None
