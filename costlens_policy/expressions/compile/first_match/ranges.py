"""Conditions sorted by the range of numbers that they demand of one attribute, such as tiers of prompt lengths.

The bounds of all ranges cut the numbers into segments. Each segment lists the conditions whose range touches it, so a
binary search finds the few that can hold. The comparisons themselves stay parts of the conditions: only the start of a
segment may be in a range that ends there, and NaN, which no comparison accepts, is looked up like any number.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from costlens_policy.expressions.compile.first_match.condition import Condition, Entry
from costlens_policy.expressions.compile.first_match.keys import Demands, Key, Range

__all__ = ["RangeTable", "sort_ranges"]

_FEWEST: Final = 12
"""As many conditions as one after the other are slower to try than a search takes."""
_LONGEST_ROW: Final = 0.25
"""The share of the conditions that a segment lists at most on average; with more, the search would not pay."""
_MOST_ENTRIES: Final = 200_000

_Ranges: TypeAlias = Sequence[tuple[int, Range]]


@dataclass(frozen=True, slots=True)
class RangeTable:
    """``rows[i]`` are the conditions for numbers from ``starts[i - 1]`` on and below ``starts[i]``.

    ``without`` lists the conditions that are an error, instead of false, where the attribute is missing.
    """

    key: Key
    starts: tuple[float, ...]
    rows: tuple[tuple[Entry, ...], ...]
    without: tuple[Entry, ...]


def sort_ranges(
    places: Sequence[int], conditions: Sequence[Condition], demands: Sequence[Demands]
) -> tuple[RangeTable | None, tuple[int, ...]]:
    """Sort the conditions at some places by the key that most of them bound, if that pays; also return the rest."""
    counts = Counter(key for place in places for key in demands[place].ranges)
    if not counts or counts.most_common(1)[0][1] < _FEWEST:
        return None, tuple(places)
    key = counts.most_common(1)[0][0]
    ranges = [(place, demands[place].ranges[key]) for place in places if key in demands[place].ranges]
    table = _table(key, ranges, conditions, demands)
    if table is None:
        return None, tuple(places)
    return table, tuple(place for place in places if key not in demands[place].ranges)


def _table(key: Key, ranges: _Ranges, conditions: Sequence[Condition], demands: Sequence[Demands]) -> RangeTable | None:
    bounds = {bound for _, found in ranges for bound in (found.low, found.high)} - {-math.inf, math.inf}
    starts = sorted(bounds)
    rows: list[list[Entry]] = [[] for _ in range(len(starts) + 1)]
    most = min(_MOST_ENTRIES, _LONGEST_ROW * len(ranges) * len(rows))
    segments = _Open(len(rows))
    for place, found in ranges:
        first, last = _touched(found, starts)
        for segment in segments.between(first, last):
            rows[segment].append((place, conditions[place]))
            most -= 1
            surely = (segment > first or found.includes_low) and (segment < last or not _ends_in(found))
            if surely and demands[place].is_range:
                segments.close(segment)  # whatever stands behind is never tried
        if most < 0:
            return None
    without = [(place, conditions[place]) for place, _ in ranges if key.optional and not demands[place].guards(key)]
    return RangeTable(key, tuple(starts), tuple(map(tuple, rows)), tuple(without))


def _touched(found: Range, starts: Sequence[float]) -> tuple[int, int]:
    """Return the first and the last segment that a range touches."""
    first = 0 if found.low == -math.inf else bisect_left(starts, found.low) + 1
    last = len(starts) if found.high == math.inf else bisect_left(starts, found.high) + _ends_in(found)
    return first, last


def _ends_in(found: Range) -> bool:
    """Whether the start of the last segment is the only number of it that is in the range."""
    return found.includes_high and found.high != math.inf


class _Open:
    """Segments that still take conditions, found without walking over those that are closed."""

    def __init__(self, count: int) -> None:
        self._next = list(range(count + 1))

    def between(self, first: int, last: int) -> Iterator[int]:
        """Yield the open segments from one to another."""
        segment = self._from(first)
        while segment <= last:
            yield segment
            segment = self._from(segment + 1)

    def close(self, segment: int) -> None:
        self._next[segment] = segment + 1

    def _from(self, segment: int) -> int:
        following = self._next
        while following[segment] != segment:
            following[segment] = following[following[segment]]
            segment = following[segment]
        return segment
