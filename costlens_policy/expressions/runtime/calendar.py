"""The parts of a timestamp on the calendar and the clock, in UTC or in a zone."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from costlens_policy.expressions.runtime.durations import SECOND, TIMESTAMP_MAX, TIMESTAMP_MIN
from costlens_policy.expressions.runtime.errors import UNKNOWN_ZONE, CelError
from costlens_policy.expressions.runtime.implementations import implements
from costlens_policy.expressions.values import Timestamp

__all__ = ["zone"]

_DAY: Final = 86_400
_DAYS_OF_400_YEARS: Final = 146_097
_EPOCH: Final = date(1970, 1, 1).toordinal()
_LAST: Final = date.max.toordinal()
_LONGEST_NAME: Final = 64
_OFFSET: Final = re.compile(r"([+-]?)(\d{1,2}):(\d\d)", re.ASCII)


@lru_cache(maxsize=512)
def zone(name: str) -> tzinfo:
    """Return the zone of an IANA name or of an offset such as ``-02:30``. Raises CelError."""
    fixed = _OFFSET.fullmatch(name)
    if fixed is not None:
        minutes = int(fixed[2]) * 60 + int(fixed[3])
        if minutes < 24 * 60 and int(fixed[3]) < 60:
            return timezone(timedelta(minutes=-minutes if fixed[1] == "-" else minutes))
    elif 0 < len(name) <= _LONGEST_NAME:
        try:
            return ZoneInfo(name)
        except (LookupError, ValueError, OSError):
            pass  # three ways of saying that there is no such file
    raise CelError(UNKNOWN_ZONE, "the time zone is neither an IANA name nor an offset such as `+02:00`")


def _local_seconds(value: Timestamp, name: str) -> int:
    """Return seconds since 1970 on the wall clock of a zone."""
    seconds = value.nanoseconds // SECOND
    return seconds + _offset(name, seconds - seconds % 60)


@lru_cache(maxsize=4_096)
def _offset(name: str, seconds: int) -> int:
    """Return the seconds that a zone is ahead of UTC. Since 1900 that changes at full minutes only. Raises CelError."""
    # A day from either end of what `datetime` can hold, the offset is the same as at the end.
    within = min(max(seconds, TIMESTAMP_MIN // SECOND + _DAY), TIMESTAMP_MAX // SECOND - _DAY)
    offset = datetime.fromtimestamp(within, UTC).astimezone(zone(name)).utcoffset()
    return int(offset.total_seconds()) if offset else 0


def _ordinal(seconds: int) -> int:
    return seconds // _DAY + _EPOCH


def _date(seconds: int) -> date:
    """Return the date. A zone can reach the years 0 and 10000, which ``date`` cannot: the calendar repeats itself."""
    ordinal = _ordinal(seconds)
    if ordinal < 1:
        ordinal += _DAYS_OF_400_YEARS
    elif ordinal > _LAST:
        ordinal -= _DAYS_OF_400_YEARS
    return date.fromordinal(ordinal)


def _year(seconds: int) -> int:
    ordinal = _ordinal(seconds)
    if 1 <= ordinal <= _LAST:
        return date.fromordinal(ordinal).year
    return 0 if ordinal < 1 else 10_000


_PARTS: Final[dict[str, Callable[[int], int]]] = {
    "year": _year,
    "month": lambda seconds: _date(seconds).month - 1,
    "day_of_year": lambda seconds: _date(seconds).timetuple().tm_yday - 1,
    "day_of_month": lambda seconds: _date(seconds).day - 1,
    "day_of_month_1_based": lambda seconds: _date(seconds).day,
    "day_of_week": lambda seconds: _ordinal(seconds) % 7,
    "hours": lambda seconds: seconds // 3600 % 24,
    "minutes": lambda seconds: seconds // 60 % 60,
    "seconds": lambda seconds: seconds % 60,
}
"""A part of the time on the wall clock, given as seconds since 1970 there."""


def _register(part: str, of: Callable[[int], int]) -> None:
    @implements(f"timestamp_to_{part}")
    def in_utc(value: Timestamp) -> int:
        return of(value.nanoseconds // SECOND)

    @implements("timestamp_to_seconds_tz" if part == "seconds" else f"timestamp_to_{part}_with_tz")
    def in_zone(value: Timestamp, name: str) -> int:
        return of(_local_seconds(value, name))


for _part, _of in _PARTS.items():
    _register(_part, _of)


@implements("timestamp_to_milliseconds")
def milliseconds(value: Timestamp) -> int:
    return value.nanoseconds % SECOND // 1_000_000


@implements("timestamp_to_milliseconds_with_tz")
def milliseconds_in_zone(value: Timestamp, name: str) -> int:
    zone(name)
    return milliseconds(value)
