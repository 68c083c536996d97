"""Values that have no parts: as JSON has them, or as a text that reads back as the same value."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from costlens_policy.saving.errors import UnusablePlan

__all__ = ["JSON", "reader", "writer"]

JSON: Final = (type(None), bool, int, float, str)
"""Types whose values JSON gives back exactly; Python's JSON knows infinities, too."""

_PATTERN: Final = ("costlens_policy.patterns", "Pattern")

_WRITERS: Final[dict[type, tuple[str, Callable[[Any], str]]]] = {
    Decimal: ("decimal", str),
    bytes: ("bytes", bytes.hex),
    datetime: ("datetime", datetime.isoformat),
    date: ("date", date.isoformat),
    time: ("time", time.isoformat),
    timedelta: ("timedelta", lambda value: f"{value.days} {value.seconds} {value.microseconds}"),
}
"""By type: the word for it in the file, and what writes a value of it."""


def writer(kind: type) -> tuple[str, Callable[[Any], str]] | None:
    """Return the word for a type and what writes its values; None where it is not a leaf."""
    if (kind.__module__, kind.__name__) == _PATTERN:
        return "pattern", _pattern_text
    return _WRITERS.get(kind)


def reader(word: str) -> Callable[[str], Any]:
    """Return what reads the values of a type. Raises ``UnusablePlan`` for an unknown word."""
    if word not in _READERS:
        raise UnusablePlan(f"it holds a `{word[:80]}`, which this version does not know")
    return _READERS[word]


def _pattern_text(pattern: Any) -> str:
    text = pattern.pattern
    return f"b{text.hex()}" if isinstance(text, bytes) else f"s{text}"


def _pattern(text: str) -> Any:
    from costlens_policy.patterns import LARGEST, compile_pattern

    own = text[0] == "b"
    return compile_pattern(bytes.fromhex(text[1:]), None) if own else compile_pattern(text[1:], LARGEST)


def _timedelta(text: str) -> timedelta:
    return timedelta(*map(int, text.split(" ")))


_READERS: Final[dict[str, Callable[[str], Any]]] = {
    "decimal": Decimal,
    "bytes": bytes.fromhex,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timedelta": _timedelta,
    "pattern": _pattern,
}
