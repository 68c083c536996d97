"""When a day of the calendar begins in a time zone, as an instant, whatever the clocks do that night.

A day begins at the first instant whose date, read off a local clock, is that day or a later one. That instant exists
for every day and never lies before that of an earlier day, so days tile time: where midnight is skipped, where it
comes twice, and where a whole day is missing (it then is empty).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from costlens_policy.periods.errors import PeriodError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

__all__ = ["day_at", "start_of_day", "zone_of"]

_SECOND = timedelta(seconds=1)


def zone_of(name: str) -> ZoneInfo:
    """Return the IANA zone. Raises ``PeriodError`` where there is none of that name."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # not every policy set asks for a zone

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise PeriodError(f"unknown time zone `{name}`; use an IANA name such as `Europe/Berlin`") from None


def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """Return the instant, in UTC, at which ``day`` begins."""
    midnight = datetime.combine(day, time(), zone)
    first = midnight.astimezone(UTC)
    if (first - _SECOND).astimezone(zone).date() < day:
        return first
    # Midnight lies inside a gap: the clocks jumped from the day before into this one, or over it.
    return _first_on(day, zone, midnight.replace(fold=1).astimezone(UTC) - _SECOND, first)


def day_at(instant: datetime, zone: ZoneInfo) -> date:
    """Return the day that has begun last: where the clocks go back over midnight, a day stays begun."""
    day = instant.astimezone(zone).date()
    following = day + timedelta(days=1)
    return following if instant >= start_of_day(following, zone) else day


def _first_on(day: date, zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """Bisect to the second at which the local date becomes ``day`` or later."""
    while after - before > _SECOND:
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0)
        if middle <= before:
            break
        if middle.astimezone(zone).date() < day:
            before = middle
        else:
            after = middle
    return after
