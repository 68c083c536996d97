"""Which of a layer's routes is the first to match: all their conditions as one function."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from costlens_policy.compiler.formula import ROOTS, Formula
from costlens_policy.expressions import Value
from costlens_policy.expressions.compile.first_match import compile_first_match

__all__ = ["FirstRoute"]


class FirstRoute:
    """``find`` takes the values of ``ROOTS`` and returns the index of the first route whose condition holds, or None.

    It raises ``RuleError`` where a condition fails before another holds. A condition that is None always holds.
    """

    __slots__ = ("_conditions", "find")

    def __init__(self, conditions: Sequence[Formula | None]) -> None:
        self._conditions = conditions
        self.find: Callable[..., int | None] = self._first_call

    def _first_call(self, *roots: Value) -> int | None:
        """Compile the conditions and try them; two threads may do so at once, to the same effect."""
        self.find = self._compiled()
        return self.find(*roots)

    def _compiled(self) -> Callable[..., int | None]:
        given = [formula for formula in self._conditions if formula is not None]
        if not given:
            first = 0 if self._conditions else None
            return lambda *_: first
        typed = [None if formula is None else formula.typed for formula in self._conditions]
        return compile_first_match(typed, ROOTS, limits=given[0].limits)
