"""A compiled expression with its text and its place, so that the record can quote and point at it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from costlens_policy.diagnostics.model import Span
from costlens_policy.expressions import TypedExpr, Value
from costlens_policy.expressions.compile import Trace, compile_expression, compile_traced

__all__ = ["ROOTS", "Formula", "compile_formula"]

ROOTS: Final = ("request", "variables", "budgets", "model", "estimate", "now")
"""Arguments of every compiled expression, in order. Those that a stage does not have are ``None``; no expression that
passed the checker reads them there."""


@dataclass(frozen=True, slots=True)
class Formula:
    """``evaluate`` takes the values of ``ROOTS`` in order and returns a CEL value or raises ``CelError``."""

    source: str
    span: Span | None
    typed: TypedExpr
    evaluate: Callable[..., Value]

    def reads(self, root: str) -> bool:
        """Say whether the expression names a root variable."""
        return any(path[0] == root for path in self.typed.references)

    def trace(self, *values: Value) -> Trace:
        """Evaluate once more, keeping the value of each part. Compiled when first asked for."""
        return compile_traced(self.typed, ROOTS)(*values)


def compile_formula(typed: TypedExpr, span: Span | None) -> Formula:
    return Formula(typed.source, span, typed, compile_expression(typed, ROOTS))
