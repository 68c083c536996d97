"""The critical times: between them all that conditions can tell apart by clocks, calendars and timestamps.

A *clock* is what a condition reads of a time in a zone, such as the hour in Berlin. Times at which all clocks show the
same, on the same side of every timestamp, are one to all conditions; the one nearest to now stands for them.
"""

from __future__ import annotations

from calendar import isleap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import product
from typing import Any, Final, TypeAlias

from costlens_policy.periods import PeriodError, zone_of

__all__ = ["Clock", "critical_times"]

Clock: TypeAlias = tuple[str, str]
"""A function of a time, and the zone: ``("getHours", "Europe/Berlin")``."""

_READ: Final[Mapping[str, Any]] = {
    "getFullYear": lambda time: time.year,
    "getMonth": lambda time: time.month - 1,
    "getDate": lambda time: time.day,
    "getDayOfMonth": lambda time: time.day - 1,
    "getDayOfYear": lambda time: time.timetuple().tm_yday - 1,
    "getDayOfWeek": lambda time: time.isoweekday() % 7,
    "getHours": lambda time: time.hour,
    "getMinutes": lambda time: time.minute,
    "getSeconds": lambda time: time.second,
}
_OF_DATES: Final = frozenset({"getMonth", "getDate", "getDayOfMonth", "getDayOfYear"})
_OF_DAYS: Final = frozenset({"getHours", "getMinutes", "getSeconds"})
_SECOND: Final = timedelta(seconds=1)
_MOST: Final = 60_000
"""Times that are looked at."""


def critical_times(
    clocks: Mapping[Clock, Iterable[Any]], named: Iterable[datetime], now: datetime
) -> tuple[list[datetime], str]:
    """Return the times, nearest to now first, and why there may be others; empty where there are none.

    ``clocks`` has the numbers that each is compared with, ``named`` the timestamps that times are compared with.
    """
    try:
        zones = {name: _zone(name) for _, name in clocks}
    except PeriodError as error:
        return [now], str(error)
    bounds = sorted({*named, *_years(clocks, zones)})
    found: dict[tuple[object, ...], datetime] = {}
    looked = 0
    for time in _times(clocks, zones, bounds, now):
        looked += 1
        if looked > _MOST:
            break
        local = {name: time.astimezone(zone) for name, zone in zones.items()}
        side = tuple((time > bound) - (time < bound) for bound in bounds)
        shown = tuple(_READ[function](local[name]) for function, name in clocks if function in _READ)
        found.setdefault((side, shown), time)
    functions = {function for function, _ in clocks}
    why = ""
    if functions - _READ.keys():
        why = "it depends on fractions of a second"
    elif looked > _MOST or {"getDayOfWeek"} < functions & (_OF_DATES | {"getDayOfWeek"}):
        why = "it depends on one of very many days"  # the 29th of February on a Sunday is years away
    return sorted(found.values(), key=lambda time: abs(time - now)), why


def _zone(name: str) -> tzinfo:
    if not name:
        return UTC
    sign, _, rest = name[0], name[0], name[1:]
    if sign in "+-" or name[0].isdigit():
        hours, _, minutes = (rest if sign in "+-" else name).partition(":")
        if hours.isdigit() and minutes.isdigit():
            offset = timedelta(hours=int(hours), minutes=int(minutes))
            return timezone(-offset if sign == "-" else offset)
    return zone_of(name)


def _years(clocks: Mapping[Clock, Iterable[Any]], zones: Mapping[str, tzinfo]) -> Iterator[datetime]:
    """Yield where the years begin, and end, with which a time's year is compared."""
    for (function, name), compared in clocks.items():
        if function == "getFullYear":
            for year in compared:
                if type(year) is int and 1 < year < 9998:
                    yield from (datetime(at, 1, 1, tzinfo=zones[name]).astimezone(UTC) for at in (year, year + 1))


def _times(
    clocks: Mapping[Clock, Iterable[Any]], zones: Mapping[str, tzinfo], bounds: Sequence[datetime], now: datetime
) -> Iterator[datetime]:
    """Yield now, each bound with its neighbors, and times of all kinds between any two bounds."""
    yield now
    if any(function in _OF_DATES for function, _ in clocks):
        yield from _leap_days(now)
    yield from (bound + shift for bound in bounds for shift in (timedelta(), _SECOND, -_SECOND))
    step, span = _grid(clocks, zones, now)
    if not clocks:
        return
    starts = [min([now, *(bound - span for bound in bounds[:1])]), *bounds]
    ends = [*bounds, max([now, *bounds]) + span]
    for start, end in sorted(zip(starts, ends, strict=True), key=lambda part: not part[0] <= now < part[1]):
        within = [now, start] if start <= now < end else [start]
        for first in within:
            yield from _between(first, min(end, first + span), step, _instants(clocks))


def _leap_days(now: datetime) -> Iterator[datetime]:
    """Yield the hours around the days that only leap years have, of the next one."""
    year = next(year for year in range(now.year + 1, now.year + 9) if isleap(year))
    for day in (datetime(year, 2, 28, tzinfo=UTC), datetime(year, 12, 30, tzinfo=UTC)):
        yield from (day + timedelta(hours=hour, minutes=30) for hour in range(72))


def _grid(
    clocks: Mapping[Clock, Iterable[Any]], zones: Mapping[str, tzinfo], now: datetime
) -> tuple[timedelta, timedelta]:
    """Return how far apart times are looked at, and over how long, so that clocks show all that they show together."""
    functions = {function for function, _ in clocks}
    offsets = {_offset(zone, now + timedelta(days=days)) for zone in zones.values() for days in range(0, 366, 30)}
    if not functions & _OF_DAYS and len(zones) == 1:
        step = timedelta(hours=12)
    elif all(offset % 3600 == 0 for offset in offsets):
        step = timedelta(hours=1)
    else:
        step = timedelta(minutes=15)
    if functions & _OF_DATES or len(zones) > 1:
        return step, timedelta(days=367)
    return step, timedelta(days=9 if "getDayOfWeek" in functions else 3)


def _offset(zone: tzinfo, time: datetime) -> float:
    return (time.astimezone(zone).utcoffset() or timedelta()).total_seconds()


def _instants(clocks: Mapping[Clock, Iterable[Any]]) -> list[timedelta]:
    """Return what is added to each time: minutes and seconds with which clocks are compared, and their neighbors."""
    minutes = _near(clocks, "getMinutes")
    seconds = _near(clocks, "getSeconds")
    return [timedelta(minutes=minute, seconds=second) for minute, second in product(minutes, seconds)]


def _near(clocks: Mapping[Clock, Iterable[Any]], wanted: str) -> list[int]:
    compared = {value for (function, _), values in clocks.items() if function == wanted for value in values}
    if not any(function == wanted for function, _ in clocks):
        return [0]
    numbers = {near for value in compared if type(value) in (int, float) for near in (value - 1, value, value + 1)}
    return sorted({0, 59, *(int(number) for number in numbers if 0 <= number <= 59)})


def _between(start: datetime, end: datetime, step: timedelta, instants: Sequence[timedelta]) -> Iterator[datetime]:
    """Yield times from the hour of ``start`` on; where no minutes are asked for, the middle of each step."""
    time = start.replace(minute=0, second=0, microsecond=0)
    middle = [step / 2] if instants == [timedelta()] else instants
    while time < end:
        for instant in middle:
            if start <= time + instant < end:
                yield time + instant
        time += step
