"""Files as chunks in time order, or as rows: Parquet as it is where that is in order, else by a copy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import polars as pl

from costlens_policy.catalogue import Usage
from costlens_policy.catalogue.rates import BUCKETS
from costlens_policy.compiler.plan import Plan
from costlens_policy.frozen import frozen
from costlens_policy.replay.columns.batch import ATTRIBUTE, RECORDED, instant, others_in, recorded_in, schema_of
from costlens_policy.replay.columns.step import Job
from costlens_policy.replay.settings import Progress, Settings
from costlens_policy.replay.stream.batches import ParquetFile, TextRows, types_of
from costlens_policy.replay.stream.copy import Repeats, TimedCopy, repeated_hashes
from costlens_policy.replay.stream.layout import COUNTED, Fitting, Layout
from costlens_policy.replay.traffic.cells import PARTS
from costlens_policy.replay.traffic.mapping import ColumnMapping
from costlens_policy.replay.traffic.places import STDIN, partition_of
from costlens_policy.replay.traffic.reading import RowReader, raw_rows
from costlens_policy.replay.traffic.row import Reject, Row, StreamedTraffic

__all__ = ["Chunk", "Files", "UnsortedError", "copied_traffic"]

_ROWS: Final = 50_000
_COUNTERS: Final = (
    "notes", "zoneless", "timeless", "early", "silent", "assumed", "dropped", "beyond", "contradicted", "unread",
    "similar", "usage_notes",
)  # fmt: skip


class UnsortedError(Exception):
    """Rows read as they are turned out not to be in time order."""


@dataclass(slots=True)
class Files:
    """The files of a replay, and the reader of their rows."""

    names: tuple[str, ...]
    mapping: ColumnMapping
    plan: Plan
    settings: Settings
    attributes: tuple[str, ...]
    fitting: Fitting = field(init=False)
    tables: list[ParquetFile | None] = field(init=False)
    _every: bool = field(init=False)

    def __post_init__(self) -> None:
        tables = [self._table(name, place) for place, name in enumerate(self.names)]
        every = self._every = "usage" in self.mapping.columns and not all(tables)
        self.tables = [table and replace(table, layout=replace(table.layout, every=every)) for table in tables]
        self.restart(None)

    def _table(self, name: str, place: int) -> ParquetFile | None:
        """Return a file as a table, or None where its rows have to be read one by one. Raises ``TrafficError``."""
        if not name.lower().endswith(".parquet"):
            return None
        types, keys = types_of(name), partition_of(name)
        if not types.keys().isdisjoint(keys):
            return None  # which of two values counts is decided row by row
        every = {**types, **dict.fromkeys(keys, pl.String())}
        layout = Layout.of(every, self.mapping, self.settings.start, self.plan, self.attributes)
        return None if layout is None else ParquetFile(name, place, layout, keys)

    @property
    def in_columns(self) -> bool:
        """Whether all files can be read in columns as they are."""
        return all(self.tables)

    @property
    def rows(self) -> int:
        """How many rows the files have, where they can be read in columns."""
        return sum(table.rows for table in self.tables if table is not None)

    def restart(self, reader: Mapping[str, Any] | None) -> None:
        """Start reading, or go on with what the reader remembered."""
        rows = RowReader(self.mapping, self.plan, self.settings.start, ids=None, files=self.names)
        for name in _COUNTERS if reader is not None else ():
            value = None if reader is None else reader[name]
            setattr(rows, name, Counter(value) if name == "usage_notes" else value)
        self.fitting = Fitting(rows, self.plan, self.attributes, self.names)

    def as_they_are(self, place: tuple[int, int], reader: Mapping[str, Any] | None, read: int) -> Iterator[Chunk]:
        """Yield the rows of files that can be read in columns, from a place on.

        Raises ``TrafficError``, ``UnfitError``, and ``UnsortedError`` once a row comes before the one before it.
        """
        self.restart(reader)
        hashes = repeated_hashes(
            [ids for table in self.tables if table is not None and (ids := table.ids()) is not None]
        )
        repeats = Repeats(hashes, self.names, dict(reader["seen"]) if reader is not None else None)
        last = -(2**63) if reader is None else int(reader["last"])
        for file in range(place[0], len(self.tables)):
            table, start = self.tables[file], place[1] if file == place[0] else 0
            assert table is not None
            for batch in table.batches(start, self.fitting):
                start, read = start + batch.rows, read + batch.rows
                rejects = self.fitting.rejects()
                frame = repeats.leave_out(batch.frame, rejects)
                if frame.height:
                    if not frame["time"].is_sorted() or frame["time"][0] < last:
                        raise UnsortedError
                    last = frame["time"][-1]
                memory = {**self._memory(), "seen": repeats.seen, "last": last}
                yield Chunk(frame, (file, start), read, tuple(rejects), memory)

    def copied(self, folder: Path, progress: Progress) -> tuple[TimedCopy, list[Reject]]:
        """Read all rows into a copy that can be walked in time order; return it and the rows left out.

        Raises ``TrafficError`` and ``UnfitError``.
        """
        self.restart(None)
        copy, rejects = TimedCopy(folder, self.names, self._schema), []
        for table, name in zip(self.tables, self.names, strict=True):
            if table is not None:
                progress.start("reading", table.rows, "rows")
                for batch in table.batches(0, self.fitting):
                    copy.add(batch.frame)
                    progress.advance(batch.rows)
            else:
                for frame in self._row_by_row(name, progress):
                    copy.add(frame)
            rejects += self.fitting.rejects()
        rejects += copy.close()
        return copy, rejects

    def notes(self, late: int) -> list[str]:
        """Return the notes on the traffic."""
        return self.fitting.reader.all_notes(late)

    def _row_by_row(self, name: str, progress: Progress) -> Iterator[pl.DataFrame]:
        progress.start("reading", _size(name), "bytes")
        rows = raw_rows(name, self.fitting.reader)
        texts = None
        if not name.lower().endswith(".parquet"):
            place = self.names.index(name)
            texts = TextRows.of(name, place, self.mapping, self.settings.start, self.plan, self.attributes)
        while chunk := list(islice(rows, _ROWS)):
            yield self.fitting.take(chunk) if texts is None else texts.read(chunk, self.fitting)
            progress.advance(sum(len(row.text) + 1 for row in chunk))

    @property
    def _schema(self) -> dict[str, Any]:
        """Return the columns that batches of these files can have."""
        columns = self.mapping.columns
        buckets = BUCKETS if self._every else COUNTED if not columns.keys().isdisjoint(PARTS) else ()
        every = schema_of(self.plan, self.attributes)
        kept = {f"{RECORDED}{name}" for name in buckets}
        return {name: kind for name, kind in every.items() if not name.startswith(RECORDED) or name in kept}

    def _memory(self) -> dict[str, Any]:
        reader = self.fitting.reader
        return {name: copy(getattr(reader, name)) for name in _COUNTERS}


def _size(name: str) -> int | None:
    """Return the size of an uncompressed file in bytes; None if the size does not show how much there is to read."""
    compressed = name == STDIN or name.lower().endswith((".gz", ".zst", ".parquet"))
    return None if compressed else Path(name).stat().st_size


@frozen
class Chunk:
    """A batch, and where reading stood after it.

    ``place`` is where reading continues, ``read`` the number of rows read so far, ``rejects`` the rows left out since
    the previous chunk, and ``reader`` the state of the reader.
    """

    frame: pl.DataFrame
    place: tuple[int, int]
    read: int
    rejects: tuple[Reject, ...]
    reader: Mapping[str, Any]


@contextmanager
def copied_traffic(
    files: Sequence[str], mapping: ColumnMapping, plan: Plan, settings: Settings, attributes: tuple[str, ...],
    progress: Progress,
) -> Iterator[StreamedTraffic]:  # fmt: skip
    """Copy traffic into a temporary folder; its rows can be walked until the end.

    Raises ``TrafficError``, and ``UnfitError`` where a row fits no batch.
    """
    names = tuple(files)
    reading = Files(names, mapping, plan, settings, Job(plan, settings, attributes, names).attributes)
    with TemporaryDirectory(prefix="costlens-replay-") as folder:
        copy, rejects = reading.copied(Path(folder), progress)
        rows = _CopiedRows(copy, names)
        yield StreamedTraffic(rows, tuple(rejects), names, tuple(reading.notes(copy.late)))


class _CopiedRows:
    """The rows of a copy."""

    def __init__(self, copy: TimedCopy, files: Sequence[str]) -> None:
        self._copy = copy
        self._files = files

    def __len__(self) -> int:
        return self._copy.rows

    def __iter__(self) -> Iterator[Row]:
        for frame in self._copy.batches():
            yield from _rows(frame, self._files)


def _rows(frame: pl.DataFrame, files: Sequence[str]) -> Iterator[Row]:
    attributes = [name for name in frame.columns if name.startswith(ATTRIBUTE)]
    buckets = recorded_in(frame.columns)
    for row in frame.iter_rows(named=True):
        cost = row["cost"]
        yield Row(
            files[row["file"]], row["number"], instant(row["time"]), row["id"], row["model"], row["session"],
            row["prompt"], row["output"], _recorded(row, buckets), None if cost is None else Decimal(cost), (),
            {name.removeprefix(ATTRIBUTE): row[name] for name in attributes if row[name] is not None}, {}, {},
            row["tier"], others_in(row["others"]),
        )  # fmt: skip


def _recorded(row: dict[str, Any], buckets: Sequence[str]) -> Usage | None:
    tokens = {name: row[f"{RECORDED}{name}"] for name in buckets}
    return Usage(**tokens) if tokens and None not in tokens.values() else None
