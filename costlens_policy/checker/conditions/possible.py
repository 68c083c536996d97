"""What a part of a condition can be at all, whatever the request: declared values, counts, the parts of a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Final

from costlens_policy.checker.conditions.domains import ANYTHING, Domain, Finite, Range
from costlens_policy.expressions import Field, Node, TypedExpr
from costlens_policy.expressions.tree import Call, Literal, Name, Select

__all__ = ["Possible"]

_NEVER_NEGATIVE: Final = ("prompt_tokens", "max_output_tokens", "cost_budget", "latency_budget_ms")
"""Attributes of a request that is refused where they are below zero."""
_OF_TIMES: Final[Mapping[str, Range]] = {
    "getMonth": Range(0, high=11),
    "getDate": Range(1, high=31),
    "getDayOfMonth": Range(0, high=30),
    "getDayOfWeek": Range(0, high=6),
    "getDayOfYear": Range(0, high=365),
    "getHours": Range(0, high=23),
    "getMinutes": Range(0, high=59),
    "getSeconds": Range(0, high=59),
    "getMilliseconds": Range(0, high=999),
}
_CASES: Final[Mapping[str, Callable[[str], str]]] = {"lowerAscii": str.lower, "upperAscii": str.upper}


class Possible:
    """Narrows what a condition leaves possible. ``expressions`` are all that its nodes are of."""

    def __init__(self, expressions: Sequence[TypedExpr]) -> None:
        self._expressions = expressions

    def narrowed(self, node: Node, domain: Domain) -> Domain | None:
        """Return what is left of a domain; None where a part that is always there may be anything that it can be."""
        can = self._of(node)
        left = self._whole(node, domain.meet(can))
        if isinstance(left, Finite):
            left = Finite(frozenset(value for value in left.values if _keeps_case(node, value)))
        says_nothing = left == can and (isinstance(can, Finite) or left == ANYTHING)
        return None if says_nothing and self._is_there(node) else left

    def _of(self, node: Node) -> Domain:
        if isinstance(node, Select) and (field := self._attribute(node)) is not None:
            if field.values:
                return Finite(frozenset(field.values))
            return Range(0) if node.field in _NEVER_NEGATIVE else ANYTHING
        if isinstance(node, Call):
            return self._of_call(node)
        return ANYTHING

    def _of_call(self, node: Call) -> Domain:
        if node.function == "size":
            return Range(0)
        if node.function == "orValue" and node.target is not None:
            return _or_value(self._of(node.target), node.arguments[0])
        of_time = _OF_TIMES.get(node.function)
        return of_time if of_time is not None and self._type(node.target) == "timestamp" else ANYTHING

    def _attribute(self, node: Select) -> Field | None:
        if not (isinstance(node.operand, Name) and node.operand.name == "request"):
            return None
        records = (item.environment.records.get("request") for item in self._expressions)
        return next((record.fields.get(node.field) for record in records if record is not None), None)

    def _is_there(self, node: Node) -> bool:
        field = self._attribute(node) if isinstance(node, Select) else None
        return field is not None and not field.optional

    def _type(self, node: Node | None) -> str:
        found = (item.types.get(node) for item in self._expressions) if node is not None else ()
        return next((type_.name for type_ in found if type_ is not None), "")

    def _whole(self, node: Node, domain: Domain) -> Domain:
        """Close the bounds of whole numbers: above 999 is from 1,000 on."""
        if not isinstance(domain, Range) or self._type(node) != "int":
            return domain
        low, high = domain.low, domain.high
        if not math.isinf(low):
            low = math.floor(low) + 1 if domain.low_open else math.ceil(low)
        if not math.isinf(high):
            high = math.ceil(high) - 1 if domain.high_open else math.floor(high)
        return Range(low, False, high, False, domain.excluded)


def _or_value(can: Domain, other: Node) -> Domain:
    """Return what an optional can be with something else in its place."""
    if not isinstance(other, Literal) or other.value is None or isinstance(other.value, bool):
        return ANYTHING
    value: Any = other.value
    if isinstance(can, Finite):
        return Finite(can.values | {value})
    return can if value in can else ANYTHING


def _keeps_case(node: Node, value: Hashable) -> bool:
    """Say whether a text can be what is left of letters that were all made small, or large."""
    change = _CASES.get(node.function) if isinstance(node, Call) else None
    if change is None or not isinstance(value, str):
        return True
    return all(change(character) == character for character in value if character.isascii())
