"""The advice as parts that any format can print: tables, lists of sentences, pictures of plain characters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from costlens_policy.advise.advice import Advice
from costlens_policy.advise.assumptions import assumptions
from costlens_policy.advise.charts import curve_chart, swing_chart
from costlens_policy.advise.numbers import Numbers
from costlens_policy.advise.strategies import FINE_TUNED, SMALL
from costlens_policy.advise.strategy import BreakEven
from costlens_policy.money import plain

__all__ = ["Part", "Picture", "Sentences", "Table", "headline", "parts_of"]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of texts under headings; all columns but the first hold numbers."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Sentences:
    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """Lines that only stand right in a font of one width."""

    title: str
    lines: tuple[str, ...]


Part: TypeAlias = Table | Sentences | Picture


def headline(advice: Advice) -> str:
    """Return what was asked: the workload, the horizon, the day of the prices."""
    name = advice.setting.workload.metadata.name
    return f"{name}: {_months(advice.setting.months)} at the prices of {advice.now.date()}"


def parts_of(advice: Advice) -> Iterator[Part]:
    """Yield the parts in the order in which they are read."""
    numbers = advice.numbers
    yield _recommendation(advice)
    yield _totals(numbers)
    if numbers.break_evens:
        against = f"break-even against {numbers.prompting}"
        yield Sentences(against, tuple(_break_even(name, advice) for name in numbers.break_evens))
    yield Picture("paid by then, in US dollars", tuple(curve_chart(numbers)))
    moved = next((name for name in (FINE_TUNED, SMALL) if name in numbers.strategies), None)
    if moved is not None and numbers.swings:
        title = f"what moves the saving of {moved} ({usd(numbers.savings[moved])})"
        yield Picture(title, tuple(swing_chart(numbers, moved)))
    yield Sentences("reckoned with", assumptions(advice))


def usd(amount: Decimal) -> str:
    """Return an amount in whole cents."""
    sign = "-" if amount < 0 else ""
    return f"{sign}${amount.copy_abs():,.2f}"


def _months(count: int) -> str:
    return f"{count} month{'' if count == 1 else 's'}"


def _recommendation(advice: Advice) -> Sentences:
    found = advice.recommendation
    title = f"recommendation: {found.strategy or 'none'}"
    besides = (f"besides, {item.rule}: {item.says}" for item in found.considerations)
    return Sentences(title, (f"{found.rule}: {found.says}", *besides))


def _totals(numbers: Numbers) -> Table:
    rows = tuple(
        (
            name,
            f"${plain(strategy.usd_per_query.quantize(Decimal('1e-7')))}",
            usd(strategy.upfront_usd),
            usd(numbers.totals[name]),
            usd(numbers.totals_range.lowest[name]),
            usd(numbers.totals_range.highest[name]),
            usd(numbers.savings[name]),
            usd(numbers.savings_range.lowest[name]),
            usd(numbers.savings_range.highest[name]),
        )
        for name, strategy in numbers.strategies.items()
    )
    headings = ("strategy", "a query", "at first", "total", "lowest", "highest", "saving", "at worst", "at best")
    return Table(f"total cost, and saving against {numbers.prompting}", headings, rows)


def _break_even(name: str, advice: Advice) -> str:
    numbers = advice.numbers
    return f"{name}: {_when(numbers.break_evens[name], advice.setting.months)}; {_volume(numbers.crossovers[name])}"


def _when(found: BreakEven | None, months: int) -> str:
    if found is None:
        return f"not within {_months(months)}"
    if not found.months:
        return "from the beginning"
    return f"after {float(found.months):.1f} months and {found.queries:,} queries"


def _volume(found: int | None) -> str:
    if found is None:
        return "no volume makes it pay, since its queries are no cheaper or it costs too much to have"
    if found == 1:
        return "it pays at any volume"
    return f"it pays from {found:,} queries in the first month on"
