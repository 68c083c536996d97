"""Write YAML for the plain values that catalogues are made of. Reading it back gives the same values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Final, TypeAlias

from costlens_policy.money import plain

__all__ = ["Value", "comment", "yaml_lines"]

Value: TypeAlias = "str | int | bool | Decimal | date | Sequence[Value] | Mapping[str, Value]"

_WIDTH: Final = 120
_LONGEST_NUMBER: Final = 60
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_READ_AS_OTHERS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_ESCAPED: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")


def yaml_lines(value: Mapping[str, Value], indent: int = 0) -> Iterator[str]:
    """Yield the lines of a mapping in block style; what fits on its line is written in flow style."""
    space = " " * indent
    for key, item in value.items():
        head = f"{space}{_text(key)}:"
        flat = f"{head} {_flow(item)}"
        if _is_scalar(item) or not item or (_holds_scalars(item) and len(flat) <= _WIDTH):
            yield flat
        elif isinstance(item, Mapping):
            yield head
            yield from yaml_lines(item, indent + 2)
        else:
            assert isinstance(item, Sequence), "neither scalar nor mapping"
            yield head
            yield from _items(item, indent + 2)


def comment(text: str, indent: int = 0) -> str:
    """Return a comment of one line."""
    return " " * indent + "# " + _ESCAPED.sub(" ", " ".join(text.split()))


def _items(items: Sequence[Value], indent: int) -> Iterator[str]:
    space = " " * indent
    for item in items:
        if isinstance(item, Mapping) and item:
            first, *rest = yaml_lines(item, indent + 2)
            yield f"{space}- {first[indent + 2 :]}"
            yield from rest
        else:
            yield f"{space}- {_flow(item)}"


def _holds_scalars(value: Value) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_scalar, value.values()))
    return isinstance(value, Sequence) and all(map(_is_scalar, value))


def _is_scalar(value: Value) -> bool:
    return isinstance(value, str | int | Decimal | date)


def _flow(value: Value) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value)


def _scalar(value: str | int | bool | Decimal | date) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Decimal):
        return text if len(text := plain(value)) <= _LONGEST_NUMBER else f"{value:e}"
    return value.isoformat() if isinstance(value, date) else str(value)


def _text(text: str) -> str:
    """Write a string plainly where nobody can read it as anything else, in double quotes otherwise."""
    if _PLAIN.fullmatch(text) and text.lower() not in _READ_AS_OTHERS:
        return text
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))
