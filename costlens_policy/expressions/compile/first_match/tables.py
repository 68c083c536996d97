"""Conditions sorted into tables by the attributes they demand something of, and by what they demand.

Each table is for one tuple of keys, such as ``(request.team, request.task)``; a condition stands in one table, in the
row of every tuple of values it accepts. So a lookup in each table gives all conditions that can hold; their number does
not depend on how many conditions there are. (Packet filters call this tuple space search.)
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any, Final

from costlens_policy.expressions.compile.first_match.condition import Condition, Entry
from costlens_policy.expressions.compile.first_match.keys import Demands, Key
from costlens_policy.expressions.compile.first_match.ranges import RangeTable, sort_ranges

__all__ = ["Sorted", "Table", "sort_conditions"]

_MOST_ROWS: Final = 64
"""In how many rows of its table one condition may stand."""

_MOST_TABLES: Final = 6
_SMALLEST_TABLE: Final = 3


@dataclass(frozen=True, slots=True)
class Table:
    """``rows`` by the keys' values: a value for one key, a tuple for several. ``without`` lists, by a key that may be
    missing, the conditions that are an error there instead of false."""

    keys: tuple[Key, ...]
    rows: Mapping[Any, tuple[Entry, ...]]
    without: Mapping[Key, tuple[Entry, ...]]


@dataclass(frozen=True, slots=True)
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
