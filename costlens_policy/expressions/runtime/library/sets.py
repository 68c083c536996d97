"""The sets extension: lists looked at as sets, their elements told apart by CEL's equality."""

from __future__ import annotations

from collections.abc import Sequence

from costlens_policy.expressions.runtime.equality import contains, key_of
from costlens_policy.expressions.runtime.implementations import implements
from costlens_policy.expressions.runtime.library.lists import check_comparisons
from costlens_policy.expressions.values import Value

__all__: list[str] = []


@implements("list_sets_contains_list")
def contains_all(elements: Sequence[Value], others: Sequence[Value]) -> bool:
    try:
        return set(map(key_of, others)) <= set(map(key_of, elements))
    except ValueError:
        check_comparisons(len(elements), len(others))
    return all(contains(other, elements) for other in others)


@implements("list_sets_equivalent_list")
def equivalent(elements: Sequence[Value], others: Sequence[Value]) -> bool:
    return contains_all(elements, others) and contains_all(others, elements)


@implements("list_sets_intersects_list")
def intersects(elements: Sequence[Value], others: Sequence[Value]) -> bool:
    try:
        return not set(map(key_of, elements)).isdisjoint(map(key_of, others))
    except ValueError:
        check_comparisons(len(elements), len(others))
    return any(contains(other, elements) for other in others)
