"""The run-time type of a value, and equality and order of any two: langdef, "Equality" and "Ordering".

Numbers compare across types on one line. Where an integer meets a double, it is compared as the double nearest to
it, as the specification's own tests have it: ``dyn(9223372036854775807) < 9223372036854775808.0`` is false.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from operator import ge, gt, le, lt
from types import NoneType
from typing import Any, Final

from costlens_policy.expressions.errors import BAD_ARGUMENT, NO_OVERLOAD, CelError
from costlens_policy.expressions.types import Type
from costlens_policy.expressions.values import NO_VALUE, BoolKey, Duration, OptionalValue, Timestamp, Uint, Value

__all__ = [
    "KINDS", "NUMBERS", "SEQUENCES", "check_ordered", "contains", "equals", "greater", "greater_equals", "key_of",
    "kind_of", "less", "less_equals", "not_equals", "type_name",
]  # fmt: skip


KINDS: Final[dict[type, str]] = {
    bool: "bool",
    int: "int",
    Uint: "uint",
    float: "double",
    str: "string",
    bytes: "bytes",
    NoneType: "null_type",
    list: "list",
    tuple: "list",
    dict: "map",
    Timestamp: "timestamp",
    Duration: "duration",
    Type: "type",
    OptionalValue: "optional_type",
    IPv4Address: "net.IP",
    IPv6Address: "net.IP",
    IPv4Interface: "net.CIDR",
    IPv6Interface: "net.CIDR",
    BoolKey: "bool",
}
"""From a Python class to the name of the CEL type. Exact classes: ``bool`` is an ``int`` to Python only."""

NUMBERS: Final = frozenset((int, Uint, float))
SEQUENCES: Final = frozenset((list, tuple))

_LONG_NAMES: Final = {"timestamp": "google.protobuf.Timestamp", "duration": "google.protobuf.Duration"}


def kind_of(value: Value) -> str:
    """Return the CEL type's name, or Python's for what is not a CEL value."""
    return KINDS.get(type(value)) or _inherited(type(value))


def _inherited(kind: type) -> str:
    """Return the kind of a class that extends one of the table, such as a dict that finds its entries when read."""
    return next((KINDS[parent] for parent in kind.__mro__ if parent in KINDS), kind.__name__)


def type_name(value: Type) -> str:
    """Return how a type value is written: ``int``, ``google.protobuf.Timestamp``."""
    return _LONG_NAMES.get(value.name, value.name)


_EXACT: Final = 2**53
"""Integers below are doubles too, and no other integer is equal to one of these doubles, so that Python's exact
comparison is CEL's. At the border it is not: 2**53 + 1 is equal to the double 2**53."""

_ORDERED: Final = frozenset(("bool", "string", "bytes", "timestamp", "duration"))


def equals(left: Value, right: Value) -> bool:
    """Return whether two values are equal; values of different kinds are not, numbers aside."""
    kind, other = type(left), type(right)
    if kind in NUMBERS:
        return other in NUMBERS and _numbers_equal(left, right)
    if kind in SEQUENCES:
        return other in SEQUENCES and len(left) == len(right) and all(map(equals, left, right))
    if kind is dict and other is dict:
        return _maps_equal(left, right)
    if kind is other and kind is not OptionalValue:
        return bool(left == right)
    return _others_equal(left, right)


def not_equals(left: Value, right: Value) -> bool:
    return not equals(left, right)


def contains(element: Value, elements: Sequence[Value]) -> bool:
    """Return whether an element of a list is equal to the value."""
    if type(element) is str:
        return element in elements
    if _is_small(element) and element not in elements:
        return False
    return any(equals(element, other) for other in elements)


def _is_small(value: Value) -> bool:
    """Return whether Python's ``in`` finds every CEL-equal element; it may still find ``True`` for ``1``."""
    return type(value) in NUMBERS and -_EXACT < value < _EXACT


def _numbers_equal(left: Any, right: Any) -> bool:
    if (type(left) is float) is (type(right) is float):
        return bool(left == right)
    return float(left) == float(right)


def _maps_equal(left: dict[Value, Value], right: dict[Value, Value]) -> bool:
    if len(left) != len(right):
        return False
    return all(key in right and equals(value, right[key]) for key, value in left.items())


def _others_equal(left: Value, right: Value) -> bool:
    if type(left) is OptionalValue and type(right) is OptionalValue:
        if left is NO_VALUE or right is NO_VALUE:
            return left is right
        return equals(left.value, right.value)
    shared = kind_of(left)
    if shared != kind_of(right):
        return False
    if shared == "map":
        return _maps_equal(left, right)
    return bool(_unmapped(left) == _unmapped(right)) if shared == "net.IP" else bool(left == right)


def key_of(value: Value) -> Hashable:
    """Return what Python finds equal for two values if and only if CEL finds these equal.

    Raises ValueError for a number from 2**53 on: several integers are equal to one double, and not to each other.
    """
    kind = type(value)
    if isinstance(value, str):
        return value
    if kind in NUMBERS:
        return _number_key(value)
    if kind in SEQUENCES:
        return ("list", *map(key_of, value))
    if isinstance(value, dict):
        return ("map", frozenset((key, key_of(entry)) for key, entry in value.items()))
    if kind is OptionalValue:
        return ("optional", value is NO_VALUE, key_of(value.value))
    return (kind_of(value), _unmapped(value))


def _number_key(number: float) -> Hashable:
    if number != number:
        return object()  # a NaN equals nothing
    if not -_EXACT < number < _EXACT:
        raise ValueError
    return number


def _unmapped(value: Value) -> Value:
    """Return the IPv4 address that an IPv6 one stands for, and everything else as it is."""
    return (value.ipv4_mapped or value) if type(value) is IPv6Address else value


def _order(sign: str, compare: Callable[[Any, Any], bool]) -> Callable[[Value, Value], bool]:
    def ordered(left: Value, right: Value) -> bool:
        kind, other = type(left), type(right)
        if kind in NUMBERS and other in NUMBERS:
            if (kind is float) is not (other is float):
                return compare(float(left), float(right))
            return compare(left, right)
        if kind is other and KINDS.get(kind) in _ORDERED:
            return compare(left, right)
        raise CelError(NO_OVERLOAD, f"no matching overload: `{kind_of(left)} {sign} {kind_of(right)}`")

    return ordered


less = _order("<", lt)
less_equals = _order("<=", le)
greater = _order(">", gt)
greater_equals = _order(">=", ge)


def check_ordered(values: Sequence[Value]) -> None:
    """Raise CelError where a NaN is among values that are to be put in order: it is neither above nor below any."""
    if any(type(value) is float and value != value for value in values):
        raise CelError(BAD_ARGUMENT, "`NaN` cannot be ordered")
