"""The exact form as one function, built when it is first needed; and its trace, which ``--explain`` shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from costlens_policy.expressions.compile.exact.builder import FIRST, Builder, Evaluate
from costlens_policy.expressions.compile.exact.nodes import RULES
from costlens_policy.expressions.errors import CelError
from costlens_policy.expressions.limits import DEFAULT_RUN_LIMITS, RunLimits, Work, too_deep
from costlens_policy.expressions.tree import Extent, TypedExpr
from costlens_policy.expressions.values import Value
from costlens_policy.frozen import frozen

__all__ = ["NOT_EVALUATED", "Exact", "Part", "Trace", "compile_traced"]


class Exact:
    """Called with the parameters' values in order. Raises CelError. Safe to call from any thread."""

    __slots__ = ("_evaluate", "_limits", "_parameters", "_room", "_typed")

    def __init__(self, typed: TypedExpr, parameters: Sequence[str], limits: RunLimits) -> None:
        self._typed = typed
        self._parameters = tuple(parameters)
        self._limits = limits
        self._evaluate: Evaluate | None = None
        self._room = 0

    def __call__(self, *values: Value) -> Value:
        try:
            evaluate = self._evaluate or self._build()
            return evaluate([Work(self._limits.iterations), None, *values, *[None] * self._room])
        except RecursionError:
            raise too_deep() from None

    def _build(self) -> Evaluate:
        """Build the evaluator; two threads may do so at once, to the same effect."""
        builder = Builder(self._typed, self._parameters, RULES, self._limits.size)
        evaluate = builder.build(self._typed.root)
        self._room = builder.slots - FIRST - len(self._parameters)
        self._evaluate = evaluate
        return evaluate


class _NotEvaluated:
    def __repr__(self) -> str:
        return "NOT_EVALUATED"


NOT_EVALUATED: Final = _NotEvaluated()
"""The value of a part that the result did not depend on, such as what follows ``false &&``."""


@frozen
class Part:
    """A stretch of the expression, and what it evaluated to: a value, an error, or ``NOT_EVALUATED``.

    Within a comprehension it is the last of the values: that of the element which decided, where one did.
    """

    extent: Extent
    value: Value | CelError


@frozen
class Trace:
    """The result of an expression, and its parts without the literals, in the order of the text, outer ones first."""

    value: Value | CelError
    parts: tuple[Part, ...]


def compile_traced(
    typed: TypedExpr, parameters: tuple[str, ...], *, limits: RunLimits = DEFAULT_RUN_LIMITS
) -> Callable[..., Trace]:
    """Return a function of the parameters' values that evaluates an expression and never raises CelError."""
    builder = Builder(typed, parameters, RULES, limits.size, traced=True)
    evaluate = builder.build(typed.root)
    extents = [node.extent for node in builder.nodes]
    shown = {extent: place for place, extent in enumerate(extents)}  # of a macro's nodes, the outermost
    order = sorted(shown.values(), key=lambda place: (extents[place].start, -extents[place].end))
    room = [None] * (builder.slots - len(parameters) - FIRST)

    def trace(*values: Value) -> Trace:
        parts: list[Value] = [NOT_EVALUATED] * len(extents)
        result: Value | CelError
        try:
            result = evaluate([Work(limits.iterations), parts, *values, *room])
        except CelError as error:
            result = error
        except RecursionError:
            result = too_deep()
        return Trace(result, tuple(Part(extents[place], parts[place]) for place in order))

    return trace
