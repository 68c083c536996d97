"""Literals, and lists and maps made of parts: one element type where the parts agree, else ``dyn``."""

from __future__ import annotations

from costlens_policy.expressions.checking.unification import is_parameter
from costlens_policy.expressions.checking.walk import Walk
from costlens_policy.expressions.tree import ListLiteral, Literal, MapEntry, MapLiteral, Node
from costlens_policy.expressions.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DYN,
    INT,
    NULL,
    STRING,
    UINT,
    UNKNOWN,
    Type,
    list_of,
    map_of,
    optional_of,
)
from costlens_policy.expressions.values import Uint

__all__ = ["check_list", "check_literal", "check_map"]

_TYPES = {type(None): NULL, bool: BOOL, int: INT, Uint: UINT, float: DOUBLE, str: STRING, bytes: BYTES}
_KEYS = frozenset({BOOL, DYN, INT, STRING, UINT, UNKNOWN})


def check_literal(_walk: Walk, node: Literal) -> Type:
    return _TYPES[type(node.value)]


def check_list(walk: Walk, node: ListLiteral) -> Type:
    joined: Type | None = None
    for element, optional in zip(node.elements, node.optional, strict=True):
        joined = _joined(walk, joined, _part(walk, element, optional))
    return list_of(joined or walk.substitution.fresh())


def check_map(walk: Walk, node: MapLiteral) -> Type:
    keys: Type | None = None
    values: Type | None = None
    for entry in node.entries:
        keys = _joined(walk, keys, _key(walk, entry))
        values = _joined(walk, values, _part(walk, entry.value, entry.optional))
    _report_repeated(walk, node)
    return map_of(keys or walk.substitution.fresh(), values or walk.substitution.fresh())


def _joined(walk: Walk, known: Type | None, found: Type) -> Type:
    if known is None or found == UNKNOWN:
        return known or found
    return walk.substitution.join(known, found)


def _part(walk: Walk, node: Node, optional: bool) -> Type:
    """Return the type that an element adds; behind ``?`` stands an optional, of which only the value goes in."""
    found = walk.type(node)
    if not optional or found in (DYN, UNKNOWN):
        return found
    inner = walk.substitution.fresh()
    if not walk.substitution.fits([(optional_of(inner), found)]):
        shown = walk.shown(found)
        message = f"`?` takes an optional, and this is a value of type {shown}"
        return walk.report("CL304", message, node.extent, f"type {shown}", "leave out the `?`")
    return walk.substitution.resolve(inner)


def _key(walk: Walk, entry: MapEntry) -> Type:
    found = walk.type(entry.key)
    if found not in _KEYS and not is_parameter(found):
        shown = walk.shown(found)
        message = f"a value of type {shown} cannot be a key of a map"
        return walk.report("CL318", message, entry.key.extent, f"type {shown}", "keys are string, int, uint or bool")
    return found


def _report_repeated(walk: Walk, node: MapLiteral) -> None:
    seen: set[tuple[bool, object]] = set()
    for entry in node.entries:
        if not isinstance(entry.key, Literal) or isinstance(entry.key.value, bytes | float | None):
            continue
        # `1` and `1u` are one key; `true` is another, though Python says otherwise.
        key = (isinstance(entry.key.value, bool), entry.key.value)
        if key in seen:
            message = f"the key `{walk.text(entry.key)}` stands in this map already"
            walk.report("CL318", message, entry.key.extent, "the second one", "leave one of the two out")
        seen.add(key)
