"""A compiled expression with its text and its place, so that the record can quote and point at it.

Like other parts of a plan it is a value: it is pickled and copied by what it was made from. What it derives from its
fields when it is made, compiled functions above all, is derived again where it arrives: no code is in a pickle of a
plan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from typing import Final

from costlens_policy.diagnostics.model import Span
from costlens_policy.expressions import DYN, TypedExpr, Uint, Value
from costlens_policy.expressions.compile import Trace, compile_expression, compile_traced
from costlens_policy.expressions.compile.first_match import compile_first_match
from costlens_policy.expressions.limits import RunLimits
from costlens_policy.expressions.runtime import CelError
from costlens_policy.frozen import frozen, rebuilt

__all__ = ["ROOTS", "FirstRoute", "Formula"]

ROOTS: Final = ("request", "variables", "budgets", "model", "estimate", "now")
"""Arguments of every compiled expression, in order. Those that a stage does not have are ``None``; no expression that
passed the checker reads them there."""

_RESULTS: Final[Mapping[str, tuple[str, frozenset[type]]]] = {
    "bool": ("neither true nor false", frozenset({bool})),
    "number": ("not a number", frozenset({int, float, Uint})),
    "string": ("not a text", frozenset({str})),
}


@rebuilt
@frozen
class Formula:
    """``evaluate`` takes the values of ``ROOTS`` in order and returns a CEL value or raises ``CelError``.

    ``result`` is the type that the place of the expression asks for: ``bool``, ``number``, ``string`` or ``any``.
    ``limits`` are those of one evaluation.
    """

    source: str
    span: Span | None
    typed: TypedExpr
    result: str
    limits: RunLimits
    evaluate: Callable[..., Value] = field(init=False, repr=False, compare=False)
    """Compiled by its first call. Many expressions of a plan are never asked for, least of all by a command."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "evaluate", self._first_call)

    def reads(self, root: str) -> bool:
        """Say whether the expression names a root variable."""
        return any(path[0] == root for path in self.typed.references)

    def trace(self, *values: Value) -> Trace:
        """Evaluate once more, keeping the value of each part. Compiled when first asked for."""
        trace = compile_traced(self.typed, ROOTS, limits=self.limits)(*values)
        try:
            return replace(trace, value=_held_to(self.result, trace.value))
        except CelError as error:
            return replace(trace, value=error)

    def _first_call(self, *values: Value) -> Value:
        """Compile the expression and evaluate it; two threads may do so at once, to the same effect."""
        object.__setattr__(self, "evaluate", self._compiled())
        return self.evaluate(*values)

    def _compiled(self) -> Callable[..., Value]:
        """Return the compiled expression. What types left open is held to ``result`` each time."""
        evaluate = compile_expression(self.typed, ROOTS, limits=self.limits)
        if self.typed.type != DYN or self.result not in _RESULTS:
            return evaluate
        return lambda *values: _held_to(self.result, evaluate(*values))


def _held_to(result: str, value: Value | CelError) -> Value | CelError:
    """Return a value of the type that is asked for. A text such as ``"false"`` never counts as a truth value."""
    if result in _RESULTS and not isinstance(value, CelError):
        otherwise, types = _RESULTS[result]
        if type(value) not in types:
            raise CelError("CL901", f"the value is {otherwise}")
    return value


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
