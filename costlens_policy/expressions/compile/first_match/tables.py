"""Conditions sorted into tables by the attributes they demand something of, and by what they demand.

Each table is for one tuple of keys, such as ``(request.team, request.task)``; a condition stands in one table, in the
row of every tuple of values it accepts. So a lookup in each table gives all conditions that can hold; their number does
not depend on how many conditions there are. (Packet filters call this tuple space search.)

The bounds of all ranges cut the numbers into segments. Each segment lists the conditions whose range touches it, so a
binary search finds the few that can hold. The comparisons themselves stay parts of the conditions: only the start of a
segment may be in a range that ends there, and NaN, which no comparison accepts, is looked up like any number.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any, Final, TypeAlias

from costlens_policy.expressions.compile.first_match.conditions import Condition, Entry
from costlens_policy.expressions.compile.first_match.demands import Demands, Key, Range
from costlens_policy.frozen import frozen

__all__ = ["RangeTable", "Sorted", "Table", "sort_conditions", "sort_ranges"]


_MOST_ROWS: Final = 64
"""In how many rows of its table one condition may stand."""

_MOST_TABLES: Final = 6
_SMALLEST_TABLE: Final = 3


@frozen
class Table:
    """``rows`` by the keys' values: a value for one key, a tuple for several. ``without`` lists, by a key that may be
    missing, the conditions that are an error there instead of false."""

    keys: tuple[Key, ...]
    rows: Mapping[Any, tuple[Entry, ...]]
    without: Mapping[Key, tuple[Entry, ...]]


@frozen
class Sorted:
    """All conditions: those in ``tables``, those in ``ranges``, and the ``rest``, which is tried for every request."""

    tables: tuple[Table, ...]
    ranges: RangeTable | None
    rest: tuple[Entry, ...]


def sort_conditions(conditions: Sequence[Condition], demands: Sequence[Demands]) -> Sorted:
    """Sort conditions into tables by their demands."""
    places = _places([_keys(demand) for demand in demands])
    members: dict[tuple[Key, ...], list[int]] = defaultdict(list)
    for index, keys in enumerate(places):
        members[keys].append(index)
    ranges, others = sort_ranges(members.pop((), ()), conditions, demands)
    rest: tuple[Entry, ...] = tuple((index, conditions[index]) for index in others)
    tables = (_table(keys, indices, conditions, demands) for keys, indices in members.items())
    return Sorted(tuple(tables), ranges, rest)


def _keys(demand: Demands) -> tuple[Key, ...]:
    """Return the keys a condition is sorted by: all of its own, unless it would stand in too many rows."""
    keys = sorted(demand.wanted, key=lambda key: (len(demand.wanted[key]), key))
    while keys and prod(len(demand.wanted[key]) for key in keys) > _MOST_ROWS:
        keys.pop()
    return tuple(sorted(keys))


def _places(wishes: Sequence[tuple[Key, ...]]) -> list[tuple[Key, ...]]:
    """Give each condition a table: its own where enough share it, else the most exact of those that are kept."""
    counts = Counter(wishes)
    counts.pop((), None)
    kept = [keys for keys, count in counts.most_common(_MOST_TABLES) if count >= _SMALLEST_TABLE]
    singles = Counter((key,) for keys, count in counts.items() if keys not in kept for key in keys)
    kept += [keys for keys, count in singles.most_common(_MOST_TABLES - len(kept)) if keys not in kept]
    return [_best(keys, kept) for keys in wishes]


def _best(keys: tuple[Key, ...], kept: Sequence[tuple[Key, ...]]) -> tuple[Key, ...]:
    fitting = [table for table in kept if set(table) <= set(keys)]
    return max(fitting, key=len, default=())


def _table(
    keys: tuple[Key, ...],
    indices: Sequence[int],
    conditions: Sequence[Condition],
    demands: Sequence[Demands],
) -> Table:
    rows: dict[Any, list[Entry]] = defaultdict(list)
    without: dict[Key, list[Entry]] = defaultdict(list)
    for index in indices:
        condition, demand = conditions[index], demands[index]
        left = demand.left(keys)
        entry = (index, condition.reduced(left) if left else None)
        for values in product(*(demand.wanted[key] for key in keys)):
            _append(rows[values[0] if len(keys) == 1 else values], entry)
        for key in keys:
            if key.optional and not demand.guards(key):
                without[key].append((index, condition))
    return Table(
        keys,
        {values: tuple(entries) for values, entries in rows.items()},
        {key: tuple(entries) for key, entries in without.items()},
    )


def _append(row: list[Entry], entry: Entry) -> None:
    """Add to a row, unless a condition before it holds for every request that comes here."""
    if not row or row[-1][1] is not None:
        row.append(entry)


_FEWEST: Final = 12
"""As many conditions as one after the other are slower to try than a search takes."""
_LONGEST_ROW: Final = 0.25
"""The share of the conditions that a segment lists at most on average; with more, the search would not pay."""
_MOST_ENTRIES: Final = 200_000

_Ranges: TypeAlias = Sequence[tuple[int, Range]]


@frozen
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
    table = _range_table(key, ranges, conditions, demands)
    if table is None:
        return None, tuple(places)
    return table, tuple(place for place in places if key not in demands[place].ranges)


def _range_table(
    key: Key, ranges: _Ranges, conditions: Sequence[Condition], demands: Sequence[Demands]
) -> RangeTable | None:
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
