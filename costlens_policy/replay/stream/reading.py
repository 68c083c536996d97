"""Files as chunks in time order, or as rows: as they are where that is in order, else by a copy."""

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
from costlens_policy.replay.stream.copy import FreshIds, Repeats, TimedCopy, repeated_hashes, without_refused
from costlens_policy.replay.stream.csv_columns import CsvTable
from costlens_policy.replay.stream.json_columns import JsonTable
from costlens_policy.replay.stream.layout import COUNTED, Fitting, Layout, asked_kinds
from costlens_policy.replay.stream.tables import Kind, ParquetTable, Table
from costlens_policy.replay.stream.text_rows import TextRows
from costlens_policy.replay.traffic.cells import PARTS
from costlens_policy.replay.traffic.copies import local
from costlens_policy.replay.traffic.mapping import ColumnMapping
from costlens_policy.replay.traffic.places import kind_of, size_of
from costlens_policy.replay.traffic.reading import FileCheck, RowReader, raw_rows
from costlens_policy.replay.traffic.row import Reject, Row, StreamedTraffic

__all__ = ["Chunk", "Files", "TableFile", "UnsortedError", "copied_traffic", "table_of"]

_ROWS: Final = 50_000
_COUNTERS: Final = (
    "notes", "zoneless", "timeless", "early", "silent", "assumed", "dropped", "beyond", "contradicted", "unread",
    "similar", "usage_notes",
)  # fmt: skip


class UnsortedError(Exception):
    """Rows read as they are turned out not to be in time order, or to repeat an id."""


@frozen
class TableFile:
    """A file that is read in columns: what it holds, and which columns are which field."""

    table: Table
    file: int
    layout: Layout

    @property
    def is_text(self) -> bool:
        """Whether it is read from its beginning only."""
        return not isinstance(self.table, ParquetTable)

    def ids(self) -> pl.LazyFrame | None:
        """Return the hashes of the rows' ids, or None where rows have none. Only for Parquet."""
        ids = self.layout.text("id")
        if ids is None or not isinstance(self.table, ParquetTable):
            return None
        return self.table.scan().select(ids.drop_nulls().hash().alias("id"))

    def batches(self, start: int, fitting: Fitting) -> Iterator[tuple[pl.DataFrame, int]]:
        """Yield the rows after the first so many as batches, and how much of the file each was.

        Raises ``TrafficError`` and ``UnfitError``.
        """
        for raw in self.table.batches(start, FileCheck(self.table.name, fitting.reader)):
            yield self.layout.read(raw, self.file, fitting), raw.size


def table_of(name: str, kinds: Mapping[str, Kind] | None) -> Table | None:
    """Return a file as a table, or None where its rows have to be read one by one. Raises ``TrafficError``.

    ``kinds`` are as what columns of text files are asked for; None where that is not clear.
    """
    if local(name).lower().endswith(".parquet"):
        return ParquetTable.of(name)
    kind = kind_of(name)
    if kinds is None or kind not in ("csv", "json"):
        return None
    return CsvTable.of(name, kinds) if kind == "csv" else JsonTable.of(name, kinds)


@dataclass(slots=True)
class Files:
    """The files of a replay, and the reader of their rows."""

    names: tuple[str, ...]
    mapping: ColumnMapping
    plan: Plan
    settings: Settings
    attributes: tuple[str, ...]
    fitting: Fitting = field(init=False)
    tables: list[TableFile | None] = field(init=False)
    _every: bool = field(init=False)

    def __post_init__(self) -> None:
        kinds = asked_kinds(self.mapping, self.plan.attributes)
        tables = [self._table(name, place, kinds) for place, name in enumerate(self.names)]
        beside = any(table is None or table.is_text for table in tables)
        every = self._every = "usage" in self.mapping.columns and beside
        self.tables = [table and replace(table, layout=replace(table.layout, every=every)) for table in tables]
        self.restart(None)

    def _table(self, name: str, place: int, kinds: Mapping[str, Kind] | None) -> TableFile | None:
        if self.mapping.drop or self.mapping.spans or self.mapping.transcripts:
            return None
        table = table_of(name, kinds)
        if table is None:
            return None
        start = self.settings.start
        layout = Layout.of(table.types, table.names, self.mapping, start, self.plan, self.attributes)
        return None if layout is None else TableFile(table, place, layout)

    @property
    def in_columns(self) -> bool:
        """Whether all files can be read in columns as they are."""
        return all(self.tables)

    @property
    def resumable(self) -> bool:
        """Whether reading can go on in the middle of files."""
        return not any(table is None or table.is_text for table in self.tables)

    @property
    def rows(self) -> int | None:
        """How many rows the files have, if that is known before they are read."""
        tables = [table.table for table in self.tables if table is not None]
        return sum(table.size or 0 for table in tables) if self.resumable else None

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
        repeats = self._repeats(None if reader is None else dict(reader["seen"]))
        fresh = None if self.resumable else FreshIds()
        last = -(2**63) if reader is None else int(reader["last"])
        for file in range(place[0], len(self.tables)):
            table, start = self.tables[file], place[1] if file == place[0] else 0
            assert table is not None
            for whole, size in table.batches(start, self.fitting):
                rejects, refused = self.fitting.rejects(), self.fitting.refusals()
                start, read = start + size, read + (size if fresh is None else whole.height + len(rejects))
                frame = repeats.leave_out(whole, rejects)
                if fresh is not None and not fresh.add(frame):
                    raise UnsortedError
                if frame.height:
                    if not frame["time"].is_sorted() or frame["time"][0] < last:
                        raise UnsortedError
                    last = frame["time"][-1]
                frame = without_refused(frame, refused, rejects, self.names)
                memory = {**self._memory(), "seen": repeats.seen, "last": last}
                yield Chunk(frame, (file, start), read, tuple(rejects), memory)

    def _repeats(self, seen: dict[str, str] | None) -> Repeats:
        """Return what leaves out rows with repeated ids, where these can be looked for before rows are read."""
        tables = self.tables if self.resumable else ()
        ids = [ids for table in tables if table is not None and (ids := table.ids()) is not None]
        return Repeats(repeated_hashes(ids), self.names, seen)

    def copied(self, folder: Path, progress: Progress) -> tuple[TimedCopy, list[Reject]]:
        """Read all rows into a copy that can be walked in time order; return it and the rows left out.

        Raises ``TrafficError`` and ``UnfitError``.
        """
        self.restart(None)
        copy, rejects = TimedCopy(folder, self.names, self._schema), []
        for table, name in zip(self.tables, self.names, strict=True):
            if table is not None:
                progress.start("reading", table.table.size, table.table.unit)
                for frame, size in table.batches(0, self.fitting):
                    copy.add(frame, self.fitting.refusals())
                    progress.advance(size)
            else:
                for frame in self._row_by_row(name, progress):
                    copy.add(frame, self.fitting.refusals())
            rejects += self.fitting.rejects()
        rejects += copy.close()
        return copy, rejects

    def notes(self, late: int) -> list[str]:
        """Return the notes on the traffic."""
        return self.fitting.reader.all_notes(late)

    def _row_by_row(self, name: str, progress: Progress) -> Iterator[pl.DataFrame]:
        progress.start("reading", size_of(name), "bytes")
        rows = raw_rows(name, self.fitting.reader)
        texts = None
        if not local(name).lower().endswith(".parquet"):
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
