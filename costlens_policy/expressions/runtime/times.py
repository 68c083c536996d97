"""Timestamps and durations: their texts, their arithmetic, and their parts on the calendar and the clock.

A duration is written in Go's syntax (``1h30m``, ``-1.5s``, ``100ms``), a timestamp in RFC 3339.

A duration made from text may span ±10,000 years, as protobuf's does; the result of arithmetic must fit in 64 bits of
nanoseconds (±292 years), as in every implementation of CEL.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final

from costlens_policy.expressions.errors import BAD_CONVERSION, TIME_OUT_OF_RANGE, UNKNOWN_ZONE, CelError
from costlens_policy.expressions.runtime.functions import implements
from costlens_policy.expressions.runtime.operators import INT_MAX, INT_MIN
from costlens_policy.expressions.values import Duration, Timestamp

__all__ = [
    "SECOND", "TIMESTAMP_MAX", "TIMESTAMP_MIN", "checked_duration", "checked_timestamp", "duration_text",
    "parse_duration", "parse_timestamp", "seconds_text", "timestamp_text", "zone",
]  # fmt: skip


SECOND: Final = 1_000_000_000
TIMESTAMP_MIN: Final = -62_135_596_800 * SECOND
TIMESTAMP_MAX: Final = 253_402_300_800 * SECOND - 1

_LONGEST: Final = 315_576_000_000 * SECOND
_LONGEST_TEXT: Final = 100
_UNITS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # micro sign
    "μs": 1_000,  # Greek letter mu
    "ms": 1_000_000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}
_PART: Final = re.compile(r"(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)", re.ASCII)


def parse_duration(text: str) -> Duration:
    """Read a duration; digits beyond nanoseconds are dropped. Raises CelError."""
    if len(text) > _LONGEST_TEXT:
        raise _bad_duration()
    sign, body = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if body == "0":
        return Duration(0)
    total, position = 0, 0
    while position < len(body):
        part = _PART.match(body, position)
        if part is None or not (part[1] or part[2]):
            raise _bad_duration()
        total += _nanoseconds(part[1], part[2] or "", _UNITS[part[3]])
        position = part.end()
    if not body:
        raise _bad_duration()
    if total > _LONGEST:
        raise CelError(TIME_OUT_OF_RANGE, "a duration must be at most 10,000 years")
    return Duration(sign * total)


def _nanoseconds(whole: str, fraction: str, unit: int) -> int:
    return int(whole or "0") * unit + int(fraction or "0") * unit // int(f"1{'0' * len(fraction)}")


def _bad_duration() -> CelError:
    return CelError(BAD_CONVERSION, "the text is not a duration such as `90s` or `1h30m`")


def duration_text(value: Duration) -> str:
    """Write a duration as seconds: ``1.5s``."""
    return f"{seconds_text(value.nanoseconds)}s"


def seconds_text(nanoseconds: int) -> str:
    """Write nanoseconds as decimal seconds without a trailing zero."""
    whole, rest = divmod(abs(nanoseconds), SECOND)
    fraction = f".{rest:09}".rstrip("0") if rest else ""
    return f"{'-' if nanoseconds < 0 else ''}{whole}{fraction}"


@implements("add_duration_duration")
def add_durations(left: Duration, right: Duration) -> Duration:
    return checked_duration(left.nanoseconds + right.nanoseconds)


@implements("subtract_duration_duration")
def subtract_durations(left: Duration, right: Duration) -> Duration:
    return checked_duration(left.nanoseconds - right.nanoseconds)


@implements("subtract_timestamp_timestamp")
def subtract_timestamps(left: Timestamp, right: Timestamp) -> Duration:
    return checked_duration(left.nanoseconds - right.nanoseconds)


@implements("add_timestamp_duration")
def add_timestamp_duration(left: Timestamp, right: Duration) -> Timestamp:
    return checked_timestamp(left.nanoseconds + right.nanoseconds)


@implements("add_duration_timestamp")
def add_duration_timestamp(left: Duration, right: Timestamp) -> Timestamp:
    return checked_timestamp(left.nanoseconds + right.nanoseconds)


@implements("subtract_timestamp_duration")
def subtract_timestamp_duration(left: Timestamp, right: Duration) -> Timestamp:
    return checked_timestamp(left.nanoseconds - right.nanoseconds)


@implements("duration_to_hours")
def duration_hours(value: Duration) -> int:
    return _whole(value.nanoseconds, 3600 * SECOND)


@implements("duration_to_minutes")
def duration_minutes(value: Duration) -> int:
    return _whole(value.nanoseconds, 60 * SECOND)


@implements("duration_to_seconds")
def duration_seconds(value: Duration) -> int:
    return _whole(value.nanoseconds, SECOND)


@implements("duration_to_milliseconds")
def duration_milliseconds(value: Duration) -> int:
    """Return the milliseconds within the second, as the specification's tests have it."""
    sign = -1 if value.nanoseconds < 0 else 1
    return sign * (abs(value.nanoseconds) % SECOND // 1_000_000)


def _whole(nanoseconds: int, unit: int) -> int:
    whole = abs(nanoseconds) // unit
    return -whole if nanoseconds < 0 else whole


def checked_duration(nanoseconds: int) -> Duration:
    """Return the duration, which must fit in 64 bits of nanoseconds. Raises CelError."""
    if INT_MIN <= nanoseconds <= INT_MAX:
        return Duration(nanoseconds)
    raise CelError(TIME_OUT_OF_RANGE, "the duration is longer than 292 years")


def checked_timestamp(nanoseconds: int) -> Timestamp:
    """Return the instant, which must lie in the years 1 to 9999. Raises CelError."""
    if TIMESTAMP_MIN <= nanoseconds <= TIMESTAMP_MAX:
        return Timestamp(nanoseconds)
    raise CelError(TIME_OUT_OF_RANGE, "a timestamp must be within the years 1 to 9999")


_DAY: Final = 86_400
_EPOCH: Final = date(1970, 1, 1).toordinal()
_RFC3339: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_LONGEST_TIMESTAMP: Final = 64


def parse_timestamp(text: str) -> Timestamp:
    """Read RFC 3339 text; digits beyond nanoseconds are dropped. Raises CelError."""
    match = _RFC3339.fullmatch(text) if len(text) <= _LONGEST_TIMESTAMP else None
    if match is None:
        raise _bad_timestamp()
    year, month, day, hour, minute, second = (int(match[group]) for group in range(1, 7))
    offset = int(match[9] or "0") * 60 + int(match[10] or "0")
    if hour > 23 or minute > 59 or second > 59 or offset > 1439 or int(match[10] or "0") > 59:
        raise _bad_timestamp()
    try:
        days = date(year, month, day).toordinal() - _EPOCH
    except ValueError:
        raise _bad_timestamp() from None
    seconds = days * _DAY + hour * 3600 + minute * 60 + second - (-offset if match[8] == "-" else offset) * 60
    return checked_timestamp(seconds * SECOND + int(f"{match[7] or '':0<9}"[:9]))


def _bad_timestamp() -> CelError:
    return CelError(BAD_CONVERSION, "the text is not an RFC 3339 timestamp such as `2026-01-31T08:00:00Z`")


def timestamp_text(value: Timestamp) -> str:
    """Write an instant as RFC 3339 in UTC, with as many fractional digits as it needs."""
    seconds, rest = divmod(value.nanoseconds, SECOND)
    days, second = divmod(seconds, _DAY)
    day = date.fromordinal(days + _EPOCH)
    fraction = f".{rest:09}".rstrip("0") if rest else ""
    return f"{day.isoformat()}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}{fraction}Z"


_DAYS_OF_400_YEARS: Final = 146_097
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
        from zoneinfo import ZoneInfo  # few expressions name a zone

        try:
            return ZoneInfo(name)
        except (LookupError, ValueError, OSError):
            pass  # three ways of saying that there is no such file
    raise CelError(UNKNOWN_ZONE, "a time zone must be an IANA name or an offset such as `+02:00`")


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
