"""The first half of a worker's task: its rows as columns of the job, each with the part that it belongs to."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import polars as pl

from costlens_policy.replay.columns.step import ArrowStream
from costlens_policy.replay.parts.task import PART, REFUSED, REPORT, Task
from costlens_policy.replay.stream.layout import Fitting, Layout, UnfitError
from costlens_policy.replay.stream.tables import BATCH, RawBatch
from costlens_policy.replay.traffic.reading import FileCheck
from costlens_policy.replay.traffic.recognition import MASK
from costlens_policy.replay.traffic.row import Reject, TrafficError
from costlens_policy.replay.traffic.sources import RawRow

__all__ = ["COUNTERS", "MOST_REJECTS", "frames_of", "gathered", "prepare"]

COUNTERS: Final = (
    "zoneless", "timeless", "early", "silent", "assumed", "dropped", "beyond", "contradicted",
)  # fmt: skip
"""What a reader counts, and its notes are made of."""
MOST_REJECTS: Final = 10_000
"""As many rows that were left out go with the report of a worker; more are counted."""


def prepare(task: Task, batches: Iterable[ArrowStream]) -> Iterator[pl.DataFrame]:
    """Yield the rows of a worker as columns of ``task.schema``, and at the end what was left out and noted.

    Columns that are not as the mapping needs them end it: the problem is reported, as engines wrap what workers raise.
    """
    worker = _Worker(task)
    try:
        for frame in gathered(batches):
            yield worker.take(frame)
    except TrafficError as error:
        yield worker.row({"problem": str(error)})
    else:
        yield worker.report()


def frames_of(batch: ArrowStream) -> Iterator[pl.DataFrame]:
    """Yield Arrow data as frames of bounded size, none of them empty."""
    frame = batch if isinstance(batch, pl.DataFrame) else pl.DataFrame(batch)
    yield from frame.iter_slices(BATCH) if frame.height else ()


def gathered(batches: Iterable[ArrowStream]) -> Iterator[pl.DataFrame]:
    """Yield batches as frames of bounded size, small ones with the same columns together."""
    held: list[pl.DataFrame] = []
    rows = 0
    for frame in (frame for batch in batches for frame in frames_of(batch)):
        if held and (rows + frame.height > BATCH or frame.schema != held[0].schema):
            yield pl.concat(held)
            held, rows = [], 0
        held.append(frame)
        rows += frame.height
    if held:
        yield pl.concat(held)


class _Worker:
    """Reads batches one after the other. Of rows that are plainly right, columns are taken; others are read alone."""

    def __init__(self, task: Task) -> None:
        self._task = task
        reader = task.reader()
        self._fitting = Fitting(reader, task.plan, task.job.attributes, (task.name,))
        self._types: Mapping[str, Any] = {}
        self._layout: Layout | None = None
        self._before = 0
        self._rows = 0
        self._rejects: list[Reject] = []
        self._rejected = 0

    def take(self, raw: pl.DataFrame) -> pl.DataFrame:
        """Return a batch of raw columns as prepared rows."""
        self._look(raw)
        numbers = self._numbers(raw)
        batch = RawBatch(raw, numbers, lambda place: self._row(raw, numbers, place), (), raw.height)
        try:
            if self._layout is None:
                frame = self._fitting.take(map(batch.row, range(raw.height)))
            else:
                frame = self._layout.read(batch, 0, self._fitting)
        except UnfitError as error:
            raise TrafficError(f"row {error} cannot be held by a batch; use `replay_files`") from error
        self._before += raw.height
        self._rows += frame.height
        rejects = self._fitting.rejects()
        self._rejected += len(rejects)
        self._rejects += rejects[: MOST_REJECTS - len(self._rejects)]
        parts = self._task.sharing.parts_of(frame, self._task.parts)
        return self._shaped(self._marked(frame)).with_columns(parts.alias(PART))

    def _marked(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Add why rows are refused, as only who knows all ids can say which of them are repeats."""
        found = {item.number: json.dumps([item.file, item.number, item.problem, item.text])
                 for item in self._fitting.refusals()}  # fmt: skip
        if not found:
            return frame
        return frame.with_columns(pl.col("number").replace_strict(found, default=None, return_dtype=pl.String)
                                  .alias(REFUSED))  # fmt: skip

    def report(self) -> pl.DataFrame:
        """Return what was left out and noted."""
        reader = self._fitting.reader
        known = {name: getattr(reader, name) for name in COUNTERS}
        found = {
            "read": self._before, "rows": self._rows, "rejected": self._rejected, "counted": known,
            "rejects": [[item.file, item.number, item.problem, item.text] for item in self._rejects],
            "notes": reader.notes, "unread": reader.unread, "similar": reader.similar,
            "usage_notes": dict(Counter(reader.usage_notes)),
        }  # fmt: skip
        return self.row(found)

    def row(self, found: Mapping[str, Any]) -> pl.DataFrame:
        """Return a single row, of part 0, that is a report."""
        row = pl.DataFrame({REPORT: [json.dumps(found)], PART: [0]}, schema={REPORT: pl.String, PART: pl.Int32})
        return self._shaped(row)

    def _look(self, raw: pl.DataFrame) -> None:
        types = dict(raw.schema)
        if types == self._types:
            return
        task, self._types = self._task, types
        check = FileCheck(task.name, self._fitting.reader)
        check.look(raw.row(0, named=True))
        check.end()
        _check_masks(task, raw)
        self._layout = Layout.of(
            types, types, task.mapping, task.settings.start, task.plan, task.job.attributes
        )  # fmt: skip

    def _numbers(self, raw: pl.DataFrame) -> pl.Series:
        place = self._task.place
        if place is None:
            return pl.int_range(self._before + 1, self._before + raw.height + 1, dtype=pl.Int64, eager=True)
        if place not in raw.columns or not raw.schema[place].is_integer() or raw[place].null_count():
            raise TrafficError(f"column `{place}` must have an integer in every row, as rows are put in order by it")
        return raw[place].cast(pl.Int64)

    def _row(self, raw: pl.DataFrame, numbers: pl.Series, place: int) -> RawRow:
        return RawRow(self._task.name, numbers[place], raw.row(place, named=True))

    def _shaped(self, frame: pl.DataFrame) -> pl.DataFrame:
        for name in self._task.absent.intersection(frame.columns):
            if frame[name].null_count() < frame.height:
                raise TrafficError(f"`{self._task.name}` has values for `{name}`, but no column for it in its schema")
        return frame.select(
            pl.col(name).cast(kind) if name in frame.columns else pl.lit(None, kind).alias(name)
            for name, kind in self._task.schema.items()
        )


def _check_masks(task: Task, raw: pl.DataFrame) -> None:
    """Refuse attributes that a log has masked: no rule would match what stands for them."""
    for name in raw.columns:
        masked = name.startswith("request.") and raw.schema[name] == pl.String and task.mapping.requests
        if masked and raw[name].str.contains(f"^{MASK.pattern}$").any():
            raise TrafficError(f"column `{name}` has masked values; map the attributes that rules may read")
