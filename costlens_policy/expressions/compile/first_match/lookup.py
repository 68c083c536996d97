"""The generated function that looks conditions up and tries the few that it finds."""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, Final

from costlens_policy.expressions.compile.fast.emitter import Globals, parameter
from costlens_policy.expressions.compile.fast.python import (
    assign,
    attribute,
    binary,
    call,
    choice,
    compare,
    const,
    name,
    named,
    subscript,
)
from costlens_policy.expressions.compile.first_match.conditions import Entry
from costlens_policy.expressions.compile.first_match.demands import Key
from costlens_policy.expressions.compile.first_match.tables import RangeTable, Sorted, Table

__all__ = ["lookup"]

_MISSING: Final = object()
_NONE: Final[tuple[Entry, ...]] = ()
_LARGEST_MERGE: Final = 100_000
_FOUND: Final = "found"

_TEMPLATE: Final = """
def first():
    try:
        found = None
    except Exception:
        return None
    for index, condition in found:
        if condition is None or condition.holds():
            return index
    return None
"""


def lookup(
    conditions: Sorted, otherwise: int | None, parameters: tuple[str, ...], carefully: Callable[..., int | None]
) -> Callable[..., int | None]:
    """Return a function that tries what the tables give for a request, in order; it gives ``otherwise`` if none holds.

    ``carefully`` takes over where a key cannot be read.
    """
    globals_ = Globals()
    names = [parameter(index) for index in range(len(parameters))]
    arguments = [name(identifier) for identifier in names]
    keys = sorted({key for table in conditions.tables for key in table.keys} | _bounded(conditions))
    locals_ = {key: f"k{index}" for index, key in enumerate(keys)}
    reads = [assign(locals_[key], _read(key, parameters, globals_)) for key in keys]
    found = assign(_FOUND, _found(conditions, locals_, globals_))

    definition: Any = ast.parse(_TEMPLATE).body[0]
    attempt, loop, last = definition.body
    definition.args.args = [ast.arg(identifier, lineno=1, col_offset=0) for identifier in names]
    attempt.body = [*reads, found]
    attempt.handlers[0].body[0].value = call(globals_.value(carefully), *arguments)
    loop.body[0].test.values[1].args = arguments
    last.value = const(otherwise)
    return globals_.define(definition)


def _read(key: Key, parameters: Sequence[str], globals_: Globals) -> ast.expr:
    """Read a key's value, ``_MISSING`` where the record may lack it and does."""
    record, field = name(parameter(parameters.index(key.variable))), const(key.field)
    value = subscript(record, field)
    if key.optional:
        value = call(attribute(record, "get"), field, globals_.value(_MISSING))
    if not key.prefix:
        return value
    if key.optional:
        return call(globals_.value(_prefix), value, const(key.prefix))
    return subscript(value, ast.Slice(None, const(key.prefix), None, lineno=1, col_offset=0))


def _prefix(value: Any, length: int) -> Any:
    return value if value is _MISSING else value[:length]


def _found(conditions: Sorted, locals_: dict[Key, str], globals_: Globals) -> ast.expr:
    """Emit what gives the conditions to try, in order of their indices."""
    tables, ranges, rest = conditions.tables, conditions.ranges, conditions.rest
    if ranges is not None and not tables and len(ranges.rows) * len(rest) <= _LARGEST_MERGE:
        segments = tuple(_merged(row, rest) for row in ranges.rows)
        merged = RangeTable(ranges.key, ranges.starts, segments, _merged(ranges.without, rest))
        return _segment(merged, locals_, globals_)
    if ranges is None and len(tables) == 1 and len(tables[0].rows) * len(rest) <= _LARGEST_MERGE:
        table = tables[0]
        rows = {values: _merged(entries, rest) for values, entries in table.rows.items()}
        without = {key: _merged(entries, rest) for key, entries in table.without.items()}
        return _row(Table(table.keys, rows, without), _merged((), rest), locals_, globals_)
    rows_ = [_row(table, _NONE, locals_, globals_) for table in tables]
    rows_ += [_segment(ranges, locals_, globals_)] if ranges is not None else []
    rows_ += [globals_.value(rest)] if rest else []
    all_rows = reduce(lambda left, right: binary(left, ast.Add(), right), rows_)
    several = compare(call(name("len"), named(_FOUND, all_rows)), ast.Gt(), const(1))
    return choice(several, call(name("sorted"), name(_FOUND)), name(_FOUND))


def _bounded(conditions: Sorted) -> set[Key]:
    return set() if conditions.ranges is None else {conditions.ranges.key}


def _segment(ranges: RangeTable, locals_: dict[Key, str], globals_: Globals) -> ast.expr:
    """Emit the search for the conditions of the segment in which a number lies."""
    number = name(locals_[ranges.key])
    found = call(globals_.value(bisect_right), globals_.value(ranges.starts), number)
    row = subscript(globals_.value(ranges.rows), found)
    if not ranges.key.optional:
        return row
    is_there = compare(number, ast.IsNot(), globals_.value(_MISSING))
    return choice(is_there, row, globals_.value(ranges.without))


def _merged(entries: tuple[Entry, ...], rest: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """Merge two rows, up to the first condition that always holds."""
    merged: list[Entry] = []
    for entry in sorted((*entries, *rest), key=lambda entry: entry[0]):
        merged.append(entry)
        if entry[1] is None:
            break
    return tuple(merged)


def _row(table: Table, default: tuple[Entry, ...], locals_: dict[Key, str], globals_: Globals) -> ast.expr:
    """Emit the lookup of a table's row, or of what stands in for it where a key is missing."""
    values = [name(locals_[key]) for key in table.keys]
    wanted = values[0] if len(values) == 1 else ast.Tuple(values, ast.Load(), lineno=1, col_offset=0)
    row = call(globals_.value(table.rows.get), wanted, globals_.value(default))
    for key, entries in table.without.items():
        is_there = compare(name(locals_[key]), ast.IsNot(), globals_.value(_MISSING))
        row = choice(is_there, row, globals_.value(entries))
    return row
