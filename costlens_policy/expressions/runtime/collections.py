"""Lists, maps, sets and optionals.

First what the language itself does with them: size, membership, access by index, key and field name, and what a
comprehension goes over. Then the functions of the extensions. Sets are lists whose elements CEL's equality tells apart.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from functools import reduce
from typing import Any, Final

from costlens_policy.expressions.errors import (
    BAD_ARGUMENT,
    BAD_KEY,
    INDEX_OUT_OF_RANGE,
    NO_OPTIONAL_VALUE,
    NO_OVERLOAD,
    NO_SUCH_KEY,
    CelError,
)
from costlens_policy.expressions.limits import check_size, too_large
from costlens_policy.expressions.runtime.equality import NUMBERS, SEQUENCES, check_ordered, contains, key_of, kind_of
from costlens_policy.expressions.runtime.functions import implements
from costlens_policy.expressions.runtime.operators import add_double, checked_int, checked_uint
from costlens_policy.expressions.runtime.times import checked_duration
from costlens_policy.expressions.values import NO_VALUE, BoolKey, Duration, OptionalValue, Timestamp, Uint, Value

__all__ = [
    "add_entry", "check_comparisons", "element", "elements_of", "entries_of", "has_field", "in_map", "lookup",
    "make_map", "of_non_zero", "optional_lookup", "optional_select", "select", "sort_by", "unwrap", "value_of",
    "value_of_key",
]  # fmt: skip


_KEYS: Final = frozenset((str, int, Uint))
_MISSING: Final = object()

implements("size_string", "size_bytes", "size_list", "size_map")(len)
implements("string_size", "bytes_size", "list_size", "map_size")(len)
implements("in_list")(contains)


def add_entry(entries: dict[Value, Value], key: Value, value: Value) -> None:
    """Add an entry to a map that is being made. Raises CelError when its key is there already, or cannot be one."""
    if type(key) is bool:
        key = BoolKey(key)
    elif type(key) not in _KEYS:
        raise CelError(BAD_KEY, f"a map key must be a string, int, uint or bool, got a {kind_of(key)}")
    if key in entries:
        raise CelError(BAD_KEY, "two entries of the map have the same key")
    entries[key] = value


def make_map(*items: Value) -> dict[Value, Value]:
    """Make a map from keys and values in turn. Raises CelError."""
    entries: dict[Value, Value] = {}
    for key, value in zip(items[::2], items[1::2], strict=True):
        add_entry(entries, key, value)
    return entries


def value_of_key(key: Value) -> Value:
    """Return the value that a key of a dict stands for."""
    return key.value if type(key) is BoolKey else key


@implements("in_map")
def in_map(key: Value, entries: dict[Value, Value]) -> bool:
    if type(key) is bool:
        return BoolKey(key) in entries
    return (type(key) in _KEYS or type(key) is float) and key in entries


def element(elements: Sequence[Value], index: int) -> Value:
    """Return the element of a list; unlike Python's, CEL's indices are never negative. Raises CelError."""
    if 0 <= index < len(elements):
        return elements[index]
    raise CelError(INDEX_OUT_OF_RANGE, "the index is out of the list's range")


def lookup(container: Value, key: Value) -> Value:
    """Evaluate ``container[key]`` for any values. Raises CelError."""
    if type(container) is OptionalValue:
        return optional_lookup(container, key)
    found = _find(container, key)
    if found is not _MISSING:
        return found
    if isinstance(container, dict):
        raise CelError(NO_SUCH_KEY, "the map has no such key")
    raise CelError(INDEX_OUT_OF_RANGE, "the index is out of the list's range")


def optional_lookup(container: Value, key: Value) -> Value:
    """Evaluate ``container[?key]``, and ``container.?field``, for any values. Raises CelError."""
    if container is NO_VALUE:
        return NO_VALUE
    found = _find(container.value if type(container) is OptionalValue else container, key)
    return NO_VALUE if found is _MISSING else OptionalValue(found)


def select(container: Value, field: str) -> Value:
    """Evaluate ``container.field`` for any value. Raises CelError."""
    if isinstance(container, dict):
        found = container.get(field, _MISSING)
        if found is _MISSING:
            raise CelError(NO_SUCH_KEY, f"there is no `{field}`")
        return found
    if type(container) is OptionalValue:
        return optional_select(container, field)
    raise _not_selectable(container)


def optional_select(container: Value, field: str) -> Value:
    """Evaluate ``container.?field`` for any value. Raises CelError."""
    if container is NO_VALUE:
        return NO_VALUE
    inner = container.value if type(container) is OptionalValue else container
    if not isinstance(inner, dict):
        raise _not_selectable(inner)
    return OptionalValue(inner[field]) if field in inner else NO_VALUE


def has_field(container: Value, field: str) -> bool:
    """Evaluate ``has(container.field)`` for any value. Raises CelError."""
    if isinstance(container, dict):
        return field in container
    if type(container) is OptionalValue:
        return optional_select(container, field) is not NO_VALUE
    raise _not_selectable(container)


def elements_of(container: Value) -> Collection[Value]:
    """Return what a comprehension with one variable goes over: elements of a list, keys of a map. Raises CelError."""
    kind = type(container)
    if kind in SEQUENCES:
        return container  # type: ignore[no-any-return]  # a value is of no static type
    if isinstance(container, dict):
        return container if BoolKey not in map(type, container) else [value_of_key(key) for key in container]
    raise CelError(NO_OVERLOAD, f"a comprehension needs a list or a map, got a {kind_of(container)}")


def entries_of(container: Value) -> Collection[tuple[Value, Value]]:
    """Return what a comprehension with two variables goes over: indices or keys, with their values. Raises CelError."""
    if isinstance(container, dict):
        return [(value_of_key(key), value) for key, value in container.items()]
    return list(enumerate(elements_of(container)))


def _find(container: Value, key: Value) -> Value:
    kind = type(container)
    if isinstance(container, dict):
        return container.get(_key(key), _MISSING)
    if kind in SEQUENCES and type(key) in NUMBERS:
        return container[int(key)] if 0 <= key < len(container) and key == int(key) else _MISSING
    raise CelError(NO_OVERLOAD, f"no matching overload: `{kind_of(container)}[{kind_of(key)}]`")


def _key(key: Value) -> Value:
    if type(key) is bool:
        return BoolKey(key)
    if type(key) in _KEYS or type(key) is float:
        return key
    raise CelError(BAD_KEY, f"a map key must be a string, int, uint or bool, got a {kind_of(key)}")


def _not_selectable(container: Value) -> CelError:
    return CelError(NO_OVERLOAD, f"a {kind_of(container)} has no fields")


_SORTABLE: Final = frozenset(("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes"))
_MOST_COMPARISONS: Final = 1_000_000


@implements("list_slice")
def slice_of(elements: Sequence[Value], start: int, end: int) -> list[Value]:
    if not 0 <= start <= end <= len(elements):
        raise CelError(BAD_ARGUMENT, "the slice is out of the list's range, or ends before it starts")
    return list(elements[start:end])


@implements("list_flatten", "list_flatten_int")
def flatten(elements: Sequence[Value], depth: int = 1) -> list[Value]:
    """Replace lists by their elements, ``depth`` levels deep."""
    if depth < 0:
        raise CelError(BAD_ARGUMENT, "the depth must not be negative")
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


@implements("list_int_sum", "sum_list_int")
def sum_of_ints(numbers: Sequence[Value]) -> Value:
    """Return the sum, which must fit in 64 bits whatever the order of adding. Raises CelError."""
    return _sum(numbers, 0)


@implements("list_uint_sum", "sum_list_uint")
def sum_of_uints(numbers: Sequence[Value]) -> Value:
    return _sum(numbers, Uint(0))


@implements("list_double_sum", "sum_list_double")
def sum_of_doubles(numbers: Sequence[Value]) -> Value:
    """Return the sum from left to right, as ``+`` has it. (Python's own ``sum`` rounds otherwise from 3.12 on.)"""
    return _sum(numbers, 0.0)


@implements("list_duration_sum", "sum_list_duration")
def sum_of_durations(durations: Sequence[Value]) -> Value:
    return _sum(durations, Duration(0))


def _sum(values: Sequence[Value], empty: Value) -> Value:
    """Add up what is of one kind, whichever the list was declared with. Raises CelError."""
    kinds = set(map(type, values)) or {type(empty)}
    add = _ADDING.get(kinds.pop()) if len(kinds) == 1 else None
    if add is None:
        raise CelError(NO_OVERLOAD, "only a list of numbers or durations of one type can be added up")
    return add(values) if values else empty


_ADDING: Final[dict[type, Callable[[Any], Value]]] = {
    int: lambda numbers: checked_int(sum(numbers)),
    Uint: lambda numbers: checked_uint(sum(map(int, numbers))),
    float: lambda numbers: reduce(add_double, numbers),
    Duration: lambda durations: checked_duration(sum(duration.nanoseconds for duration in durations)),
}


@implements("lists_range")
def range_to(limit: int) -> list[int]:
    if limit < 0:
        raise CelError(BAD_ARGUMENT, "the length of a range must not be negative")
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


implements("optional_of")(OptionalValue)
implements("optional_none")(lambda: NO_VALUE)


@implements("optional_ofNonZeroValue")
def of_non_zero(value: Value) -> OptionalValue:
    """Return an optional without a value for null, false, zero and what is empty."""
    if isinstance(value, Timestamp | Duration):
        return OptionalValue(value) if value.nanoseconds else NO_VALUE
    return OptionalValue(value) if value or value is NO_VALUE else NO_VALUE


@implements("optional_hasValue")
def has_value(optional: OptionalValue) -> bool:
    return optional is not NO_VALUE


@implements("optional_value")
def value_of(optional: OptionalValue) -> Value:
    if optional is NO_VALUE:
        raise CelError(NO_OPTIONAL_VALUE, "the optional has no value")
    return optional.value


@implements("optional_or_optional")
def either(optional: OptionalValue, other: OptionalValue) -> OptionalValue:
    return other if optional is NO_VALUE else optional


@implements("optional_orValue_value")
def value_or(optional: OptionalValue, other: Value) -> Value:
    return other if optional is NO_VALUE else optional.value


@implements("optional_unwrap", "optional_unwrapOpt")
def unwrap(optionals: Sequence[Value]) -> list[Value]:
    """Return what the optionals of a list hold. Raises CelError when an element is not an optional."""
    if not all(type(optional) is OptionalValue for optional in optionals):
        raise CelError(NO_OVERLOAD, "only a list of optionals can be unwrapped")
    return [optional.value for optional in optionals if optional is not NO_VALUE]
