"""One typed expression as one Python function."""

from __future__ import annotations

from collections.abc import Callable

from costlens_policy.expressions.compile.exact.evaluation import Exact
from costlens_policy.expressions.compile.fast.emitter import Emitter, NoFastForm
from costlens_policy.expressions.compile.fast.names import Globals, parameter
from costlens_policy.expressions.compile.fast.python import call, function, name, return_, try_
from costlens_policy.expressions.compile.fast.work import account
from costlens_policy.expressions.runtime.limits import ITERATIONS
from costlens_policy.expressions.typed import TypedExpr
from costlens_policy.expressions.values import Value

__all__ = ["compile_expression"]


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
    names = [parameter(index) for index in range(len(parameters))]
    attempt = try_([return_(body)], return_(call(globals_.value(exact), *map(name, names))))
    return globals_.define(function("evaluate", names, [*account(emitter), attempt]))
