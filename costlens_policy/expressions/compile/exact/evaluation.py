"""An expression's exact form as one function, built when it is first needed."""

from __future__ import annotations

from collections.abc import Sequence

from costlens_policy.expressions.compile.exact.builder import Builder
from costlens_policy.expressions.compile.exact.frame import FIRST, Evaluate
from costlens_policy.expressions.runtime.limits import RunLimits, Work, too_deep
from costlens_policy.expressions.typed import TypedExpr
from costlens_policy.expressions.values import Value

__all__ = ["Exact"]


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
        builder = Builder(self._typed, self._parameters, self._limits.size)
        evaluate = builder.build(self._typed.root)
        self._room = builder.slots - FIRST - len(self._parameters)
        self._evaluate = evaluate
        return evaluate
