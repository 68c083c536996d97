"""Values written as expressions write them, so that what is printed can be put into an expression again."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Any, Final

from costlens_policy.expressions.runtime.collections import value_of_key
from costlens_policy.expressions.runtime.equality import kind_of, type_name
from costlens_policy.expressions.runtime.times import duration_text, timestamp_text
from costlens_policy.expressions.types import Type
from costlens_policy.expressions.values import NO_VALUE, BoolKey, Duration, OptionalValue, Timestamp, Uint, Value

__all__ = ["json_value", "literal"]

_ESCAPES: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\", '"': '\\"'}


def literal(value: Value) -> str:
    """Return an expression on one line that gives the value, and nothing that could command a terminal."""
    return _WRITERS[type(value)](value)


def _double(value: float) -> str:
    return repr(value) if math.isfinite(value) else f'double("{value}")'


def _text(value: str) -> str:
    return f'"{"".join(map(_character, value))}"'


def _character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    number = ord(character)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _bytes(value: bytes) -> str:
    inside = "".join(
        _character(chr(byte)) if 0x20 <= byte < 0x7F or byte in b"\n\r\t" else f"\\x{byte:02x}" for byte in value
    )
    return f'b"{inside}"'


def _list(value: Any) -> str:
    return f"[{', '.join(map(literal, value))}]"


def _map(value: dict[Value, Value]) -> str:
    return f"{{{', '.join(f'{literal(key)}: {literal(entry)}' for key, entry in value.items())}}}"


def _optional(value: OptionalValue) -> str:
    return "optional.none()" if value is NO_VALUE else f"optional.of({literal(value.value)})"


_WRITERS: Final[dict[type, Callable[[Any], str]]] = {
    type(None): lambda value: "null",
    bool: lambda value: "true" if value else "false",
    BoolKey: lambda value: literal(value.value),
    int: int.__repr__,
    Uint: repr,
    float: _double,
    str: _text,
    bytes: _bytes,
    list: _list,
    tuple: _list,
    dict: _map,
    Timestamp: lambda value: f'timestamp("{timestamp_text(value)}")',
    Duration: lambda value: f'duration("{duration_text(value)}")',
    Type: type_name,
    OptionalValue: _optional,
    IPv4Address: lambda value: f'ip("{value}")',
    IPv6Address: lambda value: f'ip("{value}")',
    IPv4Interface: lambda value: f'cidr("{value}")',
    IPv6Interface: lambda value: f'cidr("{value}")',
}


def json_value(value: Value) -> Any:
    """Return the value as JSON has it; bytes become base64, times and what else JSON lacks the text of CEL."""
    match value:
        case None | bool() | str():
            return value
        case int():
            return int(value)
        case float():
            return value if math.isfinite(value) else str(value)
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case list() | tuple():
            return [json_value(element) for element in value]
        case dict():
            return {key: json_value(entry) for key, entry in zip(_keys(value), value.values(), strict=True)}
        case OptionalValue():
            return None if value is NO_VALUE else json_value(value.value)
        case Timestamp():
            return timestamp_text(value)
        case Duration():
            return duration_text(value)
    return type_name(value) if isinstance(value, Type) else str(value)


def _keys(entries: Iterable[Value]) -> list[str]:
    """Return the keys of a map as JSON has them. What would read like another key is written with its type."""
    inner = [value_of_key(key) for key in entries]
    taken = {key for key in inner if isinstance(key, str)}
    keys = []
    for key in inner:
        text = key if isinstance(key, str) else literal(key).removesuffix("u")
        while not isinstance(key, str) and text in taken:
            text = f"{kind_of(key)}({text})"
        taken.add(text)
        keys.append(text)
    return keys
