"""One typed expression as one Python function."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, Final, cast

from costlens_policy.expressions.compile.exact.evaluation import Exact
from costlens_policy.expressions.compile.fast.emitter import Emitter, NoFastForm
from costlens_policy.expressions.compile.fast.names import WORK, Globals, parameter
from costlens_policy.expressions.compile.fast.python import call, const, name, store
from costlens_policy.expressions.runtime.limits import ITERATIONS, Work
from costlens_policy.expressions.typed import TypedExpr
from costlens_policy.expressions.values import Value

__all__ = ["compile_expression"]

_TEMPLATE: Final = """
def evaluate():
    try:
        return None
    except Exception:
        return None
"""


def compile_expression(
    typed: TypedExpr, parameters: tuple[str, ...], *, iterations: int = ITERATIONS
) -> Callable[..., Value]:
    """Return a function of the parameters' values, in order, that evaluates the expression. It raises CelError.

    ``iterations`` bounds what the comprehensions of one evaluation visit. The function is pure, and safe to call
    from any number of threads.
    """
    exact = Exact(typed, parameters, iterations)
    globals_ = Globals()
    emitter = Emitter(typed, parameters, globals_, iterations)
    try:
        body = emitter.emit(typed.root)
    except NoFastForm:
        return exact
    module = _module(body, globals_.value(exact), len(parameters), _account(emitter))
    exec(compile(module, "<expression>", "exec"), globals_.namespace)
    return cast("Callable[..., Value]", globals_.namespace["evaluate"])


def _account(emitter: Emitter) -> list[ast.stmt]:
    """Open the account of work that several comprehensions share."""
    if emitter.comprehensions < 2:
        return []
    return [ast.Assign([store(WORK)], emitter.call(Work, const(emitter.iterations)))]


def _module(body: ast.expr, exact: ast.expr, parameters: int, before: list[ast.stmt]) -> ast.Module:
    """Return ``def evaluate(p0, …): try: return BODY except Exception: return EXACT(p0, …)``."""
    module = ast.parse(_TEMPLATE)
    function: Any = module.body[0]
    attempt = function.body[0]
    names = [parameter(index) for index in range(parameters)]
    function.args.args = [ast.arg(identifier) for identifier in names]
    attempt.body[0].value = body
    attempt.handlers[0].body[0].value = call(exact, *map(name, names))
    function.body[:0] = before
    return ast.fix_missing_locations(module)
