"""The implementations of the declared functions, and the choice among a function's overloads at run time.

A family of functions has one module here, under the name of the file with its rows: ``functions/strings.py`` declares
what ``runtime/strings.py`` implements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib import import_module
from itertools import product
from typing import Final, TypeVar

from costlens_policy.expressions.errors import NO_OVERLOAD, CelError
from costlens_policy.expressions.functions import LIBRARIES, functions
from costlens_policy.expressions.runtime.equality import (
    KINDS,
    equals,
    greater,
    greater_equals,
    kind_of,
    less,
    less_equals,
    not_equals,
)
from costlens_policy.expressions.types import Type
from costlens_policy.expressions.values import Value

__all__ = [
    "IMPLEMENTATIONS", "Implementation", "dispatcher", "implementation", "implementations", "implements",
    "kind_of_type", "searches",
]  # fmt: skip


Implementation = Callable[..., Value]
_F = TypeVar("_F", bound=Implementation)

IMPLEMENTATIONS: Final[dict[str, Implementation]] = {}
"""By the id of an overload. Filled as the modules of the run time are imported; ``implementations`` imports them all.

A function may count on the kinds of its arguments (string, list …), not on the types of a list's elements.
"""


def implements(*overloads: str) -> Callable[[_F], _F]:
    """Register a function for overloads of the declarations."""

    def register(function: _F) -> _F:
        IMPLEMENTATIONS.update(dict.fromkeys(overloads, function))
        return function

    return register


_ANY_VALUES: Final[dict[str, Implementation]] = {
    "_==_": equals,
    "_!=_": not_equals,
    "_<_": less,
    "_<=_": less_equals,
    "_>_": greater,
    "_>=_": greater_equals,
}
"""Operators that look at the kinds of their arguments themselves."""

_CONCRETE: Final = frozenset(KINDS.values())


def searches(function: str) -> bool:
    """Return whether a function is given the evaluation's account of work after its arguments, and pays from it."""
    row = functions().get(function)
    return row is not None and row.pattern != ""


def kind_of_type(declared: Type) -> str | None:
    """Return the kind that every value of a static type has, or None where types do not tell."""
    return declared.name if declared.name in _CONCRETE else None


@cache
def implementation(overload: str) -> Implementation:
    """Return what does the work of one overload, given arguments of the right kinds."""
    return implementations()[overload]


@cache
def implementations() -> dict[str, Implementation]:
    """Return what does the work of every overload, by its id. Few expressions ask: most are plain Python."""
    for library in LIBRARIES:
        import_module(f"costlens_policy.expressions.runtime.{library}")
    return IMPLEMENTATIONS


@cache
def dispatcher(function: str, overloads: tuple[str, ...]) -> Implementation:
    """Return a function that calls whichever of the overloads the arguments' kinds ask for. It raises CelError."""
    if function in _ANY_VALUES:
        return _ANY_VALUES[function]
    table = _table(function, overloads)

    def dispatch(*arguments: Value) -> Value:
        found = table.get(tuple([KINDS.get(type(argument)) or kind_of(argument) for argument in arguments]))
        if found is None:
            raise CelError(NO_OVERLOAD, f"no matching overload: `{_call_text(function, arguments)}`")
        return found(*arguments)

    def dispatch_search(*arguments: Value) -> Value:
        *values, work = arguments
        found = table.get(tuple([KINDS.get(type(value)) or kind_of(value) for value in values]))
        if found is None:
            raise CelError(NO_OVERLOAD, f"no matching overload: `{_call_text(function, values)}`")
        return found(*values, work)

    return dispatch_search if searches(function) else dispatch


def _table(function: str, overloads: tuple[str, ...]) -> dict[tuple[str, ...], Implementation]:
    """Return the implementations by the kinds of their arguments; a type parameter stands for every kind."""
    declared = functions().get(function)
    table: dict[tuple[str, ...], Implementation] = {}
    for overload in declared.overloads if declared else ():
        if overload.id in overloads:
            for kinds in product(*map(_kinds_of_type, overload.parameters)):
                table.setdefault(kinds, implementation(overload.id))
    return table


def _kinds_of_type(declared: Type) -> Iterable[str]:
    kind = kind_of_type(declared)
    return _CONCRETE if kind is None else (kind,)


def _call_text(function: str, arguments: Sequence[Value]) -> str:
    kinds = [kind_of(argument) for argument in arguments]
    if function == "@in" or (function.startswith("_") and function.endswith("_") and len(kinds) == 2):
        return f"{kinds[0]} {function.strip('_@')} {kinds[-1]}"
    return f"{function.strip('_')}({', '.join(kinds)})"
