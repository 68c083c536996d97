"""What the rules that build closures share: the frame of an evaluation, and the slots of its variables.

A rule makes the evaluator of one type of node; ``exact.nodes`` has them all, and hands them to the builder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

from costlens_policy.expressions.compile.reads import variables_within
from costlens_policy.expressions.errors import CelError
from costlens_policy.expressions.limits import SIZE
from costlens_policy.expressions.tree import (
    Call,
    Conditional,
    Extent,
    Literal,
    Logic,
    Name,
    Node,
    TypedExpr,
)
from costlens_policy.expressions.values import Value

__all__ = ["FIRST", "PARTS", "WORK", "Builder", "Evaluate", "Frame", "Rule", "placed"]


Frame: TypeAlias = list[Any]
"""A list of slots: the work left, the parts of a trace, then the parameters and the local variables."""

Evaluate: TypeAlias = Callable[[Frame], Value]
"""Evaluates one node in a frame. Raises CelError."""

WORK: Final = 0
PARTS: Final = 1
FIRST: Final = 2


Rule: TypeAlias = "Callable[[Builder, Any], Evaluate]"
"""Builds the evaluator of a node of one type."""


def placed(error: CelError, extent: Extent) -> CelError:
    """Give an error the place of the node that raised it, unless a node below gave it one."""
    if error.extent is None:
        error.extent = extent
    return error


class Builder:
    """Builds evaluators of one expression. With ``traced``, each keeps its last value in the frame.

    ``size`` bounds the values that calls make.

    ``nodes`` are the traced ones in the order of their slots in the frame's parts; ``slots`` is the frame's length.
    ``loop_variables`` are those of the comprehensions around what is being built, None outside of any.
    """

    def __init__(
        self,
        typed: TypedExpr,
        parameters: Sequence[str],
        rules: Mapping[type, Rule],
        size: int = SIZE,
        *,
        traced: bool = False,
    ) -> None:
        self.typed = typed
        self._rules = rules
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
        evaluate = self._rules[type(node)](self, node)
        if self._traced and not (type(node) is Literal and not node.named):
            return self._tracing(node, evaluate)
        return evaluate if type(node) in _PLACE_THEMSELVES else _placing(node.extent, evaluate)

    def variable(self, name: str) -> int | None:
        """Return the slot of a parameter, or None when it is not among them."""
        return self._parameters.get(name)

    def local(self, name: str) -> int:
        """Return the slot of a variable that a macro binds; the innermost wins."""
        return self._locals[name]

    def is_lazy(self, slot: int) -> bool:
        """Return whether the slot is that of a ``cel.bind``, whose value is evaluated when first read."""
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
