"""Calls: an operation of Python, one overload's implementation, or the choice among overloads at run time."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from costlens_policy.expressions.compile.fast.methods import METHODS
from costlens_policy.expressions.compile.fast.operators import OPERATORS
from costlens_policy.expressions.compile.fast.optionals import OPTIONALS
from costlens_policy.expressions.declarations import functions
from costlens_policy.expressions.runtime.functions import (
    SEARCHES,
    dispatcher,
    implementation,
    implementations,
    kind_of_type,
)
from costlens_policy.expressions.runtime.limits import held_to
from costlens_policy.expressions.tree import Call
from costlens_policy.expressions.typed import Invocation
from costlens_policy.expressions.types import Overload

if TYPE_CHECKING:
    from costlens_policy.expressions.compile.fast.emitter import Emitter

__all__ = ["call_"]

_LAZY: Final = ("or", "orValue")


def call_(emitter: Emitter, node: Call) -> ast.expr:
    invocation = emitter.typed.calls[node]
    function = invocation.function
    emitter.charge(invocation)
    emit = OPERATORS.get(function) or METHODS.get(function) or OPTIONALS.get(function)
    emitted = emit(emitter, function, *invocation.arguments) if emit and invocation.overloads else None
    if emitted is not None:
        return emitted
    return emitter.without_fast_form() if function in _LAZY else _run_time_call(emitter, invocation)


def _run_time_call(emitter: Emitter, invocation: Invocation) -> ast.expr:
    arguments = [emitter.emit(argument) for argument in invocation.arguments]
    if invocation.function in SEARCHES:
        arguments.append(emitter.account())
    overload = _settled(emitter, invocation)
    if overload is not None:
        return emitter.call(held_to(emitter.limits.size, implementation(overload.id)), *arguments)
    function = dispatcher(invocation.function, invocation.overloads)
    return emitter.call(held_to(emitter.limits.size, function), *arguments)


def _settled(emitter: Emitter, invocation: Invocation) -> Overload | None:
    """Return the one overload that the kinds of the arguments leave, or None where values must decide."""
    declared = functions().get(invocation.function)
    if declared is None or len(invocation.overloads) != 1:
        return None
    overload = next((one for one in declared.overloads if one.id in invocation.overloads), None)
    if overload is None or overload.id not in implementations():
        return None
    wanted = map(kind_of_type, overload.parameters)
    agrees = all(
        kind is None or kind == emitter.kind(argument)
        for kind, argument in zip(wanted, invocation.arguments, strict=True)
    )
    return overload if agrees else None
