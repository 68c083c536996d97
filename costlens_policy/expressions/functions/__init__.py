"""Every function that an expression may call: a row for each, in the file of its family.

To add one, write its row here and its implementation in ``runtime``, in the module of the same name. A row
without its cost is an error at import, one without its implementation fails a test.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final

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
    Type,
    optional_of,
)

if TYPE_CHECKING:
    from costlens_policy.expressions.functions.rows import StandardFunction

__all__ = ["LIBRARIES", "TYPE_NAMES", "functions"]

LIBRARIES: Final = (
    "operators",
    "conversions",
    "collections",
    "strings",
    "regex",
    "times",
    "math",
    "network",
    "traffic",
)

TYPE_NAMES: Final[dict[str, Type]] = {
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
def functions() -> dict[str, StandardFunction]:
    """Return every declared function by its name; built when first asked for."""
    modules = (import_module(f"{__name__}.{library}") for library in LIBRARIES)
    return {function.name: function for module in modules for function in module.FUNCTIONS}
