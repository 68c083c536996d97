"""Evaluate an expression from its text; variables are of type dyn."""

from __future__ import annotations

from typing import Any

from costlens_policy.expressions import DYN, Environment, analyze
from costlens_policy.expressions.compile import compile_expression
from costlens_policy.expressions.runtime import CelError, from_python, to_python

__all__ = ["evaluate", "failure"]


def evaluate(text: str, **variables: Any) -> Any:
    """Return the value as plain Python. Raises CelError."""
    analyzed = analyze(text, Environment(dict.fromkeys(variables, DYN)))
    assert analyzed.typed is not None, [problem.message for problem in analyzed.problems]
    function = compile_expression(analyzed.typed, tuple(variables))
    return to_python(function(*map(from_python, variables.values())))


def failure(text: str, **variables: Any) -> str:
    """Return the code of the error that an expression ends in."""
    try:
        value = evaluate(text, **variables)
    except CelError as error:
        return error.code
    raise AssertionError(f"`{text}` is {value!r}")
