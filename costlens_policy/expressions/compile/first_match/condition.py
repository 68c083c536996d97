"""One condition among many: compiled when it is first tried, with what its errors mean."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from copy import copy
from typing import Final, Literal, TypeAlias

from costlens_policy.expressions.compile.exact.evaluation import Exact
from costlens_policy.expressions.compile.fast.control import condition
from costlens_policy.expressions.compile.fast.emitter import Emitter
from costlens_policy.expressions.compile.fast.names import Globals, NoFastForm, parameter
from costlens_policy.expressions.compile.fast.python import boolean, call, function, name, return_, try_
from costlens_policy.expressions.compile.fast.work import account
from costlens_policy.expressions.runtime.errors import NO_OVERLOAD, CelError
from costlens_policy.expressions.runtime.limits import RunLimits
from costlens_policy.expressions.tree import Node
from costlens_policy.expressions.typed import TypedExpr
from costlens_policy.expressions.values import Value

__all__ = ["Condition", "Entry", "OnError", "RuleError", "Settled"]

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
        globals_ = Globals()
        emitter = Emitter(self.typed, self.parameters, globals_, self.limits)
        body = conjunction(emitter, self.parts)
        names = [parameter(index) for index in range(len(self.parameters))]
        attempt = try_([return_(body)], return_(call(globals_.value(self.settled), *map(name, names))))
        return globals_.define(function("holds", names, [*account(emitter), attempt]))


Entry: TypeAlias = tuple[int, Condition | None]
"""A condition's index, and what is left of it to try; None when nothing is."""

_AND: Final = ast.And()


def conjunction(emitter: Emitter, parts: Sequence[Node]) -> ast.expr:
    """Emit the ``&&`` of some operands. Raises NoFastForm."""
    return boolean(_AND, [condition(emitter, part) for part in parts])
