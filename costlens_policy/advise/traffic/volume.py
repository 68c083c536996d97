"""How many calls a month a record stands for, and how fast they grow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from costlens_policy.advise.rules_of_thumb import Range
from costlens_policy.advise.timeline import HOURS_PER_MONTH

__all__ = ["Period", "Volume", "growth_of", "volume_of"]

_HOUR: Final = 3_600_000_000
_WEEK: Final = 168 * _HOUR
_MONTH: Final = int(HOURS_PER_MONTH * _HOUR)
_ORIGIN: Final = "traffic"
_WEEKS_FOR_RANGE: Final = 2
_WEEKS_FOR_GROWTH: Final = 4
_LEAST, _MOST = Decimal(-1), Decimal(10)


@dataclass(frozen=True, slots=True)
class Period:
    """The time that a record covers, in microseconds since 1970, for all of its calls together.

    A record of N calls covers N - 1 gaps between them; ``length`` counts one more, so that an even stream has its rate.
    """

    first: int
    last: int
    calls: int

    @property
    def length(self) -> int:
        between = self.last - self.first
        return between + (between // (self.calls - 1) if self.calls > 1 else 0)

    @property
    def weeks(self) -> int:
        return self.length // _WEEK


@dataclass(frozen=True, slots=True)
class Volume:
    """Queries a month, from the quietest week to the busiest; growth is None where the record is too short for it."""

    per_month: Range
    growth: Range | None


def volume_of(times: Sequence[int], period: Period) -> Volume | None:
    """Return the volume of calls at some times, in microseconds; None where they all happened at once."""
    if period.length <= 0:
        return None
    base = _rate(len(times), period.length)
    low = high = base
    if period.weeks >= _WEEKS_FOR_RANGE:
        weeks = _counts(times, period.first, _WEEK, period.weeks)
        low, high = min(base, _rate(min(weeks), _WEEK)), max(base, _rate(max(weeks), _WEEK))
    return Volume(Range(low, base, high, _ORIGIN), growth_of(times, period))


def growth_of(times: Sequence[int], period: Period) -> Range | None:
    """Return growth from month to month, from one half of the record to the other; None below four weeks.

    Both halves are of whole weeks, so that both have the same days of the week. One end of the range is no growth:
    whether it goes on is not known.
    """
    half = period.weeks // 2
    if period.weeks < _WEEKS_FOR_GROWTH:
        return None
    before, after = _counts(times, period.first, half * _WEEK, 2)
    if not before or not after:
        return None
    growth = Decimal(repr(round((after / before) ** (_MONTH / (half * _WEEK)) - 1, 3)))
    growth = min(max(growth, _LEAST), _MOST)
    return Range(min(growth, Decimal(0)), growth, max(growth, Decimal(0)), _ORIGIN)


def _rate(count: int, length: int) -> Decimal:
    return Decimal(max(1, round(count * _MONTH / length)))


def _counts(times: Sequence[int], first: int, length: int, number: int) -> list[int]:
    counts = [0] * number
    for time in times:
        if (at := (time - first) // length) < number:
            counts[at] += 1
    return counts
