"""Timestamps as text: RFC 3339."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from costlens_policy.expressions.runtime.durations import SECOND, checked_timestamp
from costlens_policy.expressions.runtime.errors import BAD_CONVERSION, CelError
from costlens_policy.expressions.values import Timestamp

__all__ = ["parse_timestamp", "timestamp_text"]

_DAY: Final = 86_400
_EPOCH: Final = date(1970, 1, 1).toordinal()
_RFC3339: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_LONGEST_TEXT: Final = 64


def parse_timestamp(text: str) -> Timestamp:
    """Read RFC 3339 text; digits beyond nanoseconds are cut off. Raises CelError."""
    match = _RFC3339.fullmatch(text) if len(text) <= _LONGEST_TEXT else None
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
