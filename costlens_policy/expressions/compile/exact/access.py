"""Literals, names, and access to lists, maps and records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costlens_policy.expressions.compile.exact.frame import Evaluate, Frame
from costlens_policy.expressions.runtime.collections import (
    add_entry,
    has_field,
    lookup,
    optional_lookup,
    optional_select,
)
from costlens_policy.expressions.runtime.collections import select as select_field
from costlens_policy.expressions.runtime.errors import NO_OVERLOAD, UNBOUND_NAME, CelError
from costlens_policy.expressions.runtime.kinds import kind_of
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
from costlens_policy.expressions.values import NO_VALUE, OptionalValue, Value

if TYPE_CHECKING:
    from costlens_policy.expressions.compile.exact.builder import Builder

__all__ = ["Unread", "index", "list_literal", "literal", "map_literal", "name", "presence", "select"]


class Unread:
    """The value of a ``cel.bind`` variable before it is first read."""

    __slots__ = ("evaluate",)

    def __init__(self, evaluate: Evaluate) -> None:
        self.evaluate = evaluate


def literal(_: Builder, node: Literal) -> Evaluate:
    value = node.value
    return lambda frame: value


def name(builder: Builder, node: Name) -> Evaluate:
    resolution = builder.typed.resolutions.get(node)
    if resolution is None:
        return _unbound(node, node.name)
    return _resolved(builder, node, resolution)


def _resolved(builder: Builder, node: Node, resolution: Resolution) -> Evaluate:
    if resolution.kind is ResolutionKind.TYPE:
        value = Type(resolution.type.parameters[0].name)
        return lambda frame: value
    if resolution.kind is ResolutionKind.LOCAL:
        return _local(builder, resolution.name)
    slot = builder.variable(resolution.name)
    return _unbound(node, resolution.name) if slot is None else lambda frame: frame[slot]


def _local(builder: Builder, name: str) -> Evaluate:
    slot = builder.local(name)
    return _first_read(slot) if builder.is_lazy(slot) else lambda frame: frame[slot]


def _first_read(slot: int) -> Evaluate:
    """Read a variable of ``cel.bind``. Its value, or its error, is found once and kept."""

    def read(frame: Frame) -> Value:
        value = frame[slot]
        if type(value) is Unread:
            try:
                value = value.evaluate(frame)
            except CelError as error:
                value = error
            frame[slot] = value
        if isinstance(value, CelError):
            raise value
        return value

    return read


def _unbound(node: Node, text: str) -> Evaluate:
    def fail(_: Frame) -> Value:
        raise CelError(UNBOUND_NAME, f"`{text}` has no value", node.extent)

    return fail


def select(builder: Builder, node: Select) -> Evaluate:
    resolution = builder.typed.resolutions.get(node)
    if resolution is not None:
        return _resolved(builder, node, resolution)
    operand, field = builder.build(node.operand), node.field
    if node.optional:
        return lambda frame: optional_select(operand(frame), field)
    return lambda frame: select_field(operand(frame), field)


def index(builder: Builder, node: Index) -> Evaluate:
    operand, key = builder.build(node.operand), builder.build(node.key)
    if node.optional:
        return lambda frame: optional_lookup(operand(frame), key(frame))
    return lambda frame: lookup(operand(frame), key(frame))


def presence(builder: Builder, node: Presence) -> Evaluate:
    operand, field = builder.build(node.operand), node.field
    return lambda frame: has_field(operand(frame), field)


def list_literal(builder: Builder, node: ListLiteral) -> Evaluate:
    elements = tuple(_element(builder, *pair) for pair in zip(node.elements, node.optional, strict=True))
    if not any(node.optional):
        return lambda frame: [element(frame) for element in elements]

    def make(frame: Frame) -> Value:
        return [value for value in (element(frame) for element in elements) if value is not NO_VALUE]

    return make


def _element(builder: Builder, node: Node, optional: bool) -> Evaluate:
    """Evaluate an element; of ``?x``, an optional, what it holds, or ``NO_VALUE`` where that is left out."""
    evaluate = builder.build(node)
    if not optional:
        return evaluate

    def unwrapped(frame: Frame) -> Value:
        value = evaluate(frame)
        if type(value) is not OptionalValue:
            raise CelError(NO_OVERLOAD, f"`?` stands before an optional, not before a {kind_of(value)}", node.extent)
        return value if value is NO_VALUE else value.value

    return unwrapped


def map_literal(builder: Builder, node: MapLiteral) -> Evaluate:
    entries = [
        (builder.build(entry.key), _element(builder, entry.value, entry.optional), entry.optional)
        for entry in node.entries
    ]

    def make(frame: Frame) -> Value:
        made: dict[Any, Value] = {}
        for key, value, optional in entries:
            made_key, made_value = key(frame), value(frame)
            if not (optional and made_value is NO_VALUE):
                add_entry(made, made_key, made_value)
        return made

    return make
