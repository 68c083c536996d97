"""Series of numbers over time, as ``0+2x20``: start, step, and how many steps follow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final

from costlens_policy.clock import duration_text

__all__ = ["SeriesError", "series_values", "value_at"]

_PART: Final = re.compile(r"(?P<start>[0-9.]+)(?P<step>[+-][0-9.]+)?(?:x(?P<count>[0-9]+))?")
_MOST_VALUES: Final = 100_000


class SeriesError(ValueError):
    """A series cannot be read, or says nothing about the time asked for; the message is for the author."""


@lru_cache(maxsize=1024)
def series_values(text: str) -> tuple[Decimal, ...]:
    """Return the values of a series: ``1+2x3 5 0x2`` is 1 3 5 7 5 0 0 0. Raises ``SeriesError``."""
    values: list[Decimal] = []
    for part in text.split():
        values.extend(_part_values(part))
        if len(values) > _MOST_VALUES:
            raise SeriesError(f"the series has more than {_MOST_VALUES:,} values")
    if any(value < 0 for value in values):
        raise SeriesError("the series falls below zero")
    return tuple(values)


def _part_values(part: str) -> Iterator[Decimal]:
    found = _PART.fullmatch(part)
    if found is None:
        raise SeriesError(f"`{part}` is neither a number nor a series such as `0+2x20`")
    if found["step"] and found["count"] is None:
        raise SeriesError(f"`{part}` does not say how many steps follow, as `{part}x20` does")
    start, step = Decimal(found["start"]), Decimal(found["step"] or 0)
    return (start + step * index for index in range(int(found["count"] or 0) + 1))


def value_at(text: str, elapsed: timedelta, every: timedelta) -> Decimal:
    """Return the value in force at a time after the start: the last one at or before it. Raises ``SeriesError``."""
    values = series_values(text)
    if not every:
        raise SeriesError("the values of the series lie no time apart")
    index = elapsed // every
    if index < 0:
        raise SeriesError("the case lies before the start of the series")
    if index >= len(values):
        end = duration_text(every * (len(values) - 1))
        raise SeriesError(f"the series ends {end} after its start, and the case lies {duration_text(elapsed)} after it")
    return values[index]
