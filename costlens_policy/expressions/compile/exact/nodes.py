"""One rule a type of node: the closure that evaluates it.

First literals, names and access to what lists, maps and records hold; then calls, conditionals, and the logic that
absorbs errors (langdef, "Logical Operators"); then comprehensions, ``cel.bind`` and ``optMap`` (langdef, "Macros").
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from costlens_policy.expressions.compile.exact.builder import WORK, Builder, Evaluate, Frame, Rule, placed
from costlens_policy.expressions.compile.reads import charged_arguments, is_constant
from costlens_policy.expressions.errors import NO_OVERLOAD, UNBOUND_NAME, CelError, LimitError
from costlens_policy.expressions.limits import held_to
from costlens_policy.expressions.runtime.collections import (
    add_entry,
    elements_of,
    entries_of,
    has_field,
    lookup,
    optional_lookup,
    optional_select,
    sort_by,
)
from costlens_policy.expressions.runtime.collections import select as select_field
from costlens_policy.expressions.runtime.equality import kind_of
from costlens_policy.expressions.runtime.functions import Implementation, dispatcher, searches
from costlens_policy.expressions.tree import (
    Bind,
    Call,
    Comprehension,
    Conditional,
    Extent,
    Index,
    Invocation,
    ListLiteral,
    Literal,
    Logic,
    Macro,
    MapLiteral,
    Name,
    Node,
    OptionalMap,
    Presence,
    Resolution,
    ResolutionKind,
    Select,
)
from costlens_policy.expressions.types import Type
from costlens_policy.expressions.values import NO_VALUE, OptionalValue, Value

__all__ = ["RULES"]


class _Unread:
    """The value of a ``cel.bind`` variable before it is first read."""

    __slots__ = ("evaluate",)

    def __init__(self, evaluate: Evaluate) -> None:
        self.evaluate = evaluate


def _literal(_: Builder, node: Literal) -> Evaluate:
    value = node.value
    return lambda frame: value


def _name(builder: Builder, node: Name) -> Evaluate:
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
    if is_constant(builder.typed, resolution):
        constant = builder.typed.environment.constants[resolution.name]
        return lambda frame: constant
    slot = builder.variable(resolution.name)
    return _unbound(node, resolution.name) if slot is None else lambda frame: frame[slot]


def _local(builder: Builder, name: str) -> Evaluate:
    slot = builder.local(name)
    return _first_read(slot) if builder.is_lazy(slot) else lambda frame: frame[slot]


def _first_read(slot: int) -> Evaluate:
    """Read a variable of ``cel.bind``. Its value, or its error, is found once and kept."""

    def read(frame: Frame) -> Value:
        value = frame[slot]
        if type(value) is _Unread:
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


def _select(builder: Builder, node: Select) -> Evaluate:
    resolution = builder.typed.resolutions.get(node)
    if resolution is not None:
        return _resolved(builder, node, resolution)
    operand, field = builder.build(node.operand), node.field
    if node.optional:
        return lambda frame: optional_select(operand(frame), field)
    return lambda frame: select_field(operand(frame), field)


def _index(builder: Builder, node: Index) -> Evaluate:
    operand, key = builder.build(node.operand), builder.build(node.key)
    if node.optional:
        return lambda frame: optional_lookup(operand(frame), key(frame))
    return lambda frame: lookup(operand(frame), key(frame))


def _presence(builder: Builder, node: Presence) -> Evaluate:
    operand, field = builder.build(node.operand), node.field
    return lambda frame: has_field(operand(frame), field)


def _list_literal(builder: Builder, node: ListLiteral) -> Evaluate:
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
            raise CelError(NO_OVERLOAD, f"`?` needs an optional, got a {kind_of(value)}", node.extent)
        return value if value is NO_VALUE else value.value

    return unwrapped


def _map_literal(builder: Builder, node: MapLiteral) -> Evaluate:
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


def _as_bool(value: Value, extent: Extent) -> bool:
    """Return a bool as it is. Raises CelError for any other value."""
    if value is True or value is False:
        return bool(value)
    raise CelError(NO_OVERLOAD, f"the value must be a bool, got a {kind_of(value)}", extent)


def _decide(operands: Iterable[tuple[Evaluate, Extent]], frame: Frame, decisive: bool) -> bool:
    """Combine operands with the "or" whose decisive value is true, or the "and" whose decisive value is false.

    A decisive operand settles the result whatever errors the others make; else the first error is the result.
    A limit that was reached is no such error: the evaluation ends.
    """
    first: CelError | None = None
    for evaluate, extent in operands:
        try:
            if _as_bool(evaluate(frame), extent) is decisive:
                return decisive
        except LimitError:
            raise
        except CelError as error:
            first = first or error
    if first is not None:
        raise first
    return not decisive


def _logic(builder: Builder, node: Logic) -> Evaluate:
    operands = tuple((builder.build(operand), operand.extent) for operand in node.operands)
    decisive = node.operator == "||"
    return lambda frame: _decide(operands, frame, decisive)


def _conditional(builder: Builder, node: Conditional) -> Evaluate:
    condition = builder.build(node.condition)
    accepted, rejected = builder.build(node.accepted), builder.build(node.rejected)
    extent = node.condition.extent
    return lambda frame: accepted(frame) if _as_bool(condition(frame), extent) else rejected(frame)


def _call(builder: Builder, node: Call) -> Evaluate:
    invocation = builder.typed.calls[node]
    arguments = _arguments(builder, invocation)
    function = held_to(builder.size, dispatcher(invocation.function, invocation.overloads))
    if invocation.function in ("or", "orValue") and len(arguments) == 2:
        either = _lazy(arguments[0], arguments[1], function, unwrap=invocation.function == "orValue")
        return _any(node.extent, either, (lambda frame: frame,))
    return _binary(node.extent, function, *arguments) if len(arguments) == 2 else _any(node.extent, function, arguments)


def _binary(extent: Extent, function: Implementation, left: Evaluate, right: Evaluate) -> Evaluate:
    def run(frame: Frame) -> Value:
        try:
            return function(left(frame), right(frame))
        except CelError as error:
            placed(error, extent)
            raise

    return run


def _any(extent: Extent, function: Implementation, arguments: Sequence[Evaluate]) -> Evaluate:
    def run(frame: Frame) -> Value:
        try:
            return function(*[argument(frame) for argument in arguments])
        except CelError as error:
            placed(error, extent)
            raise

    return run


def _arguments(builder: Builder, invocation: Invocation) -> tuple[Evaluate, ...]:
    """Build the arguments; within a comprehension, those that may be large are paid for."""
    variables = builder.loop_variables
    charged = [] if variables is None else charged_arguments(builder.typed, invocation, variables)
    built = [
        _paid(builder.build(argument)) if argument in charged else builder.build(argument)
        for argument in invocation.arguments
    ]
    return (*built, _account) if searches(invocation.function) else tuple(built)


def _account(frame: Frame) -> Any:
    return frame[WORK]


def _paid(evaluate: Evaluate) -> Evaluate:
    return lambda frame: frame[WORK].read(evaluate(frame))


def _lazy(optional: Evaluate, other: Evaluate, function: Implementation, *, unwrap: bool) -> Evaluate:
    """Evaluate the argument of ``or`` and ``orValue`` only where there is no value: an error in it is none then."""

    def choose(frame: Frame) -> Value:
        value = optional(frame)
        if type(value) is OptionalValue and value is not NO_VALUE:
            return value.value if unwrap else value
        return function(value, other(frame))

    return choose


class _Loop:
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
            if self.predicate is None or _as_bool(self.predicate(frame), self.extent):
                yield element


def _optional_build(builder: Builder, node: Node | None) -> Evaluate | None:
    return None if node is None else builder.build(node)


def _comprehension(builder: Builder, node: Comprehension) -> Evaluate:
    loop = _Loop(builder, node)
    run = _RUNS[node.macro]
    return lambda frame: run(loop, frame)


def _quantify(loop: _Loop, frame: Frame, decisive: bool) -> bool:
    elements = loop.over(loop.elements(frame), frame)
    predicate: Any = loop.predicate
    return _decide(((predicate, loop.extent) for _ in elements), frame, decisive)


def _exists_one(loop: _Loop, frame: Frame) -> bool:
    return sum(1 for _ in loop.accepted(frame)) == 1


def _filter(loop: _Loop, frame: Frame) -> list[Value]:
    return list(loop.accepted(frame))


def _map(loop: _Loop, frame: Frame) -> list[Value]:
    transform: Any = loop.transform
    return [transform(frame) for _ in loop.accepted(frame)]


def _transform_map(loop: _Loop, frame: Frame) -> dict[Value, Value]:
    transform: Any = loop.transform
    made: dict[Value, Value] = {}
    for key, _ in loop.accepted(frame):
        add_entry(made, key, transform(frame))
    return made


def _transform_map_entry(loop: _Loop, frame: Frame) -> dict[Value, Value]:
    transform: Any = loop.transform
    made: dict[Value, Value] = {}
    for _ in loop.accepted(frame):
        entry = transform(frame)
        if type(entry) is not dict:
            raise CelError(NO_OVERLOAD, f"the value must be a map, got a {kind_of(entry)}", loop.extent)
        for key, value in entries_of(entry):
            add_entry(made, key, value)
    return made


def _sort_by(loop: _Loop, frame: Frame) -> list[Value]:
    transform: Any = loop.transform
    elements = list(loop.elements(frame))
    return sort_by(elements, [transform(frame) for _ in loop.over(elements, frame)])


_RUNS: Final[dict[Macro, Callable[[_Loop, Frame], Value]]] = {
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


def _bind(builder: Builder, node: Bind) -> Evaluate:
    unread = _Unread(builder.build(node.value))
    with builder.binding(node.variable, lazy=True) as (slot,):
        body = builder.build(node.body)

    def run(frame: Frame) -> Value:
        frame[slot] = unread
        return body(frame)

    return run


def _optional_map(builder: Builder, node: OptionalMap) -> Evaluate:
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
    raise CelError(NO_OVERLOAD, f"the value must be an optional, got a {kind_of(value)}", extent)


RULES: Final[Mapping[type, Rule]] = {
    Literal: _literal,
    Name: _name,
    Select: _select,
    Index: _index,
    Presence: _presence,
    ListLiteral: _list_literal,
    MapLiteral: _map_literal,
    Call: _call,
    Logic: _logic,
    Conditional: _conditional,
    Comprehension: _comprehension,
    Bind: _bind,
    OptionalMap: _optional_map,
}
