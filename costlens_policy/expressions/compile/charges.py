"""What a call inside a comprehension pays for besides the visit: the size of what it must read.

A comprehension over 50,000 elements of which each looks through a list of 50,000 takes as long as two nested ones, so
it must be counted like them. Small and fixed arguments are free, and so are the comprehension's own variables: what
they hold together is no larger than the range that was paid for.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from costlens_policy.expressions.runtime.functions import kind_of_type
from costlens_policy.expressions.tree import ListLiteral, Literal, Name, Node
from costlens_policy.expressions.typed import Invocation, ResolutionKind, TypedExpr

__all__ = ["charged_arguments", "kind_of_node", "variables_within"]

_LARGE: Final = frozenset(("string", "bytes", "list", "map", None))
_COMPARISONS: Final = frozenset(("_==_", "_!=_"))
_SCALAR: Final = frozenset(("string", "bytes"))
_FREE: Final = frozenset(
    (
        "_<_", "_<=_", "_>_", "_>=_", "size", "type", "dyn", "startsWith", "endsWith", "charAt", "first", "last",
        "bool", "int", "uint", "double", "timestamp", "duration", "ip", "cidr", "isIP", "isCIDR", "ip.isCanonical",
        "containsIP", "containsCIDR", "optional.of", "optional.none", "hasValue", "value", "or", "orValue",
        "getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getHours",
        "getMinutes", "getSeconds", "getMilliseconds",
    )
)  # fmt: skip
"""Functions that take as long for large arguments as for small ones."""


def kind_of_node(typed: TypedExpr, node: Node) -> str | None:
    """Return the kind that every value of the node has, or None when types do not tell."""
    declared = typed.types[node]
    return "map" if typed.environment.record(declared) else kind_of_type(declared)


def charged_arguments(typed: TypedExpr, invocation: Invocation, variables: Collection[str]) -> list[Node]:
    """Return the arguments whose size is paid for; ``variables`` are those of the comprehensions around the call."""
    function, arguments = invocation.function, invocation.arguments
    if function in _FREE or (function == "@in" and kind_of_node(typed, arguments[-1]) == "map"):
        return []
    if function in _COMPARISONS and any(isinstance(argument, Literal) for argument in arguments):
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
