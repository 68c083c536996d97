"""Which names an expression reads, and whether it reads any: what reads none is a constant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

from costlens_policy.expressions.tree import (
    Bind,
    Call,
    Comprehension,
    Conditional,
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
from costlens_policy.expressions.typed import ResolutionKind, TypedExpr

__all__ = ["FreeNames"]

_Nodes: TypeAlias = tuple[Node, ...]
_NOTHING: Final[frozenset[str]] = frozenset()


class FreeNames:
    """The names that each node of an expression reads and does not bind itself.

    ``comprehensions`` counts the comprehensions of the whole expression.
    """

    def __init__(self, typed: TypedExpr) -> None:
        self._typed = typed
        self._found: dict[Node, frozenset[str]] = {}
        self.comprehensions = 0
        self._find(typed.root)

    def of(self, node: Node) -> frozenset[str]:
        return self._found[node]

    def _find(self, node: Node) -> frozenset[str]:
        names = self._read(node) if isinstance(node, Name | Select) else None
        if names is None:
            names = _NOTHING
            for inner in _OUTSIDE[type(node)](self._typed, node):
                names |= self._find(inner)
            for body, bound in _bodies(node):
                names |= self._find(body) - bound
        self.comprehensions += isinstance(node, Comprehension)
        self._found[node] = names
        return names

    def _read(self, node: Name | Select) -> frozenset[str] | None:
        """Return what an identifier reads, or None for a selection that is not one."""
        resolution = self._typed.resolutions.get(node)
        if resolution is None:
            return frozenset((node.name,)) if isinstance(node, Name) else None
        return _NOTHING if resolution.kind is ResolutionKind.TYPE else frozenset((resolution.name,))


_OUTSIDE: Final[dict[type, Callable[[TypedExpr, Any], _Nodes]]] = {
    Literal: lambda typed, node: (),
    Name: lambda typed, node: (),
    Select: lambda typed, node: (node.operand,),
    Presence: lambda typed, node: (node.operand,),
    OptionalMap: lambda typed, node: (node.operand,),
    Index: lambda typed, node: (node.operand, node.key),
    Call: lambda typed, node: typed.calls[node].arguments,
    Logic: lambda typed, node: node.operands,
    Conditional: lambda typed, node: (node.condition, node.accepted, node.rejected),
    ListLiteral: lambda typed, node: node.elements,
    MapLiteral: lambda typed, node: tuple(part for entry in node.entries for part in (entry.key, entry.value)),
    Comprehension: lambda typed, node: (node.range,),
    Bind: lambda typed, node: (node.value,),
}
"""By type of node: the nodes below it that see no variable of its own."""


def _bodies(node: Node) -> Iterator[tuple[Node, frozenset[str]]]:
    """Yield the nodes below that see variables of the node's own, with these."""
    if isinstance(node, Comprehension):
        bound = frozenset(name for name in (node.variable, node.second) if name is not None)
        yield from ((body, bound) for body in (node.predicate, node.transform) if body is not None)
    elif isinstance(node, Bind):
        yield node.body, frozenset((node.variable,))
    elif isinstance(node, OptionalMap):
        yield node.transform, frozenset((node.variable,))
