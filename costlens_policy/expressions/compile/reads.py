"""What a call inside a comprehension pays for besides the visit: the size of what it must read.

A comprehension over 50,000 elements of which each looks through a list of 50,000 takes as long as two nested ones, so
it must be counted like them. Small and fixed arguments are free, and so are the comprehension's own variables: what
they hold together is no larger than the range that was paid for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any, Final, TypeAlias

from costlens_policy.expressions.functions import functions
from costlens_policy.expressions.runtime.functions import kind_of_type
from costlens_policy.expressions.tree import (
    Bind,
    Call,
    Comprehension,
    Conditional,
    Index,
    Invocation,
    ListLiteral,
    Literal,
    Logic,
    MapLiteral,
    Name,
    Node,
    OptionalMap,
    Presence,
    Resolution,
    ResolutionKind,
    Select,
    TypedExpr,
)

__all__ = ["FreeNames", "charged_arguments", "is_constant", "kind_of_node", "variables_within"]


_LARGE: Final = frozenset(("string", "bytes", "list", "map", None))
_COMPARISONS: Final = frozenset(("_==_", "_!=_"))
_SCALAR: Final = frozenset(("string", "bytes"))


def kind_of_node(typed: TypedExpr, node: Node) -> str | None:
    """Return the kind that every value of the node has, or None when types do not tell."""
    declared = typed.types[node]
    return "map" if typed.environment.record(declared) else kind_of_type(declared)


def charged_arguments(typed: TypedExpr, invocation: Invocation, variables: Collection[str]) -> list[Node]:
    """Return the arguments whose size is paid for; ``variables`` are those of the comprehensions around the call."""
    function, arguments = invocation.function, invocation.arguments
    if function in _COMPARISONS and any(isinstance(argument, Literal) for argument in arguments):
        return []
    if function == "@in" and kind_of_node(typed, arguments[-1]) == "map":
        return []
    row = None if function in _COMPARISONS else functions().get(function)
    if row is not None and row.constant_time:
        return []
    large = _LARGE - _SCALAR if function in _COMPARISONS else _LARGE
    candidates = arguments[1:] if function == "@in" else arguments
    return [
        argument
        for argument in candidates
        if kind_of_node(typed, argument) in large and not _is_small(typed, argument, variables)
    ]


def variables_within(outer: frozenset[str] | None, names: Collection[str], *, loop: bool) -> frozenset[str] | None:
    """Return the variables of comprehensions where ``names`` are bound, by one or not; None outside of any."""
    if loop:
        return (outer or frozenset()) | frozenset(names)
    return None if outer is None else outer - frozenset(names)


def _is_small(typed: TypedExpr, node: Node, variables: Collection[str]) -> bool:
    if isinstance(node, Name):
        resolution = typed.resolutions.get(node)
        return resolution is not None and resolution.kind is ResolutionKind.LOCAL and resolution.name in variables
    if isinstance(node, ListLiteral):
        return all(isinstance(element, Literal) for element in node.elements)
    return isinstance(node, Literal)


def is_constant(typed: TypedExpr, resolution: Resolution) -> bool:
    """Return whether an identifier stands for a variable that never changes."""
    return resolution.kind is ResolutionKind.VARIABLE and resolution.name in typed.environment.constants


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
        if resolution.kind is ResolutionKind.TYPE or is_constant(self._typed, resolution):
            return _NOTHING
        return frozenset((resolution.name,))


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
