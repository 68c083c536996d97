"""From a typed tree to closures, node by node."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from costlens_policy.expressions.compile.charges import variables_within
from costlens_policy.expressions.compile.exact import access, logic, macros
from costlens_policy.expressions.compile.exact.frame import FIRST, PARTS, Evaluate, Frame, placed
from costlens_policy.expressions.runtime.errors import CelError
from costlens_policy.expressions.runtime.limits import SIZE
from costlens_policy.expressions.tree import (
    Bind,
    Call,
    Comprehension,
    Conditional,
    Extent,
    Index,
    ListLiteral,
    Literal,
    Logic,
    MapLiteral,
    Name,
    Node,
    OptionalMap,
    Presence,
    Select,
)
from costlens_policy.expressions.typed import TypedExpr

__all__ = ["Builder"]


class Builder:
    """Builds evaluators of one expression. With ``traced``, each keeps its last value in the frame.

    ``size`` bounds the values that calls make.

    ``nodes`` are the traced ones in the order of their slots in the frame's parts; ``slots`` is the frame's length.
    ``loop_variables`` are those of the comprehensions around what is being built, None outside of any.
    """

    def __init__(self, typed: TypedExpr, parameters: Sequence[str], size: int = SIZE, *, traced: bool = False) -> None:
        self.typed = typed
        self.size = size
        self.nodes: list[Node] = []
        self.slots = FIRST + len(parameters)
        self._parameters = {name: FIRST + index for index, name in enumerate(parameters)}
        self.loop_variables: frozenset[str] | None = None
        self._locals: dict[str, int] = {}
        self._lazy: set[int] = set()
        self._traced = traced

    def build(self, node: Node) -> Evaluate:
        """Return the evaluator of a node. Its errors carry the extent of the node that raised them."""
        evaluate = _BUILDERS[type(node)](self, node)
        if self._traced and type(node) is not Literal:
            return self._tracing(node, evaluate)
        return evaluate if type(node) in _PLACE_THEMSELVES else _placing(node.extent, evaluate)

    def variable(self, name: str) -> int | None:
        """Return the slot of a parameter, or None when it is not among them."""
        return self._parameters.get(name)

    def local(self, name: str) -> int:
        """Return the slot of a variable that a macro binds; the innermost wins."""
        return self._locals[name]

    def is_lazy(self, slot: int) -> bool:
        """Say whether the slot is that of a ``cel.bind``, whose value is evaluated when first read."""
        return slot in self._lazy

    @contextmanager
    def binding(self, *names: str, lazy: bool = False, loop: bool = False) -> Iterator[tuple[int, ...]]:
        """Give each name a slot of its own while the body of its macro is built."""
        outer, outer_loop = self._locals, self.loop_variables
        self.loop_variables = variables_within(outer_loop, names, loop=loop)
        slots = tuple(range(self.slots, self.slots + len(names)))
        self.slots += len(names)
        self._lazy.update(slots if lazy else ())
        self._locals = {**outer, **dict(zip(names, slots, strict=True))}
        yield slots
        self._locals, self.loop_variables = outer, outer_loop

    def _tracing(self, node: Node, evaluate: Evaluate) -> Evaluate:
        place = len(self.nodes)
        self.nodes.append(node)
        extent = node.extent

        def traced(frame: Frame) -> Any:
            try:
                value = evaluate(frame)
            except CelError as error:
                frame[PARTS][place] = placed(error, extent)
                raise
            frame[PARTS][place] = value
            return value

        return traced


def _placing(extent: Extent, evaluate: Evaluate) -> Evaluate:
    def placing(frame: Frame) -> Any:
        try:
            return evaluate(frame)
        except CelError as error:
            placed(error, extent)
            raise

    return placing


_PLACE_THEMSELVES: Final = frozenset((Literal, Name, Logic, Conditional, Call))
"""Nodes that give their errors a place, or make none: one function call less for each."""

_BUILDERS: Final[dict[type, Callable[[Builder, Any], Evaluate]]] = {
    Literal: access.literal,
    Name: access.name,
    Select: access.select,
    Index: access.index,
    Presence: access.presence,
    ListLiteral: access.list_literal,
    MapLiteral: access.map_literal,
    Call: logic.call,
    Logic: logic.logic,
    Conditional: logic.conditional,
    Comprehension: macros.comprehension,
    Bind: macros.bind,
    OptionalMap: macros.optional_map,
}
