"""Arrow data in one process: what DuckDB, Daft, Polars, PyArrow and the readers of tables and warehouses hand out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import cast

import polars as pl

from costlens_policy.compiler.plan import Plan
from costlens_policy.replay.columns.step import ArrowStream
from costlens_policy.replay.parts.gather import gather
from costlens_policy.replay.parts.prepare import frames_of, prepare
from costlens_policy.replay.parts.share import replay_parts
from costlens_policy.replay.parts.task import PART, REPORT, task_of
from costlens_policy.replay.result import Result
from costlens_policy.replay.settings import Settings
from costlens_policy.replay.traffic.mapping import ColumnMapping
from costlens_policy.replay.traffic.row import TrafficError

__all__ = ["frames_in", "replay_arrow"]


def replay_arrow(
    batches: ArrowStream | Iterable[ArrowStream],
    plan: Plan,
    mapping: ColumnMapping | str = "plain",
    settings: Settings | None = None,
    *,
    place: str | None = None,
) -> Result:
    """Replay Arrow data: a table or frame, or batches one after the other, in bounded memory and in any order.

    ``mapping`` says which column is which field, or is the name of a ready one. Rows of one moment are taken in the
    order of ``place``, a column of whole numbers that tells rows apart, or else by their ids.

    Raises ``TrafficError`` for columns that are not as the mapping needs them, and for traffic of texts, outcomes or
    prefixes, which only ``replay_files`` replays.
    """
    frames = frames_in(batches)
    first = next(frames, None)
    if first is None:
        raise TrafficError("the data has no rows")
    task = task_of(plan, mapping, settings or Settings(), "the data", first.columns, 1, place)
    prepared = prepare(task, chain([first], frames))
    found = (row for frame in replay_parts(task, prepared) for row in frame.select(PART, REPORT).iter_rows())
    return gather(task, found)


def frames_in(batches: ArrowStream | Iterable[ArrowStream]) -> Iterator[pl.DataFrame]:
    """Yield frames. A reader hands out its batches by itself; what is a table as a whole is one."""
    whole = hasattr(batches, "__arrow_c_stream__") and not hasattr(batches, "__next__")
    each = [cast(ArrowStream, batches)] if whole else cast(Iterable[ArrowStream], batches)
    for batch in each:
        yield from frames_of(batch)
