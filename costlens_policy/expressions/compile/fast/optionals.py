"""Optionals: a field that may be missing and its default become one ``dict.get``."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from costlens_policy.expressions.compile.fast.python import (
    attribute,
    call,
    choice,
    compare,
    const,
    lambda_,
    name,
    named,
)
from costlens_policy.expressions.runtime.library.optionals import either, value_or
from costlens_policy.expressions.tree import Index, Literal, Node, OptionalMap, Select
from costlens_policy.expressions.values import NO_VALUE, OptionalValue, Value

if TYPE_CHECKING:
    from costlens_policy.expressions.compile.fast.emitter import Emitter

__all__ = ["OPTIONALS", "optional_map"]

_SCRATCH: Final = "o"
_PLAIN_KEYS: Final = ("string", "int", "uint")


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
    """Return container and key of ``map.?field`` and ``map[?key]``, where the container is a map and no optional."""
    if not isinstance(node, Select | Index) or not node.optional or emitter.kind(node.operand) != "map":
        return None
    if isinstance(node, Select):
        return emitter.emit(node.operand), const(node.field)
    return (emitter.emit(node.operand), emitter.emit(node.key)) if emitter.kind(node.key) in _PLAIN_KEYS else None


def optional_map(emitter: Emitter, node: OptionalMap) -> ast.expr:
    operand = emitter.emit(node.operand)
    with emitter.binding(node.variable) as (identifier,):
        transform = emitter.emit(node.transform)
    if emitter.kind(node.operand) != "optional_type" or (node.flat and emitter.kind(node.transform) != "optional_type"):
        return emitter.without_fast_form()
    return emitter.call(_flat_mapped if node.flat else _mapped, operand, lambda_(identifier, transform))


def _mapped(optional: OptionalValue, transform: Callable[[Value], Value]) -> OptionalValue:
    return NO_VALUE if optional is NO_VALUE else OptionalValue(transform(optional.value))


def _flat_mapped(optional: OptionalValue, transform: Callable[[Value], OptionalValue]) -> OptionalValue:
    return NO_VALUE if optional is NO_VALUE else transform(optional.value)


OPTIONALS: Final[dict[str, Callable[..., ast.expr | None]]] = {
    "or": _or,
    "orValue": _or_value,
    "hasValue": _has_value,
}
"""By function, as in ``OPERATORS``. Where these give None, no fast form of ``or`` and ``orValue`` is lazy enough."""
