"""Lists and maps: size, membership, access by index, key and field name, what a comprehension goes over."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from costlens_policy.expressions.runtime.equality import contains
from costlens_policy.expressions.runtime.errors import (
    BAD_KEY,
    INDEX_OUT_OF_RANGE,
    NO_OVERLOAD,
    NO_SUCH_KEY,
    CelError,
)
from costlens_policy.expressions.runtime.implementations import implements
from costlens_policy.expressions.runtime.kinds import NUMBERS, SEQUENCES, kind_of
from costlens_policy.expressions.values import NO_VALUE, BoolKey, OptionalValue, Uint, Value

__all__ = [
    "add_entry", "element", "elements_of", "entries_of", "has_field", "in_map", "lookup", "make_map", "optional_lookup",
    "optional_select", "select", "value_of_key",
]  # fmt: skip

_KEYS: Final = frozenset((str, int, Uint))
_MISSING: Final = object()

implements("size_string", "size_bytes", "size_list", "size_map")(len)
implements("string_size", "bytes_size", "list_size", "map_size")(len)
implements("in_list")(contains)


def add_entry(entries: dict[Value, Value], key: Value, value: Value) -> None:
    """Add an entry to a map in the making. Raises CelError when its key is there already, or cannot be one."""
    if type(key) is bool:
        key = BoolKey(key)
    elif type(key) not in _KEYS:
        raise CelError(BAD_KEY, f"a map key is an int, uint, bool or string, not a {kind_of(key)}")
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
    raise CelError(INDEX_OUT_OF_RANGE, "the list has no element at this index")


def lookup(container: Value, key: Value) -> Value:
    """Evaluate ``container[key]`` for any values. Raises CelError."""
    if type(container) is OptionalValue:
        return optional_lookup(container, key)
    found = _find(container, key)
    if found is not _MISSING:
        return found
    if isinstance(container, dict):
        raise CelError(NO_SUCH_KEY, "the map has no such key")
    raise CelError(INDEX_OUT_OF_RANGE, "the list has no element at this index")


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
    raise CelError(NO_OVERLOAD, f"a comprehension goes over a list or a map, not over a {kind_of(container)}")


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
    raise CelError(BAD_KEY, f"a map has no keys that are a {kind_of(key)}")


def _not_selectable(container: Value) -> CelError:
    return CelError(NO_OVERLOAD, f"a {kind_of(container)} has no fields")
