"""JSON as RFC 8259 has it, without the liberties that Python takes: no NaN, no repeated key, no half characters."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final

__all__ = ["MAX_DEPTH", "read_json"]

MAX_DEPTH: Final = 100


def read_json(text: str) -> Any:
    """Return the value of a text; numbers with a fraction are ``Decimal``. Raises ``ValueError`` with what is wrong."""
    try:
        value = json.loads(
            text, parse_float=_fraction, parse_int=_whole, parse_constant=_refuse, object_pairs_hook=_unique
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno}, column {error.colno}: {error.msg.lower()}") from None
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    _examine(value)
    return value


_TOO_DEEP: Final = f"it is nested more than {MAX_DEPTH} levels deep"
_LONGEST_NUMBER: Final = 400


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key `{key}` appears twice in one object")
        found[key] = value
    return found


def _refuse(word: str) -> Any:
    raise ValueError(f"`{word}` is not a number of JSON")


def _fraction(digits: str) -> Decimal:
    return Decimal(_short(digits))


def _whole(digits: str) -> int:
    return int(_short(digits))


def _short(digits: str) -> str:
    if len(digits) > _LONGEST_NUMBER:
        raise ValueError(f"a number has more than {_LONGEST_NUMBER} digits")
    return digits


def _examine(value: Any) -> None:
    """Refuse deep nesting, and text that no encoding can carry."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return
        for item in level:
            if isinstance(item, str):
                _whole_characters(item)
            elif isinstance(item, dict):
                for key in item:
                    _whole_characters(key)
        level = [child for item in level if isinstance(item, dict | list) for child in _children(item)]
    if level:
        raise ValueError(_TOO_DEEP)


def _children(item: dict[str, Any] | list[Any]) -> list[Any]:
    return list(item.values()) if isinstance(item, dict) else item


def _whole_characters(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("a text holds one half of a surrogate pair") from None
