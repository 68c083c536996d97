"""What is written out in an expression: numbers, texts, lists and times, and tables in which values are looked up."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from costlens_policy.expressions import Node, ResolutionKind, TypedExpr
from costlens_policy.expressions.tree import Call, Index, ListLiteral, Literal, MapLiteral, Name, Select

__all__ = ["literal", "table", "without_default"]

_FINE: Final = re.compile(r"\.\d{7}")
"""Fractions of a second that a ``datetime`` has not."""


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
            if key is None or value is None or entry.optional:
                return None
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
