"""What the rules that write generated code share: its global values, its variables, and the account of its work.

A rule writes the Python expression of one type of node, as ``ast`` nodes; ``fast.nodes`` has them all, and hands them
to the emitter. No text of an author gets into the code: variables are renamed, constants are bound as values.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias, cast

from costlens_policy.expressions.compile.exact.builder import Builder
from costlens_policy.expressions.compile.exact.nodes import RULES
from costlens_policy.expressions.compile.fast.python import (
    assign,
    attribute,
    call,
    choice,
    const,
    function,
    name,
    named,
    return_,
    try_,
    within,
)
from costlens_policy.expressions.compile.reads import FreeNames, charged_arguments, kind_of_node, variables_within
from costlens_policy.expressions.errors import CelError
from costlens_policy.expressions.limits import RunLimits, Work
from costlens_policy.expressions.runtime.operators import INT_MAX, INT_MIN, checked_int, overflow
from costlens_policy.expressions.tree import (
    Invocation,
    Literal,
    Node,
    TypedExpr,
)
from costlens_policy.expressions.values import Value

__all__ = ["SCRATCH", "WORK", "Emitter", "Globals", "NoFastForm", "Rule", "local", "parameter"]


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


_FOLDING_ITERATIONS: Final = 1_000
_LARGEST_CONSTANT: Final = 10_000


def _raise_overflow() -> int:
    raise overflow()


Rule: TypeAlias = "Callable[[Emitter, Any], ast.expr]"
"""Emits a node of one type. Raises NoFastForm."""


class Emitter:
    """Emits one expression. ``comprehensions`` counts those in it; more than one share one account of work.

    ``rules`` are the functions that emit a node, by its type. ``in_range`` says that what is being emitted stands in
    the range of a comprehension, where Python allows no ``:=``. ``shared`` gives, by variable and field, the local
    variables that fields were already read into.
    """

    def __init__(
        self,
        typed: TypedExpr,
        parameters: Sequence[str],
        globals_: Globals,
        limits: RunLimits,
        rules: Mapping[type, Rule],
        shared: Mapping[tuple[str, str], str],
    ) -> None:
        self.typed = typed
        self.globals = globals_
        self.limits = limits
        self.shared = shared
        self._rules = rules
        self.free = FreeNames(typed)
        self.comprehensions = self.free.comprehensions
        self._parameters = {variable: parameter(index) for index, variable in enumerate(parameters)}
        self.loop_variables: frozenset[str] | None = None
        self._charged: set[Node] = set()
        self._searches = False
        self._locals: dict[str, str] = {}
        self._bound = 0
        self.in_range = False

    def emit(self, node: Node) -> ast.expr:
        """Return the Python expression of a node. Raises NoFastForm."""
        if not isinstance(node, Literal) and not self.free.of(node):
            folded = self._fold(node)
            if folded is not None:
                return folded
        emitted = self._rules[type(node)](self, node)
        return call(attribute(name(WORK), "read"), emitted) if node in self._charged else emitted

    @property
    def uses_work(self) -> bool:
        """Return whether the expression counts its work: with one comprehension and nothing to read, it need not."""
        return self.comprehensions > 1 or self._searches or bool(self._charged)

    def account(self) -> ast.expr:
        """Return the account that a search pays from."""
        self._searches = True
        return name(WORK)

    def opened_account(self) -> list[ast.stmt]:
        """Return the statement that opens the account, where what was emitted counts its work."""
        return [assign(WORK, self.call(Work, const(self.limits.iterations)))] if self.uses_work else []

    def function(self, identifier: str, body: ast.expr, otherwise: Callable[..., Any]) -> Callable[..., Any]:
        """Compile ``def …(p0, …): try: return BODY except Exception: return otherwise(p0, …)``. Raises NoFastForm."""
        names = list(self._parameters.values())
        attempt = try_([return_(body)], return_(self.call(otherwise, *map(name, names))))
        return self.globals.define(function(identifier, names, [*self.opened_account(), attempt]))

    def charge(self, invocation: Invocation) -> None:
        """Have the arguments of a call paid for that may be large, when the call stands within a comprehension."""
        if self.loop_variables is not None:
            self._charged.update(charged_arguments(self.typed, invocation, self.loop_variables))

    def without_fast_form(self) -> ast.expr:
        """Give up on the whole expression. Raises NoFastForm."""
        raise NoFastForm

    def constant(self, node: Node) -> Value | None:
        """Return the value of a literal, None for every other node."""
        return node.value if isinstance(node, Literal) else None

    def kind(self, node: Node) -> str | None:
        """Return the kind that every value of the node has, or None when types do not tell."""
        return kind_of_node(self.typed, node)

    def bind(self, value: Any) -> ast.expr:
        """Return an expression for a Python object that generated code uses."""
        return self.globals.value(value)

    def call(self, function: Callable[..., Any], *arguments: ast.expr) -> ast.expr:
        return call(self.globals.value(function), *arguments)

    def variable(self, variable: str) -> ast.expr:
        """Read a parameter. Raises NoFastForm when it is not among them."""
        if variable not in self._parameters:
            return self.without_fast_form()
        return name(self._parameters[variable])

    def local(self, variable: str) -> ast.expr:
        return name(self._locals[variable])

    @contextmanager
    def binding(self, *variables: str, loop: bool = False) -> Iterator[tuple[str, ...]]:
        """Give each variable of a macro an identifier of its own while its body is emitted."""
        outer, outer_loop = self._locals, self.loop_variables
        self.loop_variables = variables_within(outer_loop, variables, loop=loop)
        identifiers = tuple(local(self._bound + index) for index in range(len(variables)))
        self._bound += len(variables)
        self._locals = {**outer, **dict(zip(variables, identifiers, strict=True))}
        yield identifiers
        self._locals, self.loop_variables = outer, outer_loop

    @contextmanager
    def range(self) -> Iterator[None]:
        """Emit the range of a comprehension."""
        outer, self.in_range = self.in_range, True
        yield
        self.in_range = outer

    def checked(self, number: ast.expr) -> ast.expr:
        """Check that a number is an int of CEL, in place where that can be: a call would cost more than the sum."""
        if self.in_range:
            return self.call(checked_int, number)
        fits = within(const(INT_MIN), named(SCRATCH, number), const(INT_MAX))
        return choice(fits, name(SCRATCH), self.call(_raise_overflow))

    def _fold(self, node: Node) -> ast.expr | None:
        """Evaluate a node that reads no variable; None when it is an error, which stays one at run time."""
        builder = Builder(self.typed, (), RULES)
        evaluate = builder.build(node)
        try:
            value = evaluate([Work(_FOLDING_ITERATIONS), None, *[None] * builder.slots])
        except CelError:
            return None
        if isinstance(value, str | bytes | list | dict) and len(value) > _LARGEST_CONSTANT:
            return None
        return self.globals.constant(value)
