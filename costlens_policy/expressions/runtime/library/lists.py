"""The lists extension."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final

from costlens_policy.expressions.runtime.equality import check_ordered, contains, key_of
from costlens_policy.expressions.runtime.errors import BAD_ARGUMENT, NO_OVERLOAD, CelError
from costlens_policy.expressions.runtime.implementations import implements
from costlens_policy.expressions.runtime.kinds import SEQUENCES, kind_of
from costlens_policy.expressions.runtime.limits import check_size, too_large
from costlens_policy.expressions.values import NO_VALUE, OptionalValue, Value

__all__ = ["check_comparisons", "sort_by"]

_SORTABLE: Final = frozenset(("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes"))
_MOST_COMPARISONS: Final = 1_000_000


@implements("list_slice")
def slice_of(elements: Sequence[Value], start: int, end: int) -> list[Value]:
    if not 0 <= start <= end <= len(elements):
        raise CelError(BAD_ARGUMENT, "the slice lies outside the list or ends before it starts")
    return list(elements[start:end])


@implements("list_flatten", "list_flatten_int")
def flatten(elements: Sequence[Value], depth: int = 1) -> list[Value]:
    """Replace lists by their elements, ``depth`` levels deep."""
    if depth < 0:
        raise CelError(BAD_ARGUMENT, "a list cannot be flattened to a negative depth")
    flat = list(elements)
    for _ in range(depth):
        size = sum(len(element) if type(element) in SEQUENCES else 1 for element in flat)
        if not any(type(element) in SEQUENCES for element in flat):
            break
        check_size(size)
        flat = [inner for element in flat for inner in (element if type(element) in SEQUENCES else (element,))]
    return flat


@implements("list_distinct")
def distinct(elements: Sequence[Value]) -> list[Value]:
    """Return the elements that are not equal to an earlier one."""
    first: dict[Hashable, Value] = {}
    try:
        for element in elements:
            first.setdefault(key_of(element), element)
        return list(first.values())
    except ValueError:
        check_comparisons(len(elements), len(elements))
    found: list[Value] = []
    for element in elements:
        if not contains(element, found):
            found.append(element)
    return found


def check_comparisons(elements: int, others: int) -> None:
    """Raise LimitError where too many pairs would have to be compared, one by one."""
    if elements * others > _MOST_COMPARISONS:
        raise too_large()


@implements(*(f"list_{kind}_sort" for kind in _SORTABLE))
def sort(elements: Sequence[Value]) -> list[Value]:
    return sort_by(elements, elements)


def sort_by(elements: Sequence[Value], keys: Sequence[Value]) -> list[Value]:
    """Return the elements in the order of their keys, which are of one sortable type. Raises CelError."""
    kinds = set(map(kind_of, keys))
    if len(kinds) > 1 or not kinds <= _SORTABLE:
        raise CelError(NO_OVERLOAD, "only values of one ordered type can be sorted")
    check_ordered(keys)
    return [element for _, _, element in sorted(zip(keys, range(len(keys)), elements, strict=True))]


@implements("lists_range")
def range_to(limit: int) -> list[int]:
    if limit < 0:
        raise CelError(BAD_ARGUMENT, "a range cannot have a negative length")
    check_size(limit)
    return list(range(limit))


@implements("list_reverse")
def reverse(elements: Sequence[Value]) -> list[Value]:
    return list(elements[::-1])


@implements("list_first")
def first(elements: Sequence[Value]) -> OptionalValue:
    return OptionalValue(elements[0]) if elements else NO_VALUE


@implements("list_last")
def last(elements: Sequence[Value]) -> OptionalValue:
    return OptionalValue(elements[-1]) if elements else NO_VALUE
