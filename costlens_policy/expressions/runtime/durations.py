"""Durations: Go's syntax (``1h30m``, ``-1.5s``, ``100ms``), their parts, and arithmetic with timestamps.

A duration made from text may span ±10,000 years, as protobuf's does; the result of arithmetic must fit in 64 bits of
nanoseconds (±292 years), as in every implementation of CEL.
"""

from __future__ import annotations

import re
from typing import Final

from costlens_policy.expressions.runtime.arithmetic import INT_MAX, INT_MIN
from costlens_policy.expressions.runtime.errors import BAD_CONVERSION, TIME_OUT_OF_RANGE, CelError
from costlens_policy.expressions.runtime.implementations import implements
from costlens_policy.expressions.values import Duration, Timestamp

__all__ = [
    "SECOND", "TIMESTAMP_MAX", "TIMESTAMP_MIN", "checked_timestamp", "duration_text", "parse_duration", "seconds_text",
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
    """Read a duration; digits beyond nanoseconds are cut off. Raises CelError."""
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
        raise CelError(TIME_OUT_OF_RANGE, "a duration is at most 10,000 years")
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
    return _checked_duration(left.nanoseconds + right.nanoseconds)


@implements("subtract_duration_duration")
def subtract_durations(left: Duration, right: Duration) -> Duration:
    return _checked_duration(left.nanoseconds - right.nanoseconds)


@implements("subtract_timestamp_timestamp")
def subtract_timestamps(left: Timestamp, right: Timestamp) -> Duration:
    return _checked_duration(left.nanoseconds - right.nanoseconds)


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


def _checked_duration(nanoseconds: int) -> Duration:
    if INT_MIN <= nanoseconds <= INT_MAX:
        return Duration(nanoseconds)
    raise CelError(TIME_OUT_OF_RANGE, "the duration is longer than 292 years")


def checked_timestamp(nanoseconds: int) -> Timestamp:
    """Return the instant, which must lie in the years 1 to 9999. Raises CelError."""
    if TIMESTAMP_MIN <= nanoseconds <= TIMESTAMP_MAX:
        return Timestamp(nanoseconds)
    raise CelError(TIME_OUT_OF_RANGE, "the timestamp lies outside the years 1 to 9999")
