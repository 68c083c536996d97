"""What will have been spent when the current window ends, with a range; or why that cannot be forecast."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

from costlens_policy.frozen import frozen
from costlens_policy.money import total
from costlens_policy.periods import start_of_day
from costlens_policy.report.timeline import BucketStart, TimeUnit, bucket_starts

__all__ = ["Forecast", "Window", "forecast_spend", "window_at"]

WindowUnit: TypeAlias = Literal["day", "week", "month"]

_ROUGHLY: Final = Context(prec=12)
_FEWEST: Final = 3
_SEASONS: Final = 2
_LATEST: Final = 4
"""So many of the latest steps of a kind (such as Mondays) count, so that old habits are forgotten."""
_NORMAL: Final = Decimal("1.2816")
"""The 90th percentile of a normal distribution: a range of 80 % lies between minus and plus so many deviations."""
_CENT: Final = Decimal("0.01")


@frozen
class Window:
    """The stretch of the calendar that a forecast is for."""

    unit: WindowUnit
    starts_at: datetime
    ends_at: datetime


@frozen
class Forecast:
    """``spent`` so far is exact; ``expected`` at the end, and ``low`` to ``high``, are estimates in whole cents.

    Without a forecast the three are None, and ``method`` is the reason.
    """

    window: Window
    now: datetime
    spent: Decimal
    method: str
    steps: int
    expected: Decimal | None = None
    low: Decimal | None = None
    high: Decimal | None = None


def window_at(now: datetime, unit: WindowUnit, zone: ZoneInfo) -> Window:
    """Return the window that contains an instant; weeks begin on Monday."""
    day = now.astimezone(zone).date()
    match unit:
        case "day":
            first, after = day, day + timedelta(days=1)
        case "week":
            first = day - timedelta(days=day.weekday())
            after = first + timedelta(days=7)
        case "month":
            first = day.replace(day=1)
            after = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return Window(unit, start_of_day(first, zone), start_of_day(after, zone))


def forecast_spend(
    spend: Mapping[BucketStart, Decimal], spent: Decimal, window: Window, now: datetime, zone: ZoneInfo
) -> Forecast:
    """Forecast from the spend by hours, for a day, or by days, for a longer window.

    Only complete steps count, and the first one does not, since it may be incomplete.
    """
    unit: TimeUnit = "hour" if window.unit == "day" else "day"
    current = _step_at(now, unit, zone)
    known = _complete(spend, unit, current)
    if len(known) < _FEWEST:
        reason = f"no forecast: it needs {_FEWEST} whole {unit}s after the first one, but there are {len(known)}"
        return Forecast(window, now, spent, reason, len(known))
    coming = [(at, _left(at, unit, now, window, zone)) for at in _coming(current, window, unit, zone)]
    season, name = (24, "hour of the day") if unit == "hour" else (7, "weekday")
    seasonal = len(known) >= _SEASONS * season
    expected = _seasonal(known, season) if seasonal else _even(known)
    rest = total(_ROUGHLY.multiply(expected(place), share) for place, (_, share) in enumerate(coming, len(known)))
    spread = _spread(known, season if seasonal else None)
    length = total(share for _, share in coming)
    swing = _ROUGHLY.multiply(_NORMAL, _ROUGHLY.multiply(spread, length.sqrt(_ROUGHLY)))
    low, high = max(spent, spent + rest - swing), spent + rest + swing
    return Forecast(
        window, now, spent, _method(unit, name, len(known), seasonal), len(known),
        *(value.quantize(_CENT) for value in (spent + rest, low, high)),
    )  # fmt: skip


def _method(unit: str, season: str, known: int, seasonal: bool) -> str:
    how = (
        f"each future {unit} is expected to cost the mean of the latest {_LATEST} of the same {season}"
        if seasonal
        else f"each future {unit} is expected to cost the mean of all, as there are not {_SEASONS} of each {season}"
    )
    return (
        f"{how}, from {known} whole {unit}s; the range holds 80 % if {unit}s differ from that as independently as they "
        "did so far"
    )


def _complete(spend: Mapping[BucketStart, Decimal], unit: TimeUnit, current: BucketStart) -> list[Decimal]:
    if not spend:
        return []
    over = [at for at in bucket_starts(min(spend), max(max(spend), current), unit) if at < current]
    return [spend.get(at, Decimal(0)) for at in over[1:]]


def _step_at(now: datetime, unit: TimeUnit, zone: ZoneInfo) -> BucketStart:
    local = now.astimezone(zone)
    if unit == "hour":
        return local.replace(minute=0, second=0, microsecond=0).astimezone(UTC)
    return local.date()


def _coming(current: BucketStart, window: Window, unit: TimeUnit, zone: ZoneInfo) -> Sequence[BucketStart]:
    if isinstance(current, datetime):
        return [at for at in bucket_starts(current, window.ends_at, unit) if at < window.ends_at]
    last = (window.ends_at - timedelta(microseconds=1)).astimezone(zone).date()
    return bucket_starts(current, last, unit)


def _left(at: BucketStart, unit: TimeUnit, now: datetime, window: Window, zone: ZoneInfo) -> Decimal:
    """Return which share of a step is still to come."""
    if isinstance(at, datetime):
        begins, ends = at, min(at + timedelta(hours=1), window.ends_at)
    else:
        begins, ends = start_of_day(at, zone), start_of_day(at + timedelta(days=1), zone)
    if now <= begins or ends <= begins:
        return Decimal(1)
    rest, whole = (length // timedelta(microseconds=1) for length in (ends - now, ends - begins))
    return _ROUGHLY.divide(Decimal(rest), Decimal(whole))


def _even(known: Sequence[Decimal]) -> Callable[[int], Decimal]:
    mean = _mean(known)
    return lambda _: mean


def _seasonal(known: Sequence[Decimal], season: int) -> Callable[[int], Decimal]:
    means = [_mean(known[first::season][-_LATEST:]) for first in range(season)]
    return lambda place: means[place % season]


def _spread(known: Sequence[Decimal], season: int | None) -> Decimal:
    """Return the standard deviation of single steps from the mean of their kind."""
    kinds = [known] if season is None else [known[first::season] for first in range(season)]
    squares = [(amount - _mean(kind)) ** 2 for kind in kinds for amount in kind]
    return _ROUGHLY.divide(total(map(_rounded, squares)), Decimal(len(known) - len(kinds))).sqrt(_ROUGHLY)


def _mean(amounts: Sequence[Decimal]) -> Decimal:
    return _ROUGHLY.divide(total(amounts), Decimal(len(amounts)))


def _rounded(amount: Decimal) -> Decimal:
    return _ROUGHLY.plus(amount)
