"""One condition among many: compiled when it is first tried, with what its errors mean."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from typing import Final, Literal, TypeAlias

from costlens_policy.expressions.compile.exact.evaluation import Exact
from costlens_policy.expressions.compile.fast.emitter import Emitter, Globals, NoFastForm, parameter
from costlens_policy.expressions.compile.fast.nodes import as_condition, emitter_of
from costlens_policy.expressions.compile.fast.python import (
    assign,
    boolean,
    call,
    const,
    function,
    if_,
    name,
    return_,
    subscript,
    try_,
)
from costlens_policy.expressions.errors import NO_OVERLOAD, CelError
from costlens_policy.expressions.limits import RunLimits
from costlens_policy.expressions.tree import Node, TypedExpr
from costlens_policy.expressions.values import Value

__all__ = ["Condition", "Entry", "OnError", "RuleError", "Settled", "linear", "one_by_one"]


OnError: TypeAlias = Literal["raise", "skip"]
"""What an error in a condition means: it is raised as ``RuleError``, or the condition does not hold."""


class RuleError(CelError):
    """The condition at ``index`` failed with ``error``; code, message and extent are that error's."""

    def __init__(self, index: int, error: CelError) -> None:
        super().__init__(error.code, error.message, error.extent)
        self.index = index
        self.error = error


class Settled:
    """A condition's exact form, with the last word on whether the condition holds. Raises RuleError."""

    __slots__ = ("_exact", "_index", "_skip")

    def __init__(self, index: int, exact: Exact, on_error: OnError) -> None:
        self._index = index
        self._exact = exact
        self._skip = on_error == "skip"

    def __call__(self, *values: Value) -> bool:
        try:
            result = self._exact(*values)
            if result is True or result is False:
                return bool(result)
            raise CelError(NO_OVERLOAD, "a condition must be a bool")
        except CelError as error:
            if self._skip:
                return False
            raise RuleError(self._index, error) from None


class Condition:
    """``holds(*values)`` tries what is left of a condition once its index has answered the rest.

    ``parts`` are the operands of its ``&&`` that are left, or its root. The first call compiles it; from then on
    ``holds`` is the compiled function itself.
    """

    __slots__ = ("holds", "index", "limits", "parameters", "parts", "settled", "typed")

    def __init__(
        self,
        index: int,
        typed: TypedExpr,
        parts: Sequence[Node],
        parameters: tuple[str, ...],
        on_error: OnError,
        limits: RunLimits,
    ) -> None:
        self.index = index
        self.settled = Settled(index, Exact(typed, parameters, limits), on_error)
        self.holds: Callable[..., bool] = self._first_call
        self.typed = typed
        self.parts = tuple(parts)
        self.parameters = parameters
        self.limits = limits

    def reduced(self, parts: Sequence[Node]) -> Condition:
        """Return the condition with only some operands left to try; its exact form, and its errors, stay the same."""
        reduced = copy(self)
        reduced.parts = tuple(parts)
        reduced.holds = reduced._first_call
        return reduced

    def _first_call(self, *values: Value) -> bool:
        """Compile the condition and try it; two threads may do so at once, to the same effect."""
        self.holds = self._compiled()
        return self.holds(*values)

    def _compiled(self) -> Callable[..., bool]:
        try:
            return self._fast_form()
        except (NoFastForm, RecursionError):
            return self.settled

    def _fast_form(self) -> Callable[..., bool]:
        emitter = emitter_of(self.typed, self.parameters, Globals(), self.limits)
        return emitter.function("holds", conjunction(emitter, self.parts), self.settled)


Entry: TypeAlias = tuple[int, Condition | None]
"""A condition's index, and what is left of it to try; None when nothing is."""

_AND: Final = ast.And()


def conjunction(emitter: Emitter, parts: Sequence[Node]) -> ast.expr:
    """Emit the ``&&`` of some operands. Raises NoFastForm."""
    return boolean(_AND, [as_condition(emitter, part) for part in parts])


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
    emitter = emitter_of(condition.typed, condition.parameters, globals_, condition.limits, shared)
    try:
        holds = conjunction(emitter, condition.parts)
    except (NoFastForm, RecursionError):
        return [settled]
    return [*emitter.opened_account(), try_([if_(holds, return_(const(condition.index)))], settled)]


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
