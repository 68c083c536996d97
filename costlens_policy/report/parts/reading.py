"""A worker's task: its rows as a file of its own, read as any other file is, and the sums of what was read."""

from __future__ import annotations

import base64
import io
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import polars as pl

from costlens_policy.replay import TrafficError
from costlens_policy.replay.columns.step import ArrowStream
from costlens_policy.replay.parts.prepare import COUNTERS, MOST_REJECTS, gathered
from costlens_policy.replay.parts.share import packed
from costlens_policy.replay.parts.task import PART
from costlens_policy.replay.traffic.reading import RowReader
from costlens_policy.report.alike import summed_calls
from costlens_policy.report.calls import HIGH
from costlens_policy.report.parts.task import ReportTask
from costlens_policy.report.traffic import TrafficSource

__all__ = ["READER_COUNTERS", "calls_in", "sum_part"]

READER_COUNTERS: Final = (*COUNTERS, "unmeasured")
_NUMBERS: Final = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32)


def sum_part(task: ReportTask, batches: Iterable[ArrowStream]) -> str | None:
    """Return what became of a worker's rows as text, data and no code; None where it has none.

    They are copied to the disk of the worker, and those with one id are put in order. What makes a ``TrafficError`` is
    in the text, as engines wrap what workers raise.
    """
    with TemporaryDirectory(prefix="costlens-report-") as folder:
        copy = _Copy(task, Path(folder))
        try:
            for frame in gathered(batches):
                copy.add(frame)
            return packed(_summed(task, copy)) if copy.rows else None
        except TrafficError as error:
            return packed({"problem": str(error)})


class _Copy:
    """Rows of a worker on its disk, as one file in the end."""

    def __init__(self, task: ReportTask, folder: Path) -> None:
        self._task = task
        self._folder = folder
        self._files: list[Path] = []
        self._types: Mapping[str, Any] = {}
        self._reader = task.reader()
        self.parts: set[int] = set()
        self.rows = 0

    def add(self, raw: pl.DataFrame) -> None:
        """Add a batch. Raises ``TrafficError`` where it lacks a column that is read."""
        if PART in raw.columns:
            self.parts.update(raw[PART].unique().to_list())
            raw = raw.drop(PART)
        if dict(raw.schema) != self._types:
            self._types = dict(raw.schema)
            self._look(raw)
        utc = [pl.col(name).dt.convert_time_zone("UTC") for name, kind in raw.schema.items() if _has_zone(kind)]
        path = self._folder / f"{len(self._files):06}.parquet"
        raw.with_columns(utc).write_parquet(path, compression="lz4")
        self._files.append(path)
        self.rows += raw.height

    def _look(self, raw: pl.DataFrame) -> None:
        place = self._task.place
        self._reader.check_columns(raw.row(0, named=True))
        if place is not None and (place not in raw.columns or raw.schema[place] not in _NUMBERS):
            raise TrafficError(f"column `{place}` must have an integer in every row, as rows are put in order by it")

    def file(self) -> Path:
        """Return all rows as one file; those with one id are in the order of their place, or of all that they have."""
        if len(self._files) == 1 and not self._task.ids:
            return self._files[0]
        path = self._folder / "rows.parquet"
        try:
            rows = pl.concat([pl.scan_parquet(file) for file in self._files], how="diagonal_relaxed")
            if self._task.ids:
                rows = rows.sort(self._order(rows.collect_schema()), maintain_order=True)
            rows.sink_parquet(path, compression="lz4")
        except pl.exceptions.PolarsError as error:
            raise TrafficError(
                f"the columns of `{self._task.name}` have different types in different batches: {_line(error)}"
            ) from error
        return path

    def _order(self, types: Mapping[str, Any]) -> list[str]:
        if self._task.place is not None:
            return [self._task.place]
        times = self._task.mapping.columns.get("time", "").split("|")
        plain = [name for name, kind in types.items() if not kind.is_nested()]
        return sorted(plain, key=lambda name: (name not in times, name))


def _has_zone(kind: Any) -> bool:
    return isinstance(kind, pl.Datetime) and kind.time_zone is not None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _summed(task: ReportTask, copy: _Copy) -> dict[str, Any]:
    """Return the sums of all rows, and what was counted, noted and left out."""
    path = str(copy.file())
    source = task.source((path,))
    found = source.collect(task.query)
    calls = summed_calls([found.columns.close()], task.settings.zone, task.now)
    named = _Naming(task, path)
    return {
        "parts": sorted(copy.parts), "rows": copy.rows, "calls": _written(calls),
        **_counted(source), **_noted(found.reader, named),
    }  # fmt: skip


def _counted(source: TrafficSource) -> dict[str, Any]:
    return {
        "left_out": source.left_out, "counts": source.counts, "priced_as": source.priced_as,
        "unpriced": [*source.unpriced.items()], "doubts": source.doubts, "odd_latency": source.odd_latency,
        "denials": source.extras.denials_seen,
    }  # fmt: skip


def _noted(reader: RowReader, named: _Naming) -> dict[str, Any]:
    rejects = reader.rejects[:MOST_REJECTS]
    return {
        "counted": {name: getattr(reader, name) for name in READER_COUNTERS},
        "notes": [named.text(note) for note in reader.notes],
        "unread": [*reader.unread], "similar": reader.similar, "usage_notes": Counter(reader.usage_notes),
        "rejects": [[named.number(item.number), named.text(item.problem), item.text] for item in rejects],
        "unlisted": len(reader.rejects) - len(rejects),
    }  # fmt: skip


class _Naming:
    """Gives rows of a worker's file the name that the traffic has, and the number that their place says."""

    def __init__(self, task: ReportTask, path: str) -> None:
        self._name = task.name
        self._path = path
        self._places = None if task.place is None else pl.read_parquet(path, columns=[task.place]).to_series()

    def number(self, number: int) -> int:
        return number if self._places is None else int(self._places[number - 1])

    def text(self, text: str) -> str:
        rows = re.sub(
            rf"{re.escape(self._path)}:([0-9]+)", lambda row: f"{self._name}:{self.number(int(row[1]))}", text
        )
        return rows.replace(self._path, self._name)


def _written(calls: pl.DataFrame) -> str:
    """Return a frame as text; integers of 128 bits, which not every reader knows, are texts in it."""
    sink = io.BytesIO()
    calls.with_columns(pl.col(f"^.*{HIGH}$").cast(pl.String)).write_ipc(sink)
    return base64.b64encode(zlib.compress(sink.getvalue(), 1)).decode()


def calls_in(text: str) -> pl.DataFrame:
    """Return the frame of an outcome."""
    frame = pl.read_ipc(io.BytesIO(zlib.decompress(base64.b64decode(text))))
    return frame.with_columns(pl.col(f"^.*{HIGH}$").cast(pl.Int128))
