"""Trees as short texts, so that a test can state what an expression parses to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

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

__all__ = ["shape"]


def shape(node: Node) -> str:
    """Return the tree with every bracket: ``(1 + (2 * 3))`` becomes ``_+_(1, _*_(2, 3))``."""
    return _SHAPES[type(node)](node)


def _joined(nodes: Iterable[Node]) -> str:
    return ", ".join(map(shape, nodes))


def _call(node: Call) -> str:
    target = f"{shape(node.target)}->" if node.target else ""
    return f"{target}{node.function}({_joined(node.arguments)})"


def _list(node: ListLiteral) -> str:
    pairs = zip(node.elements, node.optional, strict=True)
    return f"[{', '.join(('?' if optional else '') + shape(element) for element, optional in pairs)}]"


def _map(node: MapLiteral) -> str:
    return f"{{{', '.join(f'{_mark(e.optional)}{shape(e.key)}: {shape(e.value)}' for e in node.entries)}}}"


def _comprehension(node: Comprehension) -> str:
    names = node.variable if node.second is None else f"{node.variable}, {node.second}"
    bodies = [shape(body) if body else "-" for body in (node.predicate, node.transform)]
    return f"{node.macro}({shape(node.range)}, {names}, {', '.join(bodies)})"


def _mark(optional: bool) -> str:
    return "?" if optional else ""


_SHAPES: dict[type, Callable[[Any], str]] = {
    Bind: lambda node: f"bind({node.variable}, {shape(node.value)}, {shape(node.body)})",
    Call: _call,
    Comprehension: _comprehension,
    Conditional: lambda node: f"if({_joined((node.condition, node.accepted, node.rejected))})",
    Index: lambda node: f"{shape(node.operand)}[{_mark(node.optional)}{shape(node.key)}]",
    ListLiteral: _list,
    Literal: lambda node: repr(node.value),
    Logic: lambda node: f"{node.operator}({_joined(node.operands)})",
    MapLiteral: _map,
    Name: lambda node: node.name,
    OptionalMap: lambda node: (
        f"{'flat' if node.flat else 'opt'}({shape(node.operand)}, {node.variable}, {shape(node.transform)})"
    ),
    Presence: lambda node: f"has({shape(node.operand)}.{node.field})",
    Select: lambda node: f"{shape(node.operand)}.{_mark(node.optional)}{node.field}",
}
