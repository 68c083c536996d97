"""Between which bounds an integer must lie: where a sum cannot overflow, it is not checked."""

from __future__ import annotations

from typing import Final, TypeAlias

from costlens_policy.expressions.runtime.arithmetic import INT_MAX, INT_MIN
from costlens_policy.expressions.tree import Call, Conditional, Literal, Node
from costlens_policy.expressions.typed import TypedExpr

__all__ = ["Interval", "fits", "interval"]

Interval: TypeAlias = tuple[int, int]

_ANY: Final[Interval] = (INT_MIN, INT_MAX)
_RESULTS: Final[dict[str, Interval]] = {
    "size": (0, 2**48),
    "hash": (0, 9_999),
    "getFullYear": (0, 10_000),
    "getMonth": (0, 11),
    "getDate": (1, 31),
    "getDayOfMonth": (0, 30),
    "getDayOfWeek": (0, 6),
    "getDayOfYear": (0, 365),
    "indexOf": (-1, 2**48),
    "lastIndexOf": (-1, 2**48),
}
_DEEPEST: Final = 8


def interval(typed: TypedExpr, node: Node, depth: int = 0) -> Interval:
    """Return bounds of the value of a node whose type is int; of what is not known, those of the type."""
    if isinstance(node, Literal) and type(node.value) is int:
        return (node.value, node.value)
    if depth > _DEEPEST:
        return _ANY
    if isinstance(node, Conditional):
        accepted, rejected = interval(typed, node.accepted, depth + 1), interval(typed, node.rejected, depth + 1)
        return (min(accepted[0], rejected[0]), max(accepted[1], rejected[1]))
    return _of_call(typed, node, depth) if isinstance(node, Call) else _ANY


def _of_call(typed: TypedExpr, node: Call, depth: int) -> Interval:
    invocation = typed.calls[node]
    if invocation.function in _RESULTS:
        return _RESULTS[invocation.function]
    if invocation.function not in ("_+_", "_-_", "_*_"):
        return _ANY
    left, right = (interval(typed, argument, depth + 1) for argument in invocation.arguments)
    bounds = _combined(invocation.function, left, right)
    return bounds if fits(bounds) else _ANY


def _combined(function: str, left: Interval, right: Interval) -> Interval:
    if function == "_+_":
        return (left[0] + right[0], left[1] + right[1])
    if function == "_-_":
        return (left[0] - right[1], left[1] - right[0])
    products = [one * other for one in left for other in right]
    return (min(products), max(products))


def result_of(typed: TypedExpr, function: str, left: Node, right: Node) -> Interval:
    """Return bounds of a sum, difference or product before it is checked."""
    return _combined(function, interval(typed, left), interval(typed, right))


def fits(bounds: Interval) -> bool:
    return bounds[0] >= INT_MIN and bounds[1] <= INT_MAX
