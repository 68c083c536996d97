"""Reads of constants, such as ``data.limits.tokens``, put in place of what they give: what is known need not be asked.

What reads an expression later, the indexes of routes and the checks on meaning among others, then finds literals there.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Final

from costlens_policy.expressions.tree import (
    Index,
    ListLiteral,
    Literal,
    Name,
    Node,
    Presence,
    ResolutionKind,
    Select,
    TypedExpr,
)
from costlens_policy.expressions.values import Value

__all__ = ["folded"]

_SCALARS: Final = (bool, int, float, str)
_LONGEST: Final = 64
"""Elements of a list that is put in place; larger ones stay where they are."""
_UNKNOWN: Final = object()


def folded(typed: TypedExpr) -> Node:
    """Return the tree of an expression with literals for the scalars, and short lists of them, that it reads."""
    return _Folding(typed).folded(typed.root)  # type: ignore[no-any-return]  # a node for a node


class _Folding:
    def __init__(self, typed: TypedExpr) -> None:
        self._typed = typed

    def folded(self, part: Any) -> Any:
        """Return a node, or what a node is made of, with what is known in place; itself where nothing is."""
        if isinstance(part, tuple):
            parts = tuple(map(self.folded, part))
            return part if all(map(_same, parts, part)) else parts
        if not hasattr(part, "extent"):
            return part
        if isinstance(part, Name | Select | Index | Presence):
            found = self._value(part)
            made = None if found is _UNKNOWN else _written(part, found)
            if made is not None:
                return made
        inner = {item.name: getattr(part, item.name) for item in fields(part)}
        changed = {name: made for name, value in inner.items() if (made := self.folded(value)) is not value}
        return replace(part, **changed) if changed else part

    def _value(self, node: Node) -> Any:
        """Return what a node reads from a constant, ``_UNKNOWN`` for every other node and where there is nothing."""
        if isinstance(node, Name | Select) and (resolution := self._typed.resolutions.get(node)) is not None:
            constants = self._typed.environment.constants
            return constants.get(resolution.name, _UNKNOWN) if resolution.kind is ResolutionKind.VARIABLE else _UNKNOWN
        if isinstance(node, Presence):
            operand = self._value(node.operand)
            return node.field in operand if isinstance(operand, dict) else _UNKNOWN
        if isinstance(node, Select) and not node.optional:
            return _entry(self._value(node.operand), node.field)
        if isinstance(node, Index) and not node.optional and isinstance(node.key, Literal):
            return _entry(self._value(node.operand), node.key.value)
        return _UNKNOWN


def _same(one: object, other: object) -> bool:
    return one is other


def _entry(container: Any, key: Value) -> Any:
    if isinstance(container, dict):
        return container.get(key, _UNKNOWN)
    if isinstance(container, list) and type(key) is int and 0 <= key < len(container):
        return container[key]
    return _UNKNOWN


def _written(node: Node, value: Value) -> Node | None:
    """Return a value as it would be written out in place of a node; None where that is not done."""
    if type(value) in _SCALARS:
        return Literal(node.extent, value, named=True)
    if not isinstance(value, list) or not 0 < len(value) <= _LONGEST:
        return None
    kinds = {type(element) for element in value}
    if len(kinds) != 1 or kinds.isdisjoint(_SCALARS):
        return None
    elements = tuple(Literal(node.extent, element) for element in value)
    return ListLiteral(node.extent, elements, (False,) * len(elements))
