"""Calls, conditionals, and the logic that absorbs errors: langdef, "Logical Operators"."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from costlens_policy.expressions.compile.charges import charged_arguments
from costlens_policy.expressions.compile.exact.frame import WORK, Evaluate, Frame, placed
from costlens_policy.expressions.runtime.errors import NO_OVERLOAD, CelError, LimitError
from costlens_policy.expressions.runtime.functions import SEARCHES, dispatcher
from costlens_policy.expressions.runtime.implementations import Implementation
from costlens_policy.expressions.runtime.kinds import kind_of
from costlens_policy.expressions.runtime.limits import held_to
from costlens_policy.expressions.tree import Call, Conditional, Extent, Logic
from costlens_policy.expressions.typed import Invocation
from costlens_policy.expressions.values import NO_VALUE, OptionalValue, Value

if TYPE_CHECKING:
    from costlens_policy.expressions.compile.exact.builder import Builder

__all__ = ["as_bool", "call", "conditional", "decide", "logic"]


def as_bool(value: Value, extent: Extent) -> bool:
    """Return a bool as it is. Raises CelError for any other value."""
    if value is True or value is False:
        return bool(value)
    raise CelError(NO_OVERLOAD, f"a bool belongs here, not a {kind_of(value)}", extent)


def decide(operands: Iterable[tuple[Evaluate, Extent]], frame: Frame, decisive: bool) -> bool:
    """Combine operands with the "or" whose decisive value is true, or the "and" whose decisive value is false.

    A decisive operand settles the result whatever errors the others make; else the first error is the result.
    A limit that was reached is no such error: the evaluation ends.
    """
    first: CelError | None = None
    for evaluate, extent in operands:
        try:
            if as_bool(evaluate(frame), extent) is decisive:
                return decisive
        except LimitError:
            raise
        except CelError as error:
            first = first or error
    if first is not None:
        raise first
    return not decisive


def logic(builder: Builder, node: Logic) -> Evaluate:
    operands = tuple((builder.build(operand), operand.extent) for operand in node.operands)
    decisive = node.operator == "||"
    return lambda frame: decide(operands, frame, decisive)


def conditional(builder: Builder, node: Conditional) -> Evaluate:
    condition = builder.build(node.condition)
    accepted, rejected = builder.build(node.accepted), builder.build(node.rejected)
    extent = node.condition.extent
    return lambda frame: accepted(frame) if as_bool(condition(frame), extent) else rejected(frame)


def call(builder: Builder, node: Call) -> Evaluate:
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
    return (*built, _account) if invocation.function in SEARCHES else tuple(built)


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
