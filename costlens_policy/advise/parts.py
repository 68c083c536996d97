"""The advice as parts that any format can print: tables, sentences, pictures of plain characters, assumptions.

Only in the pictures do amounts become floats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeAlias

from costlens_policy.advise.advice import Advice
from costlens_policy.advise.inputs import Range, rules_of_thumb
from costlens_policy.advise.numbers import Numbers, Swing
from costlens_policy.advise.strategies import FINE_TUNED, HOURS_PER_MONTH, SMALL, BreakEven
from costlens_policy.frozen import frozen
from costlens_policy.money import plain

__all__ = ["AdviceTable", "Page", "Part", "Picture", "Sentences", "assumptions", "headline", "parts_of", "readable"]


@frozen
class AdviceTable:
    """Rows of texts under headings; all columns but the first hold numbers."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@frozen
class Sentences:
    title: str
    lines: tuple[str, ...]


@frozen
class Picture:
    """Lines for a monospaced font."""

    title: str
    lines: tuple[str, ...]


Part: TypeAlias = AdviceTable | Sentences | Picture


@frozen
class Page:
    """What is printed, in any format: parts under a heading, and all that was calculated as JSON data."""

    heading: str
    parts: Iterable[Part]
    data: Callable[[], Mapping[str, Any]]


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
    yield Picture("cumulative cost, in US dollars", tuple(_curve_chart(numbers)))
    moved = next((name for name in (FINE_TUNED, SMALL) if name in numbers.strategies), None)
    if moved is not None and numbers.swings:
        title = f"sensitivity of the saving of {moved} ({usd(numbers.savings[moved])})"
        yield Picture(title, tuple(_swing_chart(numbers, moved)))
    yield Sentences("assumptions", assumptions(advice))


def usd(amount: Decimal) -> str:
    """Return an amount in whole cents."""
    sign = "-" if amount < 0 else ""
    return f"{sign}${amount.copy_abs():,.2f}"


def _months(count: int) -> str:
    return f"{count} month{'' if count == 1 else 's'}"


def _recommendation(advice: Advice) -> Sentences:
    found = advice.recommendation
    title = f"recommendation: {found.strategy or 'none'}"
    extras = (f"also, {item.rule}: {item.reason}" for item in found.considerations)
    return Sentences(title, (f"{found.rule}: {found.reason}", *extras))


def _totals(numbers: Numbers) -> AdviceTable:
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
    return AdviceTable(f"total cost, and saving against {numbers.prompting}", headings, rows)


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
        return "it pays off at no volume, since its queries are no cheaper or its fixed costs are too high"
    if found == 1:
        return "it pays off at any volume"
    return f"it pays off from {found:,} queries in the first month"


def assumptions(advice: Advice) -> tuple[str, ...]:
    """Return every assumption of this advice."""
    return tuple(_assumptions(advice))


def readable(value: Decimal) -> str:
    """Return a number as people read it: whole ones in groups of three digits."""
    return f"{int(value):,}" if value == int(value) else plain(value)


def _range(item: Range) -> str:
    values = (item.low, item.base, item.high) if item.is_uncertain else (item.base,)
    return " .. ".join(map(readable, values))


def _assumptions(advice: Advice) -> Iterator[str]:
    workload, numbers = advice.setting.workload, advice.numbers
    yield "lowest and highest cover every combination of the lowest and highest inputs; they are not probabilities"
    yield f"prices stay those of {advice.now.date()}; there is no interest"
    yield "the only staff time counted is labeling"
    yield "every query is an average one, which decides whether long-context prices apply"
    yield f"a month has {HOURS_PER_MONTH} hours; queries grow from month to month, not within one"
    if workload.caching is not None:
        yield "all strategies but prompt-only hit the prompt cache as often as the workload states"
    if workload.fine_tuned is not None:
        yield f"until the fine-tuned model serves, {numbers.prompting} does; labeling and training are paid upfront"
    rules = rules_of_thumb()
    for name, item in numbers.inputs.items():
        if item.origin != "workload":
            yield f"`{name}` is {_range(item)} ({rules.source})"


_WIDTH: Final = 61
_HEIGHT: Final = 14
_BAR: Final = 40


def _curve_chart(numbers: Numbers) -> Iterator[str]:
    """Yield the lines of a chart of what has been paid, one letter for each strategy."""
    top = max(float(max(curve)) for curve in numbers.curves.values()) or 1.0
    grid = [[" "] * _WIDTH for _ in range(_HEIGHT)]
    letters = _letters(numbers)
    for name, curve in numbers.curves.items():
        for column in range(_WIDTH):
            height = _at(curve, column / (_WIDTH - 1)) / top
            row = grid[_HEIGHT - 1 - round(height * (_HEIGHT - 1))]
            row[column] = letters[name] if row[column] == " " else "*"
    margin = len(f"{top:,.0f}")
    for index, row in enumerate(grid):
        value = top * (_HEIGHT - 1 - index) / (_HEIGHT - 1)
        label = f"{value:,.0f}" if index % 4 == 0 or index == _HEIGHT - 1 else ""
        yield f"{label:>{margin}} |{''.join(row)}".rstrip()
    months = len(numbers.monthly)
    yield f"{'':{margin}} +{'-' * _WIDTH}"
    yield f"{'':{margin}}  0{f'{months} months':>{_WIDTH - 1}}"
    yield ", ".join([*(f"{letter} {name}" for name, letter in letters.items()), "* several"])


def _letters(numbers: Numbers) -> dict[str, str]:
    known = {"prompt-only": "P", "prompt-with-caching": "C"}
    return {name: known.get(name, name[0].upper()) for name in numbers.curves}


def _at(curve: Sequence[Decimal], share: float) -> float:
    """Return a value between two months."""
    place = share * (len(curve) - 1)
    before = min(int(place), len(curve) - 2)
    left, right = float(curve[before]), float(curve[before + 1])
    return left + (right - left) * (place - before)


def _swing_chart(numbers: Numbers, strategy: str) -> Iterator[str]:
    """Yield a bar for each uncertain input that moves a saving, the longest first; ``|`` is the saving at the base."""
    swings = sorted((item for item in numbers.swings if item.width(strategy)), key=lambda item: -item.width(strategy))
    if not swings:
        yield "no uncertain input affects it"
        return
    base = float(numbers.savings[strategy])
    ends = [float(saving[strategy]) for item in swings for saving in item.savings]
    low, high = min(*ends, base), max(*ends, base)
    names = max(len(item.input) for item in swings)
    inputs = max(len(_from_to(item)) for item in swings)
    for item in swings:
        first, second = (float(saving[strategy]) for saving in item.savings)
        bar = _bar(min(first, second), max(first, second), base, (low, high))
        yield f"{item.input:{names}}  {_from_to(item):>{inputs}}  {bar}  {_dollars(first)} .. {_dollars(second)}"


def _from_to(item: Swing) -> str:
    return f"{readable(item.range.low)} .. {readable(item.range.high)}"


def _bar(first: float, second: float, base: float, scale: tuple[float, float]) -> str:
    def column(value: float) -> int:
        return round((value - scale[0]) / (scale[1] - scale[0]) * (_BAR - 1))

    cells = ["=" if column(first) <= index <= column(second) else " " for index in range(_BAR)]
    cells[column(base)] = "|"
    return f"[{''.join(cells)}]"


def _dollars(amount: float) -> str:
    return f"{'-' if amount < 0 else ''}${abs(amount):,.0f}"
