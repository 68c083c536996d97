"""The critical times: between them all that conditions can tell apart by clocks, calendars and timestamps.

A *clock* is what a condition reads of a time in a zone, such as the hour in Berlin. Times at which all clocks show the
same, on the same side of every timestamp, are one to all conditions; the one nearest to now stands for them.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from calendar import isleap
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
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
_INSTANT: Final = timedelta(microseconds=1)
_LEAST: Final = datetime.min.replace(tzinfo=UTC) + timedelta(days=1)
_LAST: Final = datetime.max.replace(tzinfo=UTC) - timedelta(days=1)
"""Within these times, all zones can show the time."""
_HISTORY: Final = datetime(1900, 1, 1, tzinfo=UTC)
_FUTURE: Final = 2040
"""In this year, zones do what they will go on to do."""
_MOST: Final = 60_000
_MOST_EXAMPLES: Final = 20_000
"""Times that are looked at, and where they are but examples."""
_MANY_DAYS: Final = "it depends on one of very many days"


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
    why = _doubt({function for function, _ in clocks}, zones)
    most = _MOST_EXAMPLES if why else _MOST
    found: dict[tuple[object, ...], datetime] = {}
    for looked, time in enumerate(_times(clocks, zones, bounds, now)):
        if looked == most:
            why = why or _MANY_DAYS
            break
        local = {name: time.astimezone(zone) for name, zone in zones.items()}
        side = bisect_left(bounds, time) + bisect_right(bounds, time)
        shown = tuple(_READ[function](local[name]) for function, name in clocks if function in _READ)
        found.setdefault((side, shown), time)
    return sorted(found.values(), key=lambda time: abs(time - now)), why


def _doubt(functions: Set[str], zones: Collection[str]) -> str:
    """Return why no times that are looked at stand for all, whatever clocks are compared with."""
    if functions - _READ.keys():
        return "it depends on fractions of a second"
    if {"getDayOfWeek"} < functions & (_OF_DATES | {"getDayOfWeek"}):
        return _MANY_DAYS  # the 29th of February on a Sunday is years away
    if functions & _OF_DATES and len(zones) > 1:
        return "it depends on the days on which clocks change in several zones"
    if functions & {"getMinutes", "getSeconds"} and len(zones) > 1:
        return "it depends on the minutes of several zones"  # whose offsets once had seconds
    return ""


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
                if type(year) not in (int, float) or not 0 < year < 9999:
                    continue
                first = math.floor(year)
                begun = (datetime(at, 1, 1, tzinfo=zones[name]) for at in (first, first + 1) if 1 < at < 9999)
                yield from (time.astimezone(UTC) for time in begun)


def _times(
    clocks: Mapping[Clock, Iterable[Any]], zones: Mapping[str, tzinfo], bounds: Sequence[datetime], now: datetime
) -> Iterator[datetime]:
    """Yield now, each bound with its neighbors, and times of all kinds between any two bounds."""
    yield now
    if any(function in _OF_DATES for function, _ in clocks):
        for start in (now, *bounds):
            yield from _leap_days(start)
        yield from _changing_days(zones, (now, *bounds))
    shifts = (timedelta(), _SECOND, -_SECOND, _INSTANT, -_INSTANT)
    yield from (_shifted(bound, shift) for bound in bounds for shift in shifts)
    step, span = _grid(clocks, zones, now)
    if not clocks:
        return
    if len(zones) > 1:
        days = 8 if any(function == "getDayOfWeek" for function, _ in clocks) else 1
        yield from _ever_apart(tuple(zones.values()), bounds, days)
    starts = [min([now, *(_shifted(bound, -span) for bound in bounds[:1])]), *bounds]
    ends = [*bounds, _shifted(max([now, *bounds]), span)]
    for start, end in sorted(zip(starts, ends, strict=True), key=lambda part: not part[0] <= now < part[1]):
        within = [now, start] if start <= now < end else [start]
        for first in within:
            yield from _between(first, min(end, _shifted(first, span)), step, _instants(clocks))


def _shifted(time: datetime, shift: timedelta) -> datetime:
    """Return a time before or after another one, within those that there are."""
    try:
        return min(max(time + shift, _LEAST), _LAST)
    except OverflowError:
        return _LAST if shift > timedelta() else _LEAST


def _changing_days(zones: Mapping[str, tzinfo], starts: Iterable[datetime]) -> Iterator[datetime]:
    """Yield the hours of those dates on which clocks change within a year, in the next year, when they do not."""
    for start, zone in product(starts, zones.values()):
        for days in range(367):
            day = _shifted(start, timedelta(days=days))
            if _offset(zone, day) != _offset(zone, _shifted(day, timedelta(days=1))):
                later = _shifted(day, timedelta(days=364))
                yield from (_shifted(later, timedelta(hours=hour)) for hour in range(72))


def _ever_apart(zones: tuple[tzinfo, ...], bounds: Sequence[datetime], days: int) -> Iterator[datetime]:
    """Yield where hours begin on some days, for all that zones have been apart on the same side of every bound.

    Clocks were changed by two hours in some summers, and there were offsets of odd minutes.
    """
    history = _history(zones)
    ends = [*(time for time, _ in history[1:]), _LAST]
    seen = set()
    for (begun, apart), end in zip(history, ends, strict=True):
        for start in (begun, *(bound for bound in bounds if begun < bound < end)):
            key = (apart, sum(bound <= start for bound in bounds))
            if key not in seen:
                seen.add(key)
                first = start.replace(minute=0, second=0, microsecond=0)
                for hour, offset in product(range(24 * days), apart):
                    yield _shifted(first, timedelta(hours=hour + 1, seconds=-(offset % 3600)))


@lru_cache(maxsize=16)
def _history(zones: tuple[tzinfo, ...]) -> tuple[tuple[datetime, tuple[float, ...]], ...]:
    """Return the weeks since when zones have had these offsets; before the first, most were no zones."""
    found: list[tuple[datetime, tuple[float, ...]]] = []
    time = _HISTORY
    while time.year < _FUTURE:
        apart = tuple(_offset(zone, time) for zone in zones)
        if not found or found[-1][1] != apart:
            found.append((time, apart))
        time += timedelta(days=7)
    return tuple(found)


def _leap_days(now: datetime) -> Iterator[datetime]:
    """Yield the hours around the days that only leap years have, of the next one."""
    year = next((year for year in range(now.year + 1, min(now.year + 9, 9999)) if isleap(year)), 2028)
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
    return step, timedelta(days=16 if "getDayOfWeek" in functions else 3)


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
