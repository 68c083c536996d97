"""Comprehensions, ``cel.bind`` and ``optMap``: langdef, "Macros"."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Any, Final

from costlens_policy.expressions.compile.exact.access import Unread
from costlens_policy.expressions.compile.exact.frame import WORK, Evaluate, Frame
from costlens_policy.expressions.compile.exact.logic import as_bool, decide
from costlens_policy.expressions.runtime.collections import add_entry, elements_of, entries_of
from costlens_policy.expressions.runtime.errors import NO_OVERLOAD, CelError
from costlens_policy.expressions.runtime.kinds import kind_of
from costlens_policy.expressions.runtime.library.lists import sort_by
from costlens_policy.expressions.tree import Bind, Comprehension, Extent, Macro, Node, OptionalMap
from costlens_policy.expressions.values import NO_VALUE, OptionalValue, Value

if TYPE_CHECKING:
    from costlens_policy.expressions.compile.exact.builder import Builder

__all__ = ["bind", "comprehension", "optional_map"]


class Loop:
    """A comprehension's range and body. Iterating it binds its variables in the frame, one element after the other."""

    __slots__ = ("extent", "of", "predicate", "range", "second", "transform", "variable")

    def __init__(self, builder: Builder, node: Comprehension) -> None:
        self.range = builder.build(node.range)
        self.of = elements_of if node.second is None else entries_of
        names = (node.variable,) if node.second is None else (node.variable, node.second)
        with builder.binding(*names, loop=True) as slots:
            self.predicate = _optional_build(builder, node.predicate)
            self.transform = _optional_build(builder, node.transform)
        self.variable = slots[0]
        self.second = None if node.second is None else slots[1]
        body = node.predicate or node.transform
        self.extent = body.extent if body is not None else node.extent

    def elements(self, frame: Frame) -> Collection[Value]:
        """Evaluate the range and pay for visiting it. Raises CelError."""
        found: Collection[Value] = frame[WORK].visit(self.of(self.range(frame)))
        return found

    def over(self, elements: Collection[Value], frame: Frame) -> Iterator[Value]:
        """Bind the variables to each element in turn, and yield it."""
        for element in elements:
            if self.second is None:
                frame[self.variable] = element
            else:
                frame[self.variable], frame[self.second] = element
            yield element

    def accepted(self, frame: Frame) -> Iterator[Value]:
        """Yield the elements that the predicate accepts; all when there is none. Raises CelError."""
        for element in self.over(self.elements(frame), frame):
            if self.predicate is None or as_bool(self.predicate(frame), self.extent):
                yield element


def _optional_build(builder: Builder, node: Node | None) -> Evaluate | None:
    return None if node is None else builder.build(node)


def comprehension(builder: Builder, node: Comprehension) -> Evaluate:
    loop = Loop(builder, node)
    run = _RUNS[node.macro]
    return lambda frame: run(loop, frame)


def _quantify(loop: Loop, frame: Frame, decisive: bool) -> bool:
    elements = loop.over(loop.elements(frame), frame)
    predicate: Any = loop.predicate
    return decide(((predicate, loop.extent) for _ in elements), frame, decisive)


def _exists_one(loop: Loop, frame: Frame) -> bool:
    return sum(1 for _ in loop.accepted(frame)) == 1


def _filter(loop: Loop, frame: Frame) -> list[Value]:
    return list(loop.accepted(frame))


def _map(loop: Loop, frame: Frame) -> list[Value]:
    transform: Any = loop.transform
    return [transform(frame) for _ in loop.accepted(frame)]


def _transform_map(loop: Loop, frame: Frame) -> dict[Value, Value]:
    transform: Any = loop.transform
    made: dict[Value, Value] = {}
    for key, _ in loop.accepted(frame):
        add_entry(made, key, transform(frame))
    return made


def _transform_map_entry(loop: Loop, frame: Frame) -> dict[Value, Value]:
    transform: Any = loop.transform
    made: dict[Value, Value] = {}
    for _ in loop.accepted(frame):
        entry = transform(frame)
        if type(entry) is not dict:
            raise CelError(NO_OVERLOAD, f"a map belongs here, not a {kind_of(entry)}", loop.extent)
        for key, value in entries_of(entry):
            add_entry(made, key, value)
    return made


def _sort_by(loop: Loop, frame: Frame) -> list[Value]:
    transform: Any = loop.transform
    elements = list(loop.elements(frame))
    return sort_by(elements, [transform(frame) for _ in loop.over(elements, frame)])


_RUNS: Final[dict[Macro, Callable[[Loop, Frame], Value]]] = {
    Macro.ALL: lambda loop, frame: _quantify(loop, frame, False),
    Macro.EXISTS: lambda loop, frame: _quantify(loop, frame, True),
    Macro.EXISTS_ONE: _exists_one,
    Macro.FILTER: _filter,
    Macro.MAP: _map,
    Macro.TRANSFORM_LIST: _map,
    Macro.TRANSFORM_MAP: _transform_map,
    Macro.TRANSFORM_MAP_ENTRY: _transform_map_entry,
    Macro.SORT_BY: _sort_by,
}


def bind(builder: Builder, node: Bind) -> Evaluate:
    unread = Unread(builder.build(node.value))
    with builder.binding(node.variable, lazy=True) as (slot,):
        body = builder.build(node.body)

    def run(frame: Frame) -> Value:
        frame[slot] = unread
        return body(frame)

    return run


def optional_map(builder: Builder, node: OptionalMap) -> Evaluate:
    operand, flat = builder.build(node.operand), node.flat
    with builder.binding(node.variable) as (slot,):
        transform = builder.build(node.transform)

    def run(frame: Frame) -> Value:
        optional = _as_optional(operand(frame), node.operand.extent)
        if optional is NO_VALUE:
            return NO_VALUE
        frame[slot] = optional.value
        result = transform(frame)
        return _as_optional(result, node.transform.extent) if flat else OptionalValue(result)

    return run


def _as_optional(value: Value, extent: Extent) -> OptionalValue:
    if type(value) is OptionalValue:
        return value
    raise CelError(NO_OVERLOAD, f"an optional belongs here, not a {kind_of(value)}", extent)
