"""Values as conformance files write them: ``{"int": 3}``, ``{"map": [[key, value], …]}``."""

from __future__ import annotations

import base64
import math
from typing import Any

from costlens_policy.expressions import Duration, Timestamp, Type, Uint, Value
from costlens_policy.expressions.functions import TYPE_NAMES
from costlens_policy.expressions.runtime.collections import add_entry, value_of_key
from costlens_policy.expressions.runtime.equality import type_name
from costlens_policy.expressions.runtime.times import parse_duration, parse_timestamp

__all__ = ["differs", "read_value"]

_READERS = {
    "null": lambda _: None,
    "bool": bool,
    "int": int,
    "uint": Uint,
    "double": float,
    "string": str,
    "bytes": base64.b64decode,
    "duration": parse_duration,
    "timestamp": parse_timestamp,
    "type": lambda name: TYPE_NAMES[name],
    "list": lambda elements: [read_value(element) for element in elements],
    "map": lambda entries: _read_map(entries),
}
_PYTHON = {"null": type(None), "bool": bool, "int": int, "uint": Uint, "string": str, "bytes": bytes}


def read_value(written: dict[str, Any]) -> Value:
    """Return the value that is written down. Raises KeyError for protobuf messages and enums."""
    ((kind, content),) = written.items()
    return _READERS[kind](content)


def _read_map(entries: list[list[dict[str, Any]]]) -> dict[Value, Value]:
    found: dict[Value, Value] = {}
    for key, value in entries:
        add_entry(found, read_value(key), read_value(value))
    return found


def differs(wanted: dict[str, Any], found: Value) -> str:
    """Return how a value differs from the one that is written down, or an empty text."""
    ((kind, content),) = wanted.items()
    return "" if _same(kind, content, found) else f"gives {found!r} instead of {wanted}"


def _same(kind: str, content: Any, found: Value) -> bool:
    if kind == "double":
        number = float(content)
        return type(found) is float and (found == number or (math.isnan(found) and math.isnan(number)))
    if kind == "list":
        return isinstance(found, list | tuple) and _same_elements(content, list(found))
    if kind == "map":
        return isinstance(found, dict) and _same_entries(content, found)
    if kind == "type":
        return isinstance(found, Type) and type_name(found) == content
    if kind in ("duration", "timestamp"):
        return type(found) is (Duration if kind == "duration" else Timestamp) and found == read_value({kind: content})
    return type(found) is _PYTHON[kind] and found == read_value({kind: content})


def _same_elements(wanted: list[dict[str, Any]], found: list[Value]) -> bool:
    return len(wanted) == len(found) and not any(map(differs, wanted, found))


def _same_entries(wanted: list[list[dict[str, Any]]], found: dict[Value, Value]) -> bool:
    entries = [(value_of_key(key), value) for key, value in found.items()]
    return len(wanted) == len(entries) and all(
        any(not differs(key, own) and not differs(value, other) for own, other in entries) for key, value in wanted
    )
