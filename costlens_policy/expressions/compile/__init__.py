"""From typed expressions to Python functions.

Each expression has two forms: a fast one, which is plain Python wherever static types make that right, and an exact
one, which takes over where the fast one raises and which a trace runs.
"""

from __future__ import annotations

from collections.abc import Callable

from costlens_policy.expressions.compile.exact.evaluation import NOT_EVALUATED, Exact, Part, Trace, compile_traced
from costlens_policy.expressions.compile.fast.emitter import Globals, NoFastForm
from costlens_policy.expressions.compile.fast.nodes import emitter_of
from costlens_policy.expressions.compile.first_match import RuleError, compile_first_match
from costlens_policy.expressions.limits import DEFAULT_RUN_LIMITS, RunLimits
from costlens_policy.expressions.tree import TypedExpr
from costlens_policy.expressions.values import Value

__all__ = [
    "NOT_EVALUATED", "Part", "RuleError", "Trace", "compile_expression", "compile_first_match", "compile_traced",
]  # fmt: skip


def compile_expression(
    typed: TypedExpr, parameters: tuple[str, ...], *, limits: RunLimits = DEFAULT_RUN_LIMITS
) -> Callable[..., Value]:
    """Return a function of the parameters' values, in order, that evaluates the expression. It raises CelError.

    ``limits`` bound one evaluation. The function is pure, and safe to call from any number of threads.
    """
    exact = Exact(typed, parameters, limits)
    try:
        return _fast_form(typed, parameters, limits, exact)
    except (NoFastForm, RecursionError):
        return exact


def _fast_form(typed: TypedExpr, parameters: tuple[str, ...], limits: RunLimits, exact: Exact) -> Callable[..., Value]:
    emitter = emitter_of(typed, parameters, Globals(), limits)
    return emitter.function("evaluate", emitter.emit(typed.root), exact)
