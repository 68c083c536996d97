"""The sums of all workers as one report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import polars as pl

from costlens_policy.replay import MergeError, TrafficError
from costlens_policy.replay.parts.share import unpacked
from costlens_policy.replay.traffic.reading import RowReader
from costlens_policy.replay.traffic.row import Reject
from costlens_policy.report.alike import summed_calls
from costlens_policy.report.calls import Columns
from costlens_policy.report.parts.reading import READER_COUNTERS, calls_in
from costlens_policy.report.parts.task import ReportTask
from costlens_policy.report.summarize import Report, summarize
from costlens_policy.report.traffic import TrafficSource

__all__ = ["gather_report"]

_AT_ONCE = 32
"""So many frames of sums are added up at once, so that only few of them are in memory."""


def gather_report(task: ReportTask, outcomes: Iterable[str | None]) -> Report:
    """Return the report on all rows. ``outcomes`` are what ``sum_part`` gave, in any order.

    Raises ``MergeError`` where workers have different versions, or rows that belong together were read by two of them,
    ``TrafficError`` for columns that are not as the mapping needs them, and ``ReportError`` where no call is left.
    """
    source = task.source((task.name,))
    reader, frames = source.reader({}), [Columns(task.query.dimensions).close()]
    parts, versions, unlisted = set[int](), set[str](), 0
    for text in filter(None, outcomes):
        found = unpacked(text)
        versions.add(found["version"])
        if "problem" in found:
            raise TrafficError(found["problem"])
        if twice := parts.intersection(found["parts"]):
            raise MergeError(f"part {min(twice)} came twice: its rows were in more than one partition of the engine")
        parts.update(found["parts"])
        frames.append(calls_in(found["calls"]))
        if len(frames) >= _AT_ONCE:
            frames = [_added(task, frames)]
        _add_counts(source, found)
        unlisted += _add_notes(task, reader, found)
    if len(versions) > 1:
        raise MergeError(f"workers must have the same version, got {' and '.join(sorted(versions))}")
    reader.rejects.sort(key=lambda item: item.number)
    report = summarize(source.read_of(_added(task, frames), reader, task.query, unlisted), task.settings)
    return replace(report, notes=(*report.notes, _described(task)))


def _added(task: ReportTask, frames: list[pl.DataFrame]) -> pl.DataFrame:
    return summed_calls(frames, task.settings.zone, task.now)


def _add_counts(source: TrafficSource, found: dict[str, Any]) -> None:
    source.left_out.update(Counter(found["left_out"]))
    source.counts.update(Counter(found["counts"]))
    source.doubts.update(Counter(found["doubts"]))
    source.unpriced.update(dict(found["unpriced"]))
    source.priced_as.update(found["priced_as"])
    source.odd_latency = min(filter(None, (source.odd_latency, found["odd_latency"])), default="")
    source.extras.saw_denials(found["denials"])


def _add_notes(task: ReportTask, reader: RowReader, found: dict[str, Any]) -> int:
    """Take over what a reader noted and left out; return how many rows it left out without listing them."""
    for name in READER_COUNTERS:
        setattr(reader, name, getattr(reader, name) + found["counted"][name])
    reader.notes[:] = sorted({*reader.notes, *found["notes"]})
    reader.unread.update(dict.fromkeys(found["unread"], task.name))
    reader.similar.update(found["similar"])
    reader.usage_notes.update(Counter(found["usage_notes"]))
    reader.rejects += (Reject(task.name, *item) for item in found["rejects"])
    unlisted: int = found["unlisted"]
    return unlisted


def _described(task: ReportTask) -> str:
    if task.whole:
        return "all rows were read in one part, as ids lie inside of columns, or are neither texts nor integers"
    if task.ids:
        named = ", ".join(f"`{name}`" for name in task.ids)
        return f"rows were shared out by {named}: of rows with one id the first counts"
    return "rows were shared out at will, since no call depends on another"
