"""Queries over time: whole queries in each month, and what falls before and after the day a model is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Final

from costlens_policy.money import ZERO, multiply, total

__all__ = ["HOURS_PER_MONTH", "HOURS_PER_WEEK", "Stretch", "monthly_queries", "stretches"]

HOURS_PER_MONTH: Final = Decimal("730.5")
"""A twelfth of 365.25 days."""
HOURS_PER_WEEK: Final = Decimal(168)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A month, or one of the two parts of the month in which the model comes.

    ``month`` counts from 0; ``live`` says that the model is there; ``ends_month`` that no further part follows.
    """

    month: int
    start: Decimal
    hours: Decimal
    queries: int
    live: bool
    ends_month: bool


@lru_cache(maxsize=256)
def monthly_queries(per_month: Decimal, growth: Decimal, months: int) -> tuple[int, ...]:
    """Return the queries of each month. They grow exactly, and are then rounded to whole queries, half to even."""
    factor = 1 + Fraction(growth)
    return tuple(round(Fraction(per_month) * factor**month) for month in range(months))


def stretches(monthly: tuple[int, ...], wait_hours: Decimal) -> Iterator[Stretch]:
    """Cut the months at the time when the model comes; its month is split in whole queries."""
    for month, queries in enumerate(monthly):
        start = multiply(HOURS_PER_MONTH, month)
        before = min(max(total((wait_hours, start.copy_negate())), ZERO), HOURS_PER_MONTH)
        if before in (ZERO, HOURS_PER_MONTH):
            yield Stretch(month, start, HOURS_PER_MONTH, queries, before == ZERO, True)
            continue
        first = round(queries * Fraction(before) / Fraction(HOURS_PER_MONTH))
        yield Stretch(month, start, before, first, False, False)
        rest = total((HOURS_PER_MONTH, before.copy_negate()))
        yield Stretch(month, total((start, before)), rest, queries - first, True, True)
