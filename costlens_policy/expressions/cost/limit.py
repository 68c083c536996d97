"""Expressions that may take too many steps, and the part to blame."""

from __future__ import annotations

from typing import Final

from costlens_policy.expressions.cost.worst_case import WorstCase
from costlens_policy.expressions.limits import DEFAULT_LIMITS, Limits
from costlens_policy.expressions.problems import Problem, shortened
from costlens_policy.expressions.tree import Call, Comprehension, Extent, Node
from costlens_policy.expressions.typed import TypedExpr

__all__ = ["too_dear"]

_MOST_SHOWN: Final = 10**15
_ONE_PASS: Final = (
    "declare a `max_size` for what it goes through, or ask with `in` or the functions of `sets`, which take one pass"
)
_SMALLER: Final = "declare a `max_size` for what it reads, or let it make less"


def too_dear(typed: TypedExpr, found: WorstCase, limits: Limits = DEFAULT_LIMITS) -> Problem | None:
    """Return the problem of an expression that may take more steps than the limit; None for every other."""
    if found.steps <= limits.cost:
        return None if found.weight <= limits.cost else _too_large(found, limits)
    message = f"this may take {_number(found.steps)} steps, and the limit is {limits.cost:,}"
    node, times = _to_blame(typed.root, found, limits.cost)
    advice = _ONE_PASS if isinstance(node, Comprehension) else _SMALLER
    return Problem("CL319", message, _extent(node), _label(typed, found, node, times), advice)


def _too_large(found: WorstCase, limits: Limits) -> Problem:
    message = f"this may make a value of {_number(found.weight)} parts, and whatever reads it takes a step for each"
    label = f"the limit is {limits.cost:,}"
    return Problem("CL319", message, _extent(found.heaviest), label, "let it hold less")


def _to_blame(root: Node, found: WorstCase, limit: int) -> tuple[Node, int]:
    """Follow the dearest parts down while they are too dear by themselves; return the last comprehension on the way.

    Where there is none it is the last node. With it comes how often it is evaluated.
    """
    node, times = root, 1
    blamed: tuple[Node, int] | None = None
    while True:
        if isinstance(node, Comprehension):
            blamed = node, times
        parts = [(child, times * _repeats(found, node, child)) for child in found.below[node]]
        dearest = max(parts, key=lambda part: found.nodes[part[0]] * part[1], default=None)
        if dearest is None or found.nodes[dearest[0]] * dearest[1] <= limit:
            return blamed or (node, times)
        node, times = dearest


def _repeats(found: WorstCase, node: Node, child: Node) -> int:
    return found.visits[node] if isinstance(node, Comprehension) and child is not node.range else 1


def _extent(node: Node) -> Extent:
    if isinstance(node, Comprehension):
        return node.macro_extent
    return node.function_extent if isinstance(node, Call) else node.extent


def _label(typed: TypedExpr, found: WorstCase, node: Node, times: int) -> str:
    again = "" if times == 1 else f", {_number(times)} times over"
    if isinstance(node, Comprehension):
        text = shortened(typed.source[node.range.extent.start : node.range.extent.end], 40)
        return f"goes through {_number(found.visits[node])} elements of `{text}`{again}"
    return f"{_number(found.nodes[node])} steps{again}"


def _number(count: int) -> str:
    return f"{count:,}" if count <= _MOST_SHOWN else f"more than {_MOST_SHOWN:,}"
