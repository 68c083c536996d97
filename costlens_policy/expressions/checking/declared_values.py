"""Comparisons with a text that an attribute can never hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from costlens_policy.diagnostics.model import Severity
from costlens_policy.expressions.checking.walk import Walk
from costlens_policy.expressions.problems import did_you_mean, shortened
from costlens_policy.expressions.tree import ListLiteral, Literal, Node

__all__ = ["check_declared_values"]


def check_declared_values(walk: Walk, function: str, arguments: Sequence[Node]) -> None:
    """Warn of ``request.tier == "gold"`` where the tiers are declared and that is none of them."""
    if function not in ("_==_", "_!=_", "@in"):
        return
    for attribute, other in (tuple(arguments), tuple(reversed(arguments))):
        field = walk.fields.get(attribute)
        if field is None or not field.values:
            continue
        for literal in _texts(other):
            if literal.value not in field.values:
                known = ", ".join(f"`{value}`" for value in field.values[:12])
                advice = did_you_mean(literal.value, field.values) or f"it is one of {known}"
                message = f"`{walk.text(attribute)}` is never `{shortened(literal.value)}`"
                walk.report("CL313", message, literal.extent, "not a declared value", advice, Severity.WARNING)


def _texts(node: Node) -> Iterator[Literal]:
    for item in node.elements if isinstance(node, ListLiteral) else (node,):
        if isinstance(item, Literal) and isinstance(item.value, str):
            yield item
