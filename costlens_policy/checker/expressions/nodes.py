"""Look for things in the tree of an expression."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any, Final, get_args

from costlens_policy.expressions import Extent, Node, TypedExpr
from costlens_policy.expressions.tree import Index, Literal, MapEntry, Name, Presence, Select

__all__ = ["budget_reads", "nodes_of", "variable_reads"]

_NODES: Final[tuple[Any, ...]] = (*get_args(Node), MapEntry)


def nodes_of(node: Any) -> Iterator[Node]:
    """Yield a node and everything below it, parents first. The parser limits the depth."""
    if type(node) is tuple:
        for item in node:
            yield from nodes_of(item)
    elif type(node) in _NODES:
        if type(node) is not MapEntry:
            yield node
        for field in fields(node):
            yield from nodes_of(getattr(node, field.name))


def variable_reads(typed: TypedExpr) -> Iterator[tuple[str, Extent]]:
    """Yield each read of ``variables.name``: the name and where it stands."""
    for node in nodes_of(typed.root):
        if isinstance(node, Select | Presence) and _is_root(typed, node.operand, "variables"):
            yield node.field, node.field_extent


def budget_reads(typed: TypedExpr) -> Iterator[tuple[str, Extent]]:
    """Yield each read of ``budgets["id"]`` whose id is written out: the id and where it stands."""
    for node in nodes_of(typed.root):
        if isinstance(node, Index) and _is_root(typed, node.operand, "budgets"):
            if isinstance(node.key, Literal) and isinstance(node.key.value, str):
                yield node.key.value, node.key.extent
        elif isinstance(node, Select | Presence) and _is_root(typed, node.operand, "budgets"):
            yield node.field, node.field_extent


def _is_root(typed: TypedExpr, node: Node, root: str) -> bool:
    if not isinstance(node, Name):
        return False
    resolution = typed.resolutions.get(node)
    return resolution is not None and resolution.name == root and resolution.kind == "variable"
