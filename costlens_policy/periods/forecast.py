"""How a budget will stand at the end of its period if spending goes on as it did since the beginning."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Context, Decimal
from typing import Final

__all__ = ["Forecast", "forecast"]

_ROUGHLY: Final = Context(prec=12)
_DAY: Final = timedelta(days=1)
_LONGEST: Final = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What follows from the average so far. Each is None where it cannot be told.

    ``used_per_day`` is in the budget's unit. ``projected_ratio`` is how much of the limit will be used when the period
    ends, ``exhausted_in`` how long what is left then lasts, at most ten years. A rolling window has no end, and
    forgets as much as is spent if spending goes on: it has the first alone. Nothing is known before the period has
    begun, nor of a lifetime, which has no beginning.
    """

    used_per_day: Decimal | None = None
    projected_ratio: Decimal | None = None
    exhausted_in: timedelta | None = None


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
    return Forecast(rate, ratio, None if left is None or not rate else _lasts(left, rate))


def _lasts(left: Decimal, rate: Decimal) -> timedelta:
    days = _ROUGHLY.divide(left, rate)
    return _LONGEST if days >= _LONGEST.days else timedelta(days=float(days))


def _seconds(length: timedelta) -> Decimal:
    return Decimal(length // timedelta(microseconds=1)).scaleb(-6)
