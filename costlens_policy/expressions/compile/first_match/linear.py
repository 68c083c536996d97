"""A few conditions, tried in their order by one generated function."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from costlens_policy.expressions.compile.fast.emitter import Emitter
from costlens_policy.expressions.compile.fast.names import Globals, NoFastForm, parameter
from costlens_policy.expressions.compile.fast.python import (
    assign,
    call,
    const,
    function,
    if_,
    name,
    return_,
    subscript,
    try_,
)
from costlens_policy.expressions.compile.fast.work import account
from costlens_policy.expressions.compile.first_match.condition import Condition, conjunction

__all__ = ["linear", "one_by_one"]

_SHARED_FROM: Final = 2
"""From how many conditions on a field is read once, before the first of them."""


def one_by_one(conditions: Sequence[Condition], otherwise: int | None) -> Callable[..., int | None]:
    """Return a function that tries conditions in order, compiling each when it is first needed."""

    def first(*values: object) -> int | None:
        for condition in conditions:
            if condition.holds(*values):
                return condition.index
        return otherwise

    return first


def linear(
    conditions: Sequence[Condition], otherwise: int | None, parameters: tuple[str, ...]
) -> Callable[..., int | None]:
    """Return one function that tries conditions in order, and gives ``otherwise`` where none holds.

    Fields that several conditions read are read once.
    """
    globals_ = Globals()
    names = [parameter(index) for index in range(len(parameters))]
    arguments = [name(identifier) for identifier in names]
    carefully = return_(call(globals_.value(one_by_one(conditions, otherwise)), *arguments))
    shared = {field: f"h{index}" for index, field in enumerate(_shared_fields(conditions))}
    read: set[tuple[str, str]] = set()
    body: list[ast.stmt] = []
    for condition in conditions:
        fields = [field for field in shared if field in condition.typed.references and field not in read]
        read.update(fields)
        if fields:
            reads = [assign(shared[field], _read(parameters, *field)) for field in fields]
            body.append(try_(reads, carefully))
        settled = if_(call(globals_.value(condition.settled), *arguments), return_(const(condition.index)))
        body += _statements(condition, globals_, shared, settled)
    try:
        return globals_.define(function("first", names, [*body, return_(const(otherwise))]))
    except NoFastForm:
        return one_by_one(conditions, otherwise)


def _read(parameters: tuple[str, ...], variable: str, field: str) -> ast.expr:
    return subscript(name(parameter(parameters.index(variable))), const(field))


def _statements(
    condition: Condition, globals_: Globals, shared: Mapping[tuple[str, str], str], settled: ast.stmt
) -> list[ast.stmt]:
    """Return ``try: if CONDITION: return INDEX``, with the exact form where it raises, or that alone."""
    emitter = Emitter(condition.typed, condition.parameters, globals_, condition.limits, shared)
    try:
        holds = conjunction(emitter, condition.parts)
    except (NoFastForm, RecursionError):
        return [settled]
    return [*account(emitter), try_([if_(holds, return_(const(condition.index)))], settled)]


def _shared_fields(conditions: Sequence[Condition]) -> list[tuple[str, str]]:
    """Return the fields that several conditions read and that no record lacks."""
    readers: Counter[tuple[str, str]] = Counter()
    for condition in conditions:
        readers.update(_certain_fields(condition))
    return [field for field, count in readers.items() if count >= _SHARED_FROM]


def _certain_fields(condition: Condition) -> Iterator[tuple[str, str]]:
    environment = condition.typed.environment
    for variable, *fields in sorted(condition.typed.references):
        declared = environment.variables.get(variable)
        record = None if declared is None else environment.record(declared)
        if record is not None and len(fields) == 1 and variable in condition.parameters:
            field = record.fields.get(fields[0])
            if field is not None and not field.optional:
                yield variable, fields[0]
