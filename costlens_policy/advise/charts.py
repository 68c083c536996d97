"""Pictures of plain characters: curves over time, and a tornado. Only here do amounts become floats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from costlens_policy.advise.assumptions import readable
from costlens_policy.advise.numbers import Numbers
from costlens_policy.advise.ranges import Swing

__all__ = ["curve_chart", "swing_chart"]

_WIDTH: Final = 61
_HEIGHT: Final = 14
_BAR: Final = 40


def curve_chart(numbers: Numbers) -> Iterator[str]:
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


def swing_chart(numbers: Numbers, strategy: str) -> Iterator[str]:
    """Yield a bar for each uncertain input that moves a saving, the longest first; ``|`` is the saving at the base."""
    swings = sorted((item for item in numbers.swings if item.width(strategy)), key=lambda item: -item.width(strategy))
    if not swings:
        yield "no uncertain input moves it"
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
