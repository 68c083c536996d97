"""Files as batches: Parquet by its columns, CSV and JSON lines by the values of their rows.

Anything that is not obviously valid is read row by row, by the reader that reports what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import polars as pl

from costlens_policy.compiler.plan import Plan
from costlens_policy.expressions import BOOL, DOUBLE, INT
from costlens_policy.frozen import frozen
from costlens_policy.replay.columns.batch import ATTRIBUTE
from costlens_policy.replay.stream.layout import PLAIN_COST, Fitting, Layout
from costlens_policy.replay.traffic.mapping import ColumnMapping
from costlens_policy.replay.traffic.places import kind_of
from costlens_policy.replay.traffic.row import TrafficError
from costlens_policy.replay.traffic.sources import RawRow

__all__ = ["BATCH", "ParquetFile", "ReadBatch", "TextRows", "types_of"]

BATCH: Final = 100_000


@frozen
class ReadBatch:
    """What could be read of so many rows of a file."""

    frame: pl.DataFrame
    rows: int


def types_of(name: str) -> dict[str, Any]:
    """Return the types of a Parquet file's columns. Raises ``TrafficError``."""
    try:
        return dict(pl.read_parquet_schema(name))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: Exception) -> TrafficError:
    return TrafficError(f"`{name}` cannot be read as Parquet: {' '.join(str(error).split())[:200]}")


@frozen
class ParquetFile:
    """A Parquet file, the place of its name among the files, and its layout."""

    name: str
    file: int
    layout: Layout
    keys: Mapping[str, str | None]
    """The columns that the path names and the file does not have."""

    @property
    def rows(self) -> int:
        """How many rows the file has."""
        return int(self._scan().select(pl.len()).collect().item())

    def ids(self) -> pl.LazyFrame | None:
        """Return the hashes of the rows' ids, or None where rows have none."""
        ids = self.layout.text("id")
        if ids is None:
            return None
        return self._scan().select(ids.drop_nulls().hash().alias("id"))

    def batches(self, start: int, fitting: Fitting) -> Iterator[ReadBatch]:
        """Yield the rows from one on as batches, in the order of the file.

        Raises ``TrafficError`` and ``UnfitError``.
        """
        before, columns = start, fitting.reader.column_check(self.name)
        try:
            chunks = self._scan().slice(start, None).collect_batches(chunk_size=BATCH, maintain_order=True)
            for raw in filter(len, chunks):
                if not before:
                    columns.look(self._row(raw, 0, 0).fields)
                    fitting.reader.examine()
                    columns.check()
                    fitting.reader.note_unread(columns)
                yield ReadBatch(self._read(raw, before, fitting), raw.height)
                before += raw.height
        except pl.exceptions.PolarsError as error:
            raise _unreadable(self.name, error) from error
        if not before:
            fitting.reader.notes.append(f"`{self.name}` contains no rows")

    def _scan(self) -> pl.LazyFrame:
        """Return the columns of the file, and beside them those that its path names."""
        scan = pl.scan_parquet(self.name, glob=False, hive_partitioning=False)
        keys = self.keys
        return scan.with_columns(pl.lit(value, pl.String).alias(name) for name, value in keys.items()) if keys else scan

    def _read(self, raw: pl.DataFrame, before: int, fitting: Fitting) -> pl.DataFrame:
        numbers = pl.int_range(before + 1, before + raw.height + 1, dtype=pl.Int64, eager=True)
        return self.layout.read(raw, self.file, numbers, lambda place: self._row(raw, place, before), fitting)

    def _row(self, raw: pl.DataFrame, place: int, before: int) -> RawRow:
        return RawRow(self.name, before + 1 + place, raw.row(place, named=True))


_Take = Callable[[Any], Any]
_ODD: Final = object()
_DIGITS: Final = 15


@frozen
class TextRows:
    """The rows of a file as columns of the types that the mapping asks for."""

    file: int
    layout: Layout
    takes: Mapping[str, tuple[_Take, Any]]
    """By column, what gives a value its type, or ``_ODD`` where that is not plainly right, and the type."""

    @classmethod
    def of(
        cls, name: str, file: int, mapping: ColumnMapping, start: datetime, plan: Plan, attributes: tuple[str, ...]
    ) -> TextRows | None:
        """Return the file's rows, or None where a mapping asks for more than columns with plain values."""
        csv = kind_of(name) == "csv"
        takes: dict[str, tuple[_Take, Any]] = {}
        for field, column in mapping.columns.items():
            for option in column.split("|"):
                if "." in option or option in takes:
                    return None
                takes[option] = _take(field, mapping, plan, csv)
        layout = Layout.of({option: kind for option, (_, kind) in takes.items()}, mapping, start, plan, attributes)
        return None if layout is None else cls(file, replace(layout, every="usage" in mapping.columns), takes)

    def read(self, chunk: Sequence[RawRow], fitting: Fitting) -> pl.DataFrame:
        """Return rows as a batch. Raises ``UnfitError``."""
        odd: set[int] = {place for place, row in enumerate(chunk) if row.problem}
        columns = {}
        for name, (take, kind) in self.takes.items():
            values = [take(row.fields.get(name)) for row in chunk]
            if _ODD in values:
                strange = [place for place, value in enumerate(values) if value is _ODD]
                odd.update(strange)
                for place in strange:
                    values[place] = None
            columns[name] = pl.Series(name, values, dtype=kind)
        numbers = [None if place in odd else row.number for place, row in enumerate(chunk)]
        series = pl.Series(numbers, dtype=pl.Int64)
        return self.layout.read(pl.DataFrame(columns), self.file, series, chunk.__getitem__, fitting)


def _take(field: str, mapping: ColumnMapping, plan: Plan, csv: bool) -> tuple[_Take, Any]:
    kind = plan.attributes[field.removeprefix(ATTRIBUTE)].type if field.startswith(ATTRIBUTE) else None
    if (field.endswith("_tokens") and kind is None) or kind == INT or (field == "time" and mapping.time_unit != "iso"):
        return (_int_of_text if csv else _int), pl.Int64
    if field == "cost":
        return (_cost_of_text if csv else _cost), pl.String
    if field == "usage":
        return _none, pl.Null
    if kind == DOUBLE:
        return (_none if csv else _float), pl.Float64
    if kind == BOOL:
        return (_none if csv else _bool), pl.Boolean
    return _text, pl.String


def _text(value: Any) -> Any:
    return value if value.__class__ is str or value is None else _ODD


def _int(value: Any) -> Any:
    if value.__class__ is int:
        return value if -(2**62) < value < 2**62 else _ODD
    return None if value is None or value == "" else _ODD


def _float(value: Any) -> Any:
    if value.__class__ is Decimal or (value.__class__ is int and -(2**53) < value < 2**53):
        return float(value)
    return value if value.__class__ is float else None if value is None or value == "" else _ODD


def _cost(value: Any) -> Any:
    """Take an amount as text, which keeps its digits."""
    if value.__class__ is int or (value.__class__ is Decimal and value.is_finite() and abs(value.adjusted()) < _DIGITS):
        return f"{value:f}" if value >= 0 else _ODD
    return None if value is None or value == "" else _ODD


def _cost_of_text(value: Any) -> Any:
    if not value:
        return None
    return value if PLAIN_COST.fullmatch(value) else _ODD


def _bool(value: Any) -> Any:
    return value if value.__class__ is bool else None if value is None or value == "" else _ODD


def _none(value: Any) -> Any:
    """Take nothing but what is absent."""
    return None if value is None or value == "" else _ODD


def _int_of_text(value: Any) -> Any:
    """Take a number that is written as Python and JSON write it."""
    if not value:
        return None
    if value.isdecimal() and value.isascii() and len(value) <= _DIGITS and (value[0] != "0" or value == "0"):
        return int(value)
    return _ODD
