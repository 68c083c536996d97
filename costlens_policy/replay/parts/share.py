"""The second half of a worker's task: all rows of a part, in time order, as one state."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from costlens_policy.replay.columns.step import ArrowStream, State, settle
from costlens_policy.replay.parts.prepare import gathered
from costlens_policy.replay.parts.task import PART, REFUSED, REPORT, Task
from costlens_policy.replay.stream.copy import Repeats, TimedCopy
from costlens_policy.replay.traffic.row import Reject
from costlens_policy.version import __version__

__all__ = ["OUTCOME", "packed", "replay_parts", "unpacked"]

OUTCOME = {PART: pl.Int32, REPORT: pl.String}
"""The columns of what a worker gives back: for a part its state, or else what a reader reported."""


def replay_parts(
    task: Task, batches: Iterable[ArrowStream], spread: Mapping[str, int] | None = None
) -> Iterator[pl.DataFrame]:
    """Yield a row for each part of which rows were given, with its state, and reports as they are.

    ``batches`` are prepared rows in any order. They are copied to the disk of the worker, so that memory is bounded.
    ``spread`` are ids with rows in several parts, each with the part whose row counts.
    """
    with TemporaryDirectory(prefix="costlens-replay-") as folder:
        copies: dict[int, TimedCopy] = {}
        for frame in gathered(batches):
            reports = frame.filter(pl.col(REPORT).is_not_null())
            if reports.height:
                yield reports.select(PART, REPORT).cast(OUTCOME)  # type: ignore[arg-type]  # types of columns
            for (part,), rows in frame.filter(pl.col(REPORT).is_null()).group_by(PART, maintain_order=True):
                _copy_of(task, copies, part, Path(folder)).add(rows)
        for part, copy in sorted(copies.items()):
            yield pl.DataFrame(
                [(part, packed(_replayed(task, copy, spread or {}, part)))], schema=OUTCOME, orient="row"
            )


def _copy_of(task: Task, copies: dict[int, TimedCopy], part: Any, folder: Path) -> TimedCopy:
    if part not in copies:
        place = folder / str(part)
        place.mkdir()
        copies[part] = TimedCopy(place, (task.name,), task.whole_schema)
    return copies[part]


def _replayed(task: Task, copy: TimedCopy, spread: Mapping[str, int], part: int) -> dict[str, Any]:
    """Return the state of a part, how many rows it had, and the rows whose id was there before."""
    state, rows = State(task.job), 0
    elsewhere = {id: f"part {other}" for id, other in spread.items() if other != part}
    hashes = pl.concat([copy.repeated(), pl.Series("id", list(elsewhere), pl.String).hash()])
    repeats, rejects = Repeats(hashes, (task.name,), elsewhere), list[Reject]()
    for frame in copy.in_order(task.ties):
        rows += frame.height
        kept = _accepted(repeats.leave_out(frame, rejects), rejects)
        if kept.height:
            state = settle(task.job, state, kept)
    for reject in rejects:
        state.sums.reject(reject)
    return {"rows": rows, "state": state.to_dict()}


def _accepted(frame: pl.DataFrame, rejects: list[Reject]) -> pl.DataFrame:
    """Return the rows that the policy set accepts; the others are added to ``rejects``."""
    refused = frame[REFUSED].drop_nulls()
    rejects += [Reject(*json.loads(text)) for text in refused]
    return (frame.filter(pl.col(REFUSED).is_null()) if len(refused) else frame).drop(REFUSED)


def packed(outcome: dict[str, Any]) -> str:
    """Return what became of a part as text: data and no code. It has no brace, with which reports begin."""
    data = json.dumps({"version": f"{__version__}, Polars {pl.__version__}", **outcome}).encode()
    return base64.b64encode(zlib.compress(data, 1)).decode()


def unpacked(text: str) -> dict[str, Any]:
    """Return what ``packed`` wrote."""
    found: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(text)))
    return found
