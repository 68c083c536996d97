"""Files as raw columns, in the order of their rows, beside the rows that only the reader of rows understands.

A ``Table`` gives what stands in a file; which column is which field, and whether a row is plainly right, is the matter
of a ``Layout``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, Protocol, TypeAlias

import polars as pl

from costlens_policy.frozen import frozen
from costlens_policy.replay.traffic.copies import local
from costlens_policy.replay.traffic.places import partition_of
from costlens_policy.replay.traffic.reading import FileCheck
from costlens_policy.replay.traffic.row import TrafficError
from costlens_policy.replay.traffic.sources import RawRow

__all__ = ["BATCH", "TYPES", "Kind", "ParquetTable", "RawBatch", "Table", "with_keys"]

BATCH: Final = 100_000

Kind: TypeAlias = Literal["text", "whole", "amount", "number", "truth", "word", "nothing"]
"""What a column of a text file is asked for as: a ``word`` is a text, boolean or integer by the text of any of them.

``nothing`` is a column that is read only by the reader of rows.
"""
TYPES: Final[Mapping[Kind, Any]] = {
    "text": pl.String, "whole": pl.Int64, "amount": pl.String, "number": pl.Float64, "truth": pl.Boolean,
    "word": pl.String, "nothing": pl.Null,
}  # fmt: skip
"""The types of their columns."""


@frozen
class RawBatch:
    """Rows of a file.

    ``frame`` has those in columns, ``numbers`` their numbers in the file, null where a row is not plainly right, and
    ``row`` gives one by its place in the frame as the reader of rows would. ``others`` are rows beside these. ``size``
    is how much of the file it was, in rows or in bytes, as its table counts.
    """

    frame: pl.DataFrame
    numbers: pl.Series
    row: Callable[[int], RawRow]
    others: Sequence[RawRow]
    size: int


class Table(Protocol):
    """A file that can be read in columns."""

    @property
    def name(self) -> str: ...
    @property
    def types(self) -> Mapping[str, Any]:
        """The types of the columns that batches may have."""

    @property
    def names(self) -> Collection[str]:
        """The columns that the file has, as far as that shows before it is read."""

    @property
    def size(self) -> int | None:
        """How much there is to read; None if only reading shows it."""

    @property
    def unit(self) -> str:
        """What ``size`` counts."""

    def batches(self, start: int, check: FileCheck) -> Iterator[RawBatch]:
        """Yield the rows of the file after the first so many. Raises ``TrafficError``."""


def with_keys(frame: pl.DataFrame, keys: Mapping[str, str | None]) -> pl.DataFrame:
    """Return a frame with the columns that a path names."""
    return frame.with_columns(pl.lit(value, pl.String).alias(name) for name, value in keys.items()) if keys else frame


@frozen
class ParquetTable:
    """A Parquet file. ``keys`` are the columns that the path names and the file does not have."""

    name: str
    types: Mapping[str, Any]
    keys: Mapping[str, str | None]

    @classmethod
    def of(cls, name: str) -> ParquetTable | None:
        """Return a file as a table; None where which of two values counts is decided row by row.

        Raises ``TrafficError``.
        """
        try:
            types = dict(pl.read_parquet_schema(local(name)))
        except (OSError, pl.exceptions.PolarsError) as error:
            raise _unreadable(name, error) from error
        keys = partition_of(name)
        if not types.keys().isdisjoint(keys):
            return None
        return cls(name, {**types, **dict.fromkeys(keys, pl.String())}, keys)

    @property
    def names(self) -> Collection[str]:
        return self.types

    @property
    def size(self) -> int:
        return int(self.scan().select(pl.len()).collect().item())

    @property
    def unit(self) -> str:
        return "rows"

    def scan(self) -> pl.LazyFrame:
        """Return the columns of the file, and beside them those that its path names."""
        scan = pl.scan_parquet(local(self.name), glob=False, hive_partitioning=False)
        keys = self.keys
        return scan.with_columns(pl.lit(value, pl.String).alias(name) for name, value in keys.items()) if keys else scan

    def batches(self, start: int, check: FileCheck) -> Iterator[RawBatch]:
        """Yield the rows after the first so many."""
        before = start
        try:
            chunks = self.scan().slice(start, None).collect_batches(chunk_size=BATCH, maintain_order=True)
            for raw in filter(len, chunks):
                if not before:
                    check.look(self._row(raw, 0, 0).fields)
                yield self._batch(raw, before)
                before += raw.height
        except pl.exceptions.PolarsError as error:
            raise _unreadable(self.name, error) from error
        if not start:
            check.end()

    def _batch(self, raw: pl.DataFrame, before: int) -> RawBatch:
        numbers = pl.int_range(before + 1, before + raw.height + 1, dtype=pl.Int64, eager=True)
        return RawBatch(raw, numbers, lambda place: self._row(raw, place, before), (), raw.height)

    def _row(self, raw: pl.DataFrame, place: int, before: int) -> RawRow:
        return RawRow(self.name, before + 1 + place, raw.row(place, named=True))


def _unreadable(name: str, error: Exception) -> TrafficError:
    return TrafficError(f"`{name}` cannot be read as Parquet: {' '.join(str(error).split())[:200]}")
