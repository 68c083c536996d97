"""Every function by its name, choosing among its overloads by the kinds of the arguments it is given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from importlib import import_module
from itertools import product
from typing import Final

from costlens_policy.expressions.declarations import functions
from costlens_policy.expressions.runtime.equality import (
    equals,
    greater,
    greater_equals,
    less,
    less_equals,
    not_equals,
)
from costlens_policy.expressions.runtime.errors import NO_OVERLOAD, CelError
from costlens_policy.expressions.runtime.implementations import IMPLEMENTATIONS, Implementation
from costlens_policy.expressions.runtime.kinds import KINDS, kind_of
from costlens_policy.expressions.types import Type
from costlens_policy.expressions.values import Value

__all__ = ["SEARCHES", "dispatcher", "implementation", "implementations", "kind_of_type"]

_MODULES: Final = (
    "arithmetic",
    "calendar",
    "collections",
    "conversions",
    "durations",
    "regexes",
    "text",
    "library.encoders",
    "library.formatting",
    "library.hashing",
    "library.lists",
    "library.math",
    "library.network",
    "library.optionals",
    "library.patterns",
    "library.sets",
    "library.strings",
    "library.traffic",
)

_ANY_VALUES: Final[dict[str, Implementation]] = {
    "_==_": equals,
    "_!=_": not_equals,
    "_<_": less,
    "_<=_": less_equals,
    "_>_": greater,
    "_>=_": greater_equals,
}
"""Operators that look at the kinds of their arguments themselves."""

SEARCHES: Final = frozenset(("glob", "matches", "regex.extract", "regex.extractAll", "regex.replace"))
"""Functions that are given the evaluation's account of work after their arguments, and pay from it."""

_CONCRETE: Final = frozenset(KINDS.values())


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
    for module in _MODULES:
        import_module(f"costlens_policy.expressions.runtime.{module}")
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

    return dispatch_search if function in SEARCHES else dispatch


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
