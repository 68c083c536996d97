"""Every function that an expression may call, one file a library."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from costlens_policy.expressions.types import (
    ANY_LIST,
    ANY_MAP,
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    TYPE,
    UINT,
    Function,
    Type,
    optional_of,
)

__all__ = ["LIBRARIES", "TYPE_NAMES", "functions"]

LIBRARIES = (
    "operators",
    "conversions",
    "text",
    "times",
    "strings",
    "math",
    "lists",
    "sets",
    "encoders",
    "optionals",
    "regex",
    "network",
    "costlens",
)

TYPE_NAMES: dict[str, Type] = {
    "bool": BOOL,
    "bytes": BYTES,
    "double": DOUBLE,
    "google.protobuf.Duration": DURATION,
    "google.protobuf.Timestamp": TIMESTAMP,
    "int": INT,
    "list": ANY_LIST,
    "map": ANY_MAP,
    "net.CIDR": Type("net.CIDR"),
    "net.IP": Type("net.IP"),
    "null_type": NULL,
    "optional_type": optional_of(DYN),
    "string": STRING,
    "type": TYPE,
    "uint": UINT,
}
"""The identifiers that are types, and which. ``dyn`` is none: nothing is of that type when evaluated."""


@cache
def functions() -> dict[str, Function]:
    """Return every declared function by its name; built when first asked for."""
    modules = (import_module(f"{__name__}.{library}") for library in LIBRARIES)
    return {function.name: function for module in modules for function in module.FUNCTIONS}
