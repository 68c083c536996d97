"""One typed expression as one Python function."""

from __future__ import annotations

from collections.abc import Callable

from costlens_policy.expressions.compile.exact.evaluation import Exact
from costlens_policy.expressions.compile.fast.emitter import Emitter
from costlens_policy.expressions.compile.fast.names import Globals, NoFastForm, parameter
from costlens_policy.expressions.compile.fast.python import call, function, name, return_, try_
from costlens_policy.expressions.compile.fast.work import account
from costlens_policy.expressions.runtime.limits import DEFAULT_RUN_LIMITS, RunLimits
from costlens_policy.expressions.typed import TypedExpr
from costlens_policy.expressions.values import Value

__all__ = ["compile_expression"]


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
    """Return ``def evaluate(p0, ...): try: return FAST except Exception: return exact(p0, ...)``."""
    globals_ = Globals()
    emitter = Emitter(typed, parameters, globals_, limits)
    body = emitter.emit(typed.root)
    names = [parameter(index) for index in range(len(parameters))]
    attempt = try_([return_(body)], return_(call(globals_.value(exact), *map(name, names))))
    return globals_.define(function("evaluate", names, [*account(emitter), attempt]))
