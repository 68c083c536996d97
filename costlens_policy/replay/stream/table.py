"""A Parquet file read in columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from costlens_policy.replay.stream.fitting import Fitting
from costlens_policy.replay.stream.layout import Layout
from costlens_policy.replay.traffic.errors import TrafficError
from costlens_policy.replay.traffic.sources import RawRow

__all__ = ["BATCH", "Read", "Table", "types_of"]

BATCH: Final = 100_000


@dataclass(frozen=True, slots=True)
class Read:
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


@dataclass(frozen=True, slots=True)
class Table:
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

    def batches(self, start: int, fitting: Fitting) -> Iterator[Read]:
        """Yield the rows from one on as batches, in the order of the file.

        Raises ``TrafficError`` and ``UnfitError``.
        """
        before, asked = start, fitting.reader.asked(self.name)
        try:
            chunks = self._scan().slice(start, None).collect_batches(chunk_size=BATCH, maintain_order=True)
            for raw in filter(len, chunks):
                if not before:
                    asked.look(self._row(raw, 0, 0).fields)
                    fitting.reader.examine()
                    asked.check()
                    fitting.reader.note_unread(asked)
                yield Read(self._read(raw, before, fitting), raw.height)
                before += raw.height
        except pl.exceptions.PolarsError as error:
            raise _unreadable(self.name, error) from error
        if not before:
            fitting.reader.notes.append(f"`{self.name}` holds no row")

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
