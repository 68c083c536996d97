"""The run-time type of a value, as CEL names it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from types import NoneType
from typing import Final

from costlens_policy.expressions.types import Type
from costlens_policy.expressions.values import BoolKey, Duration, OptionalValue, Timestamp, Uint, Value

__all__ = ["KINDS", "NUMBERS", "SEQUENCES", "kind_of", "type_name"]

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
