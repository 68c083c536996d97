"""The names of generated code: its global values, parameters and local variables. None comes from an author."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, Final, cast

from costlens_policy.expressions.compile.fast.python import const, name
from costlens_policy.expressions.values import Value

__all__ = ["SCRATCH", "WORK", "Globals", "NoFastForm", "local", "parameter"]

SCRATCH: Final = "n"
"""Holds a number between its computation and its range check, and never longer."""

WORK: Final = "w"

_PLAIN: Final = (type(None), bool, int, float, str, bytes)


class NoFastForm(Exception):  # noqa: N818 (it reports a choice, not an error)
    """The expression has a part that only the exact form can evaluate."""


def parameter(index: int) -> str:
    return f"p{index}"


def local(index: int) -> str:
    return f"v{index}"


class Globals:
    """The namespace that generated functions run in; functions of one plan share it."""

    def __init__(self) -> None:
        self.namespace: dict[str, Any] = {}
        self._names: dict[int, str] = {}

    def value(self, value: Any) -> ast.expr:
        """Return an expression for an object: a constant where Python has one, else a name bound to it."""
        if type(value) in _PLAIN:
            return const(value)
        identifier = self._names.get(id(value))
        if identifier is None:
            # The namespace keeps the object alive, so that its id stays its own.
            identifier = self._names[id(value)] = f"g{len(self._names)}"
            self.namespace[identifier] = value
        return name(identifier)

    def constant(self, value: Value) -> ast.expr:
        """Return an expression for a CEL value; lists become tuples, which no caller can change."""
        return self.value(_frozen(value))

    def define(self, function: ast.stmt) -> Callable[..., Any]:
        """Compile a function definition and return the function. Raises NoFastForm when it is too much for Python."""
        assert isinstance(function, ast.FunctionDef)
        try:
            exec(compile(ast.Module([function], []), "<expression>", "exec"), self.namespace)
        except (SyntaxError, RecursionError, MemoryError):
            raise NoFastForm from None
        return cast("Callable[..., Any]", self.namespace[function.name])


def _frozen(value: Value) -> Value:
    if isinstance(value, list | tuple):
        return tuple(map(_frozen, value))
    return value
