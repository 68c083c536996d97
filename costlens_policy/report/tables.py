"""Files of logs that a report can read in columns, and which of their columns it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from costlens_policy.replay import ColumnMapping
from costlens_policy.replay.stream.layout import Layout, asked_kinds, is_inside
from costlens_policy.replay.stream.reading import table_of
from costlens_policy.replay.stream.tables import Kind, Table
from costlens_policy.replay.traffic.places import STDIN
from costlens_policy.replay.traffic.reading import TEXTS_ONLY

if TYPE_CHECKING:
    from costlens_policy.report.traffic import Extras

__all__ = ["columns_of", "tables_for"]

_KINDS: Final[Mapping[str, Kind]] = {
    "latency_ms": "amount", "latency_s": "amount", "denied": "word", "baseline_cost": "amount",
}  # fmt: skip
"""As what columns are asked for that only reports read; labels are texts, and ``end_time`` is what ``time`` is."""
_TEXTS: Final = (pl.String, pl.Categorical, pl.Enum)
_WHOLE: Final = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32)
_TYPES: Final[Mapping[Kind, tuple[Any, ...]]] = {
    "text": (*_TEXTS, *_WHOLE, pl.Null), "amount": (*_TEXTS, *_WHOLE, pl.Float64, pl.Null),
    "word": (*_TEXTS, *_WHOLE, pl.Boolean, pl.Null), "whole": (pl.Datetime, *_WHOLE),
}  # fmt: skip
_OWN: Final = (*_KINDS, "end_time")


def tables_for(
    files: Sequence[str], mapping: ColumnMapping, extras: Extras, start: datetime
) -> list[tuple[Table, Layout]] | None:
    """Return files as tables with their layouts; None where one has to be read row by row. Raises ``TrafficError``."""
    shaped = mapping.drop or mapping.spans or mapping.transcripts or mapping.outcomes or mapping.answers
    unread = {"prefix", "request.prompt", "request.messages"} & {*mapping.columns, *mapping.constants}
    if shaped or unread or mapping.assumed or STDIN in files or not extras.constants.keys().isdisjoint(_OWN):
        return None
    kinds = _kinds(mapping, extras)
    if kinds is None:
        return None
    found = []
    for name in files:
        table = table_of(name, kinds)
        if table is None or not _suits(table, mapping, extras):
            return None
        layout = Layout.of(table.types, table.names, mapping, start, TEXTS_ONLY, ())
        if layout is None:
            return None
        found.append((table, layout))
    return found


def columns_of(table: Table, extras: Extras) -> dict[str, tuple[str, ...]]:
    """Return the columns of a file that only reports read, by field."""
    return {
        name: tuple(option for option in column.split("|") if option in table.types)
        for name, column in _read(extras).items()
    }


def _read(extras: Extras) -> dict[str, str]:
    names = {*_OWN, *extras.dimensions} - {"model"}
    return {name: column for name, column in extras.columns.items() if name in names}


def _kind(name: str, mapping: ColumnMapping) -> Kind:
    if name == "end_time":
        return "text" if mapping.time_unit == "iso" else "whole"
    return _KINDS.get(name, "text")


def _kinds(mapping: ColumnMapping, extras: Extras) -> dict[str, Kind] | None:
    """Return as what each column of a text file is asked for; None where one is asked for as two things."""
    kinds = asked_kinds(mapping, TEXTS_ONLY.attributes)
    if kinds is None:
        return None
    for name, column in _read(extras).items():
        kind = _kind(name, mapping)
        if any(kinds.setdefault(option, kind) != kind for option in column.split("|")):
            return None
    return kinds


def _suits(table: Table, mapping: ColumnMapping, extras: Extras) -> bool:
    """Return whether what only reports read has types that are read in columns."""
    for name, column in _read(extras).items():
        options = column.split("|")
        if any(option not in table.types and is_inside(option, table.names) for option in options):
            return False
        types = [table.types[option] for option in options if option in table.types]
        kind = _kind(name, mapping)
        if name == "end_time" and types:
            if len(types) > 1 or mapping.relative or (types[0] in _WHOLE and mapping.time_unit == "iso"):
                return False
            kind = "text" if types[0] in _TEXTS else "whole"
        if not all(any(item == wanted for wanted in _TYPES[kind]) for item in types):
            return False
    return True
