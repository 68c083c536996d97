"""Files in columns for who reads more of them than replay does: labels, latencies, and the like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

import polars as pl

from costlens_policy.frozen import frozen
from costlens_policy.replay.stream.layout import Layout, asked_kinds, is_inside
from costlens_policy.replay.stream.reading import table_of
from costlens_policy.replay.stream.tables import Kind, Table
from costlens_policy.replay.traffic.mapping import TEXTS, ColumnMapping
from costlens_policy.replay.traffic.places import STDIN
from costlens_policy.replay.traffic.reading import TEXTS_ONLY

__all__ = ["OwnColumn", "WiderTable", "wider_tables"]

OwnColumn: TypeAlias = tuple[str, Kind | Literal["time"]]
"""A column, with alternatives as in a mapping, and what it is asked for as; a ``time`` is what ``time`` is."""

_TEXTS: Final = (pl.String, pl.Categorical, pl.Enum)
_WHOLE: Final = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32)
_TYPES: Final[Mapping[Kind | Literal["time"], tuple[Any, ...]]] = {
    "text": (*_TEXTS, *_WHOLE, pl.Null), "amount": (*_TEXTS, *_WHOLE, pl.Float64, pl.Null),
    "word": (*_TEXTS, *_WHOLE, pl.Boolean, pl.Null), "time": (pl.Datetime, *_TEXTS, *_WHOLE),
    "nothing": (pl.Null,),
}  # fmt: skip


_UNFIT: Final = "`{}` has a form or a column that cannot be read in columns"


@frozen
class WiderTable:
    """A file, its layout for the fields of replay, and by name the columns that its reader asked for besides."""

    table: Table
    layout: Layout
    own: Mapping[str, tuple[str, ...]]


def wider_tables(
    files: Sequence[str], mapping: ColumnMapping, own: Mapping[str, OwnColumn], start: datetime
) -> list[WiderTable] | str:
    """Return files as tables, or why they have to be read row by row. Raises ``TrafficError``.

    ``mapping`` has no attributes of requests; ``own`` are the columns that are read besides, by name.
    """
    shaped = mapping.drop or mapping.spans or mapping.transcripts or mapping.outcomes or mapping.answers
    unread = {"prefix", *TEXTS} & {*mapping.columns, *mapping.constants}
    if STDIN in files:
        return "standard input can be read only once"
    kinds = None if shaped or unread or mapping.assumed else _kinds(mapping, own)
    if kinds is None:
        return f"the mapping `{mapping.name}` reads more than columns with plain values"
    found = []
    for name in files:
        table = table_of(name, kinds)
        if table is None or not all(_suits(table, mapping, *column) for column in own.values()):
            return _UNFIT.format(name)
        layout = Layout.of(table.types, table.names, mapping, start, TEXTS_ONLY, ())
        if layout is None:
            return _UNFIT.format(name)
        columns = {name: _options(table, column) for name, (column, _) in own.items()}
        found.append(WiderTable(table, layout, columns))
    return found


def _options(table: Table, column: str) -> tuple[str, ...]:
    return tuple(option for option in column.split("|") if option in table.types)


def _kinds(mapping: ColumnMapping, own: Mapping[str, OwnColumn]) -> dict[str, Kind] | None:
    """Return as what each column of a text file is asked for; None where one is asked for as two things."""
    kinds = asked_kinds(mapping, TEXTS_ONLY.attributes)
    if kinds is None:
        return None
    time: Kind = "text" if mapping.time_unit == "iso" else "whole"
    for column, asked in own.values():
        kind = time if asked == "time" else asked
        if any(kinds.setdefault(option, kind) != kind for option in column.split("|")):
            return None
    return kinds


def _suits(table: Table, mapping: ColumnMapping, column: str, kind: Kind | Literal["time"]) -> bool:
    """Return whether a column has a type that is read in columns as what it is asked for."""
    if any(option not in table.types and is_inside(option, table.names) for option in column.split("|")):
        return False
    types = [table.types[option] for option in _options(table, column)]
    if kind == "time" and types:
        whole = types[0] in _WHOLE and mapping.time_unit == "iso"
        if len(types) > 1 or mapping.relative or whole or not any(types[0] == wanted for wanted in _TYPES[kind]):
            return False
    return all(any(item == wanted for wanted in _TYPES[kind]) for item in types)
