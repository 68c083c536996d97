"""The exact form run once more, with the value of every part: what ``--explain`` shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from costlens_policy.expressions.compile.exact.builder import Builder
from costlens_policy.expressions.runtime.errors import CelError
from costlens_policy.expressions.runtime.limits import DEFAULT_RUN_LIMITS, RunLimits, Work, too_deep
from costlens_policy.expressions.tree import Extent
from costlens_policy.expressions.typed import TypedExpr
from costlens_policy.expressions.values import Value

__all__ = ["NOT_EVALUATED", "Part", "Trace", "compile_traced"]


class _NotEvaluated:
    def __repr__(self) -> str:
        return "NOT_EVALUATED"


NOT_EVALUATED: Final = _NotEvaluated()
"""The value of a part that the result did not depend on, such as what follows ``false &&``."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the expression, and what it evaluated to: a value, an error, or ``NOT_EVALUATED``.

    Within a comprehension it is the last of the values: that of the element which decided, where one did.
    """

    extent: Extent
    value: Value | CelError


@dataclass(frozen=True, slots=True)
class Trace:
    """The result of an expression, and its parts without the literals, in the order of the text, outer ones first."""

    value: Value | CelError
    parts: tuple[Part, ...]


def compile_traced(
    typed: TypedExpr, parameters: tuple[str, ...], *, limits: RunLimits = DEFAULT_RUN_LIMITS
) -> Callable[..., Trace]:
    """Return a function of the parameters' values that evaluates an expression and never raises CelError."""
    builder = Builder(typed, parameters, limits.size, traced=True)
    evaluate = builder.build(typed.root)
    extents = [node.extent for node in builder.nodes]
    order = sorted(range(len(extents)), key=lambda place: (extents[place].start, -extents[place].end))
    room = [None] * (builder.slots - len(parameters) - 2)

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
