"""Literals, names, and access to lists, maps and records."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from costlens_policy.expressions.compile.fast.python import compare, const, list_, name, subscript
from costlens_policy.expressions.runtime.collections import (
    element,
    has_field,
    lookup,
    make_map,
    optional_lookup,
    optional_select,
)
from costlens_policy.expressions.runtime.collections import select as select_field
from costlens_policy.expressions.tree import (
    Index,
    ListLiteral,
    Literal,
    MapLiteral,
    Name,
    Node,
    Presence,
    Select,
)
from costlens_policy.expressions.typed import Resolution, ResolutionKind
from costlens_policy.expressions.types import Type

if TYPE_CHECKING:
    from costlens_policy.expressions.compile.fast.emitter import Emitter

__all__ = ["index", "list_literal", "literal", "map_literal", "name_", "presence", "select"]

_PLAIN_KEYS: Final = ("string", "int", "uint")
"""Kinds whose values are their own keys in a dict."""


def literal(emitter: Emitter, node: Literal) -> ast.expr:
    return emitter.globals.constant(node.value)


def name_(emitter: Emitter, node: Name) -> ast.expr:
    resolution = emitter.typed.resolutions.get(node)
    return emitter.variable(node.name) if resolution is None else _resolved(emitter, resolution)


def _resolved(emitter: Emitter, resolution: Resolution) -> ast.expr:
    if resolution.kind is ResolutionKind.TYPE:
        return emitter.globals.constant(Type(resolution.type.parameters[0].name))
    if resolution.kind is ResolutionKind.LOCAL:
        return emitter.local(resolution.name)
    return emitter.variable(resolution.name)


def select(emitter: Emitter, node: Select) -> ast.expr:
    """Subscript whatever is there: of CEL's values, only a map has an element with a string for a key."""
    resolution = emitter.typed.resolutions.get(node)
    if resolution is not None:
        return _resolved(emitter, resolution)
    if emitter.shared:
        read = emitter.shared.get((_variable(emitter, node.operand), node.field))
        if read is not None and not node.optional:
            return name(read)
    operand, field = emitter.emit(node.operand), const(node.field)
    if node.optional:
        return emitter.call(optional_select, operand, field)
    if emitter.kind(node.operand) == "optional_type":
        return emitter.call(select_field, operand, field)
    if isinstance(operand, ast.Constant):
        return emitter.without_fast_form()  # it always fails, and Python would warn of it
    return subscript(operand, field)


def _variable(emitter: Emitter, node: Node) -> str:
    """Return the name of the parameter that a node is, or an empty text."""
    resolution = emitter.typed.resolutions.get(node) if isinstance(node, Name) else None
    return resolution.name if resolution is not None and resolution.kind is ResolutionKind.VARIABLE else ""


def index(emitter: Emitter, node: Index) -> ast.expr:
    operand, key = emitter.emit(node.operand), emitter.emit(node.key)
    container, kind = emitter.kind(node.operand), emitter.kind(node.key)
    if node.optional:
        return emitter.call(optional_lookup, operand, key)
    if container == "map" and kind in _PLAIN_KEYS:
        return subscript(operand, key)
    if container == "list" and kind == "int":
        position = emitter.constant(node.key)
        if isinstance(position, int) and position >= 0:
            return subscript(operand, key)
        return emitter.call(element, operand, key)
    return emitter.call(lookup, operand, key)


def presence(emitter: Emitter, node: Presence) -> ast.expr:
    operand, field = emitter.emit(node.operand), const(node.field)
    if emitter.kind(node.operand) == "map":
        return compare(field, ast.In(), operand)
    return emitter.call(has_field, operand, field)


def list_literal(emitter: Emitter, node: ListLiteral) -> ast.expr:
    if any(node.optional):
        return emitter.without_fast_form()
    return list_([emitter.emit(inner) for inner in node.elements])


def map_literal(emitter: Emitter, node: MapLiteral) -> ast.expr:
    if any(entry.optional for entry in node.entries):
        return emitter.without_fast_form()
    parts = (emitter.emit(part) for entry in node.entries for part in (entry.key, entry.value))
    return emitter.call(make_map, *parts)
