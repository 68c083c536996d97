"""Which names an expression reads, and whether it reads any: what reads none is a constant."""

from __future__ import annotations

from collections.abc import Iterator

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

__all__ = ["FreeNames", "children"]


class FreeNames:
    """The names that each node of an expression reads and does not bind itself; found once per node."""

    def __init__(self, typed: TypedExpr) -> None:
        self._typed = typed
        self._found: dict[Node, frozenset[str]] = {}

    def of(self, node: Node) -> frozenset[str]:
        found = self._found.get(node)
        if found is None:
            found = self._found[node] = self._find(node)
        return found

    def _find(self, node: Node) -> frozenset[str]:
        if isinstance(node, Name | Select):
            resolution = self._typed.resolutions.get(node)
            if resolution is not None:
                return frozenset() if resolution.kind is ResolutionKind.TYPE else frozenset((resolution.name,))
            if isinstance(node, Name):
                return frozenset((node.name,))
        names = frozenset[str]().union(*map(self.of, _outside(self._typed, node)))
        for body, bound in _bodies(node):
            names |= self.of(body) - bound
        return names


def children(typed: TypedExpr, node: Node) -> Iterator[Node]:
    """Yield the nodes right below a node that are evaluated as such."""
    yield from _outside(typed, node)
    for body, _ in _bodies(node):
        yield body


def _outside(typed: TypedExpr, node: Node) -> tuple[Node, ...]:
    """Return the nodes below that see no variable of the node's own."""
    match node:
        case Literal() | Name():
            return ()
        case Select():
            return () if node in typed.resolutions else (node.operand,)
        case Presence() | OptionalMap():
            return (node.operand,)
        case Index():
            return (node.operand, node.key)
        case Call():
            return typed.calls[node].arguments
        case Logic():
            return node.operands
        case Conditional():
            return (node.condition, node.accepted, node.rejected)
        case ListLiteral():
            return node.elements
        case MapLiteral():
            return tuple(part for entry in node.entries for part in (entry.key, entry.value))
        case Comprehension():
            return (node.range,)
        case Bind():
            return (node.value,)


def _bodies(node: Node) -> Iterator[tuple[Node, frozenset[str]]]:
    """Yield the nodes below that see variables of the node's own, with these."""
    match node:
        case Comprehension():
            bound = frozenset(name for name in (node.variable, node.second) if name is not None)
            for body in (node.predicate, node.transform):
                if body is not None:
                    yield body, bound
        case Bind():
            yield node.body, frozenset((node.variable,))
        case OptionalMap():
            yield node.transform, frozenset((node.variable,))
