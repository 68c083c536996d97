"""The time that a budget covers: when its period began, when it starts anew, and how it will stand at the end.

A period's id says everything that distinguishes it from the periods of other windows, so that a budget whose window was
changed starts on accounts of its own and the old ones stay as they were.

A day of the calendar begins at the first instant whose date, read off a local clock, is that day or a later one. That
instant exists for every day and never lies before that of an earlier day, so days tile time: where midnight is skipped,
where it comes twice, and where a whole day is missing (it then is empty).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any, Final, Protocol

from costlens_policy.clock import duration_of
from costlens_policy.errors import CostlensPolicyError
from costlens_policy.frozen import frozen

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

__all__ = [
    "FIRST_USE", "Forecast", "Period", "PeriodError", "Schedule", "forecast", "periods_after", "periods_before",
    "schedule_of", "start_of_day", "zone_of",
]  # fmt: skip

_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class PeriodError(CostlensPolicyError, ValueError):
    """A zone or a span that does not exist, or a time beyond the calendar."""


@frozen
class Period:
    """The time that one account covers. ``starts_at`` and ``resets_at`` are in UTC, None where there is no such time.

    ``rolling`` is the length of a window that ends now, and None for every other window. ``first_use`` is the length of
    one that begins with its first use: only a ledger knows when that was, so there are times only in what it reports,
    and none while no such window is in force.
    """

    id: str
    starts_at: datetime | None = None
    resets_at: datetime | None = None
    rolling: timedelta | None = None
    first_use: timedelta | None = None

    def begun(self, starts_at: datetime | None) -> Period:
        """Return the period with the window that began at a time, which must be one from first use; None for none."""
        assert self.first_use is not None
        return Period(self.id, starts_at, starts_at and starts_at + self.first_use, first_use=self.first_use)

    def seen(self, started_at: datetime | None, now: datetime) -> Period:
        """Return the period with its window from first use as it counts at ``now``, if it began at a time.

        None where nobody knows of one, or for every other window: then this is the period itself.
        """
        if self.first_use is None:
            return self
        counts = started_at is not None and -self.first_use < now - started_at < self.first_use
        return self.begun(started_at if counts else None)

    def since(self, now: datetime) -> datetime | None:
        """Return when that began which counts at ``now``: for a rolling window it moves along."""
        return self.starts_at if self.rolling is None else now - self.rolling

    def alert_id(self, now: datetime) -> str:
        """Return under which id an alert is raised once: the period's own, for a window from first use one for each
        window, or for a rolling window one for each of its lengths.
        """
        if self.first_use is not None and self.starts_at is not None:
            return f"{self.id}#{_text(self.starts_at)}"
        length = self.rolling or self.first_use
        return self.id if length is None else f"{self.id}#{(now - datetime(1970, 1, 1, tzinfo=UTC)) // length}"


class Schedule(Protocol):
    """The periods of one window. Safe to share between threads."""

    def at(self, now: datetime) -> Period | None:
        """Return the period at an instant; None where nothing is accounted."""


def periods_before(schedule: Schedule, period: Period, count: int) -> tuple[Period, ...]:
    """Return the periods before one, the latest first: so many, or fewer where the calendar begins.

    Give a schedule of your own: one keeps the period that it was asked for last.
    """
    found: list[Period] = []
    before: Period | None = period
    for _ in range(count):
        if before is None or before.starts_at is None:
            break
        try:
            before = schedule.at(before.starts_at - timedelta(microseconds=1))
        except (PeriodError, OverflowError):
            break
        if before is not None:
            found.append(before)
    return tuple(found)


def periods_after(schedule: Schedule, period: Period, count: int) -> tuple[Period, ...]:
    """Return the periods after one, the next first: so many, or fewer where the calendar ends.

    Give a schedule of your own: one keeps the period that it was asked for last.
    """
    found: list[Period] = []
    after: Period | None = period
    for _ in range(count):
        if after is None or after.resets_at is None:
            break
        try:
            after = schedule.at(after.resets_at)
        except (PeriodError, OverflowError):
            break
        if after is not None:
            found.append(after)
    return tuple(found)


def schedule_of(terms: Mapping[str, Any]) -> Schedule:
    """Return the periods of a window, given its terms: all keys of the document, with their defaults.

    Raises ``PeriodError`` for a zone or a span that does not exist.
    """
    match terms:
        case {"calendar": _}:
            return _Calendar(**terms)
        case {"rolling": length}:
            return _Constant(_rolling(length))
        case {"from_first_use": length}:
            return _Constant(_from_first_use(length))
        case {"starts_at": start, "ends_at": end}:
            return _Fixed(start, end)
        case {"lifetime": True}:
            return _Constant(Period("lifetime"))
        case {"per_call": True}:
            return _Constant(None)
    raise ValueError(f"unknown terms of a window: {', '.join(terms)}")


class _Constant:
    """A window with one account for ever, or, where each call stands for itself, with none."""

    __slots__ = ("_period",)

    def __init__(self, period: Period | None) -> None:
        self._period = period

    def at(self, now: datetime) -> Period | None:
        return self._period


class _Fixed:
    """One span. Outside of it the budget has no effect: a call then counts nowhere."""

    __slots__ = ("_period", "_span")

    def __init__(self, starts_at: datetime, ends_at: datetime) -> None:
        start, end = starts_at.astimezone(UTC), ends_at.astimezone(UTC)
        if end <= start:
            raise PeriodError(f"a window from {_text(start)} to {_text(end)} is empty")
        self._span = start, end
        self._period = Period(f"fixed:{_text(start)}:{_text(end)}", start, end)

    def at(self, now: datetime) -> Period | None:
        start, end = self._span
        return self._period if start <= now < end else None


class _Calendar:
    """Periods of the calendar. The one found last is kept, since nearly every call asks for it again."""

    __slots__ = ("_begin", "_last", "_name", "_next", "_start_day", "_zone")

    def __init__(
        self, *, calendar: str, zone: str, week_start: str, month_start_day: int, year_start_month: int
    ) -> None:
        self._zone: ZoneInfo = zone_of(zone)
        self._name = calendar, zone
        self._start_day = month_start_day
        self._begin, self._next = _steps(calendar, week_start, month_start_day, year_start_month)
        self._last: tuple[datetime, datetime, Period] | None = None

    def at(self, now: datetime) -> Period:
        last = self._last
        if last is not None and last[0] <= now < last[1]:
            return last[2]
        try:
            found = self._find(now)
        except OverflowError:
            raise PeriodError(f"the calendar ends before the period of {now:%Y-%m-%d} does") from None
        self._last = found
        return found[2]

    def _find(self, now: datetime) -> tuple[datetime, datetime, Period]:
        first = self._begin(day_at(now, self._zone))
        starts_at, resets_at = start_of_day(first, self._zone), start_of_day(self._next(first), self._zone)
        calendar, zone = self._name
        day = first.isoformat()
        if self._start_day > _IN_EVERY_MONTH and first.day != self._start_day and calendar not in ("day", "week"):
            day += f"/{self._start_day}"  # one that starts on this day in every month ends on another one
        return starts_at, resets_at, Period(f"{calendar}:{day}:{zone}", starts_at, resets_at)


_Step = Callable[[date], date]


def _steps(calendar: str, week_start: str, first_day: int, first_month: int) -> tuple[_Step, _Step]:
    """Return two functions: from a day to the first day of its period, and from that to the first day of the next
    one.
    """
    if calendar == "day":
        return (lambda day: day), (lambda first: first + timedelta(days=1))
    if calendar == "week":
        start = _WEEKDAYS.index(week_start)
        return (
            lambda day: day - timedelta(days=(day.weekday() - start) % 7),
            lambda first: first + timedelta(days=7),
        )
    months = {"month": 1, "quarter": 3, "year": 12}[calendar]
    phase = 0 if calendar == "month" else first_month - 1
    return (
        lambda day: _first_of(_months(day, first_day), months, phase, first_day),
        lambda first: _day_of(_months(first, first_day) + months, first_day),
    )


def _months(day: date, first_day: int) -> int:
    """Return how many months have begun since the year 0, where a month begins on ``first_day``."""
    month = day.year * 12 + day.month - 1
    return month - (day < _day_of(month, first_day))


def _first_of(month: int, length: int, phase: int, first_day: int) -> date:
    return _day_of(month - (month - phase) % length, first_day)


_IN_EVERY_MONTH: Final = 28
"""The last day that every month has."""


def _day_of(month: int, day: int) -> date:
    """Return a day of a month: its last one where it has fewer, as bills that are due on the 31st are."""
    try:
        sure = date(month // 12, month % 12 + 1, min(day, _IN_EVERY_MONTH))
    except ValueError:
        raise OverflowError from None
    if day <= _IN_EVERY_MONTH:
        return sure
    following = sure + timedelta(days=4)
    last = following - timedelta(days=following.day)
    return last.replace(day=min(day, last.day))


def _rolling(text: str) -> Period:
    length = _length(text, "a rolling window")
    return Period(f"rolling:{_in_seconds(length)}", rolling=length)


FIRST_USE: Final = "first_use:"
"""How the ids of windows begin that begin with their first use."""


def _from_first_use(text: str) -> Period:
    length = _length(text, "a window from first use")
    return Period(f"{FIRST_USE}{_in_seconds(length)}", first_use=length)


def _length(text: str, what: str) -> timedelta:
    length = duration_of(text)
    if length < timedelta(milliseconds=1):
        raise PeriodError(f"{what} of `{text}` is too short to hold anything")
    return length


def _in_seconds(length: timedelta) -> str:
    seconds, rest = divmod(length // timedelta(microseconds=1), 1_000_000)
    fraction = f".{rest:06}".rstrip("0") if rest else ""
    return f"{seconds}{fraction}s"


def _text(instant: datetime) -> str:
    return instant.isoformat().removesuffix("+00:00") + "Z"


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


_ROUGHLY: Final = Context(prec=12)

_DAY: Final = timedelta(days=1)

_LONGEST: Final = timedelta(days=3650)


@frozen
class Forecast:
    """What follows from the average so far. Each is None where it is unknown.

    ``used_per_day`` is in the budget's unit. ``projected_ratio`` is how much of the limit will be used when the period
    ends, ``exhausted_in`` how long what is left then lasts, at most ten years. A rolling window has no end, and
    forgets as much as is spent if spending goes on: it has the first alone. Nothing is known before the period has
    begun, nor of a lifetime, which has no beginning. ``elapsed_ratio`` is the share of the period that has passed, and
    ``resets_in`` the rest of it.
    """

    used_per_day: Decimal | None = None
    projected_ratio: Decimal | None = None
    exhausted_in: timedelta | None = None
    elapsed_ratio: Decimal | None = field(default=None, compare=False)
    resets_in: timedelta | None = field(default=None, compare=False)


_UNKNOWN: Final = Forecast()


def forecast(
    used: Decimal,
    left: Decimal | None,
    limit: Decimal | None,
    starts_at: datetime | None,
    resets_at: datetime | None,
    now: datetime,
) -> Forecast:
    """Return the forecast of a budget, amounts in its unit; ``limit`` and ``left`` are None where nobody knows them.

    ``starts_at`` is when what counts began, ``resets_at`` when the period ends, None where it does not.
    """
    if starts_at is None or now <= starts_at:
        return _UNKNOWN
    elapsed = now - starts_at
    rate = _ROUGHLY.divide(_ROUGHLY.multiply(used, _seconds(_DAY)), _seconds(elapsed))
    if resets_at is None:
        return Forecast(rate)
    share = _ROUGHLY.divide(_seconds(elapsed), _seconds(resets_at - starts_at))
    ratio = _ROUGHLY.divide(_ROUGHLY.divide(used, limit), share) if limit else None
    lasts = None if left is None or not rate else _lasts(left, rate)
    return Forecast(rate, ratio, lasts, share, resets_at - now)


def _lasts(left: Decimal, rate: Decimal) -> timedelta:
    days = _ROUGHLY.divide(left, rate)
    return _LONGEST if days >= _LONGEST.days else timedelta(days=float(days))


def _seconds(length: timedelta) -> Decimal:
    return Decimal(length // timedelta(microseconds=1)).scaleb(-6)
