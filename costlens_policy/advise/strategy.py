"""A strategy is a few numbers; its total, its curve and its break-even follow from them, exactly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil

from costlens_policy.advise.timeline import HOURS_PER_MONTH, Stretch, stretches
from costlens_policy.money import ZERO, multiply, total

__all__ = ["BreakEven", "Strategy", "break_even", "cumulative"]


@dataclass(frozen=True, slots=True)
class Strategy:
    """What one way to serve the task costs, in US dollars.

    ``usd_before`` is the cost of a query until the model is there, after ``wait_hours``. ``again_usd`` is paid every
    ``again_months`` months within the horizon, not at its end; 0 months mean never.
    """

    name: str
    usd_per_query: Decimal
    usd_before: Decimal = ZERO
    upfront_usd: Decimal = ZERO
    usd_per_hour: Decimal = ZERO
    wait_hours: Decimal = ZERO
    again_usd: Decimal = ZERO
    again_months: int = 0

    def of(self, stretch: Stretch) -> Decimal:
        """Return what a stretch costs. It may begin and end when a longer wait than the own one does."""
        if not stretch.live and self.wait_hours:
            return multiply(self.usd_before, stretch.queries)
        hosting = multiply(self.usd_per_hour, stretch.hours)
        return total((multiply(self.usd_per_query, stretch.queries), hosting))

    def paid_after(self, stretch: Stretch, months: int) -> Decimal:
        """Return what is paid at the end of a stretch."""
        again = self.again_months and stretch.ends_month and (stretch.month + 1) % self.again_months == 0
        return self.again_usd if again and stretch.month + 1 < months else ZERO

    def total_usd(self, monthly: tuple[int, ...]) -> Decimal:
        """Return the cost of all months together."""
        before = after = 0
        hours = ZERO
        for stretch in stretches(monthly, self.wait_hours):
            if stretch.live:
                after += stretch.queries
                hours = total((hours, stretch.hours))
            else:
                before += stretch.queries
        times = (len(monthly) - 1) // self.again_months if self.again_months else 0
        return total(
            (
                self.upfront_usd,
                multiply(self.again_usd, times),
                multiply(self.usd_before, before),
                multiply(self.usd_per_query, after),
                multiply(self.usd_per_hour, hours),
            )
        )


@dataclass(frozen=True, slots=True)
class BreakEven:
    """From here to the end of the horizon the cumulative cost is no higher: time in months, and queries until then."""

    months: Fraction
    queries: int


def break_even(strategy: Strategy, other: Strategy, monthly: tuple[int, ...]) -> BreakEven | None:
    """Return when the curve of a strategy goes below the one of another for good, or None where it does not.

    ``other`` is there from the beginning. A training in between that lifts the curve above the other's again puts the
    break-even off.
    """
    assert not other.wait_hours, "the other strategy is the one in place"
    gap = total((strategy.upfront_usd, other.upfront_usd.copy_negate()))
    found = BreakEven(Fraction(0), 0) if gap <= 0 else None
    queries = 0
    for stretch in stretches(monthly, strategy.wait_hours):
        after = total((gap, strategy.of(stretch), other.of(stretch).copy_negate()))
        if gap > 0 >= after:
            found = _crossing(stretch, Fraction(gap) / (Fraction(gap) - Fraction(after)), queries)
        queries += stretch.queries
        months = len(monthly)
        gap = total((after, strategy.paid_after(stretch, months), other.paid_after(stretch, months).copy_negate()))
        if gap > 0:
            found = None
    return found


def _crossing(stretch: Stretch, share: Fraction, queries: int) -> BreakEven:
    hours = Fraction(stretch.start) + share * Fraction(stretch.hours)
    return BreakEven(hours / Fraction(HOURS_PER_MONTH), queries + ceil(share * stretch.queries))


def cumulative(strategy: Strategy, monthly: tuple[int, ...]) -> Iterator[Decimal]:
    """Yield what has been paid by the end of month 0 (the beginning), 1, 2 and so on."""
    paid = strategy.upfront_usd
    yield paid
    for stretch in stretches(monthly, strategy.wait_hours):
        paid = total((paid, strategy.of(stretch)))
        if stretch.ends_month:
            yield paid
            paid = total((paid, strategy.paid_after(stretch, len(monthly))))
