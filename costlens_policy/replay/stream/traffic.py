"""Traffic that is walked from a copy on disk, for whoever needs rows: one at a time, in the order of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from costlens_policy.catalogue import Usage
from costlens_policy.compiler.plan import Plan
from costlens_policy.replay.columns.batch import ATTRIBUTE, RECORDED, instant, others_in, recorded_in
from costlens_policy.replay.columns.job import Job
from costlens_policy.replay.settings import Settings
from costlens_policy.replay.stream.copy import TimedCopy
from costlens_policy.replay.stream.progress import Progress
from costlens_policy.replay.stream.reading import Files
from costlens_policy.replay.traffic.mapping import Mapping
from costlens_policy.replay.traffic.row import Row, StreamedTraffic

__all__ = ["copied_traffic"]


@contextmanager
def copied_traffic(
    files: Sequence[str], mapping: Mapping, plan: Plan, settings: Settings, attributes: tuple[str, ...],
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
