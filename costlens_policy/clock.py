"""Where the current time comes from; everything below the facade takes it as an argument."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["duration_of", "duration_text", "system_now"]

_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d|w)")
_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def system_now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)


def duration_of(text: str) -> timedelta:
    """Return the length that ``1h30m`` and its like name; a day is 24 hours. Raises ``ValueError`` for other text."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"`{text}` is not a length of time such as `30m` or `1h30m`")
    try:
        return sum((timedelta(seconds=float(number) * _SECONDS[unit]) for number, unit in parts), timedelta())
    except OverflowError:
        raise ValueError(f"`{text}` is longer than any calendar") from None


def duration_text(length: timedelta) -> str:
    """Return a length of time as ``duration_of`` reads it, such as ``1h30m``, to the millisecond."""
    rest = abs(length) // timedelta(milliseconds=1)
    parts = []
    for unit in ("d", "h", "m", "s", "ms"):
        count, rest = divmod(rest, round(_SECONDS[unit] * 1000))
        parts.append(f"{count}{unit}" if count else "")
    return ("-" if length < timedelta() else "") + ("".join(parts) or "0s")
