"""What names stand for, put in their place: constants such as ``data.limits.tokens``, and parts of other variables.

An attribute of a record may stand for an entry of a map elsewhere: ``model.warm_tokens`` is the entry of this model in
``request.warm_tokens``. What reads an expression later, the indexes of routes and the checks on meaning among others,
then finds literals where constants were read, and one name for what has two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, Final

from costlens_policy.expressions.tree import (
    Call,
    Index,
    ListLiteral,
    Literal,
    MapLiteral,
    Name,
    Node,
    OptionalMap,
    Presence,
    ResolutionKind,
    Select,
    TypedExpr,
)
from costlens_policy.expressions.values import Value

__all__ = ["expanded", "folded"]

_SCALARS: Final = (bool, int, float, str)
_LONGEST: Final = 64
"""Elements of a list that is put in place; larger ones stay where they are."""
_UNKNOWN: Final = object()


def folded(typed: TypedExpr) -> Node:
    """Return the tree of an expression with literals for the scalars, and short lists of them, that it reads."""
    return _replaced(typed.root, _Folding(typed).folded)  # type: ignore[no-any-return]  # a node for a node


def expanded(typed: TypedExpr) -> Node:
    """Return the tree of an expression that reads the parts themselves of which it names the aliases."""

    def part_of(node: Node) -> Node | None:
        if isinstance(node, Select | Presence):
            return _entry_of(typed, node)
        resolution = typed.resolutions.get(node) if isinstance(node, Name) else None
        if resolution is None or resolution.kind is not ResolutionKind.VARIABLE:
            return None
        root, *steps = typed.environment.aliases.get(resolution.name, (resolution.name,))
        if not steps:
            return None
        found: Node = Name(node.extent, root)
        for step in steps:
            found = Select(node.extent, found, step, node.extent)
        return found

    return _replaced(typed.root, part_of)  # type: ignore[no-any-return]  # a node for a node


_IT: Final = "@record"
"""The variable of a record that may be missing. No expression can name it."""


def _entry_of(typed: TypedExpr, node: Select | Presence) -> Node | None:
    """Return the entry of a map for which an attribute of a record stands; None for every other attribute.

    All of it but the entry is at the place of the record, so that nothing is shown of it.
    """
    owner = typed.types.get(node.operand)
    if owner is None or not typed.environment.entries:
        return None
    maybe = owner.name == "optional_type"
    known = typed.environment.entries.get((owner.parameters[0].name if maybe else owner.name, node.field))
    if known is None:
        return None
    (root, attribute), key = known
    place = node.operand.extent
    entries = Select(place, Name(place, root), attribute, node.field_extent, optional=maybe or _is_optional(node))
    if maybe:
        record: Node = Name(place, _IT)
        found = Index(node.extent, entries, Select(place, record, key, place), optional=True)
        mapped = OptionalMap(node.extent, node.operand, _IT, found, flat=True)
        return mapped if isinstance(node, Select) else Call(node.extent, "hasValue", place, mapped, ())
    key_of = Select(place, node.operand, key, place)
    if isinstance(node, Select):
        return Index(node.extent, entries, key_of, node.optional)
    none = MapLiteral(place, ())
    known_entries = Call(place, "orValue", place, replace(entries, optional=True), (none,))
    return Call(node.extent, "@in", place, None, (key_of, known_entries))


def _is_optional(node: Select | Presence) -> bool:
    return isinstance(node, Select) and node.optional


def _replaced(part: Any, change: Callable[[Any], Node | None]) -> Any:
    """Return a node, or what a node is made of, with what ``change`` gives in place; itself where that is nothing."""
    if isinstance(part, tuple):
        parts = tuple(_replaced(item, change) for item in part)
        return part if all(map(_same, parts, part)) else parts
    if not hasattr(part, "extent"):
        return part
    if (made := change(part)) is not None:
        return made
    inner = {item.name: getattr(part, item.name) for item in fields(part)}
    changed = {name: made for name, value in inner.items() if (made := _replaced(value, change)) is not value}
    return replace(part, **changed) if changed else part


class _Folding:
    def __init__(self, typed: TypedExpr) -> None:
        self._typed = typed

    def folded(self, node: Node) -> Node | None:
        """Return what is known of a node as it would be written out; None where nothing is."""
        if not isinstance(node, Name | Select | Index | Presence):
            return None
        found = self._value(node)
        return None if found is _UNKNOWN else _written(node, found)

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
