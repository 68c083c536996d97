"""Replay on Ray Data. Needs the extra ``ray``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import polars as pl

from costlens_policy.compiler.plan import Plan
from costlens_policy.replay.parts.exchange import (
    as_arrow,
    from_arrow,
    outcome_schema,
    refuse_stray,
    schema_for,
    split_ids,
)
from costlens_policy.replay.parts.gather import gather
from costlens_policy.replay.parts.prepare import prepare
from costlens_policy.replay.parts.share import replay_parts
from costlens_policy.replay.parts.task import PART, REPORT, Task, task_of
from costlens_policy.replay.result import Result
from costlens_policy.replay.settings import Settings
from costlens_policy.replay.stream.tables import BATCH
from costlens_policy.replay.traffic.mapping import ColumnMapping

if TYPE_CHECKING:
    import pyarrow as pa
    from ray.data import Dataset

__all__ = ["replay_ray"]

_BUCKET = "_bucket"


def replay_ray(
    dataset: Dataset,
    plan: Plan,
    mapping: ColumnMapping | str = "plain",
    settings: Settings | None = None,
    *,
    parts: int | None = None,
    place: str | None = None,
) -> Result:
    """Replay a dataset on Ray's workers: every figure, alert and reject is that of one machine.

    As ``replay_spark``; a worker holds the prepared rows of a part in memory, so that more ``parts`` need less of it.
    """
    import ray

    count = parts or max(int(ray.cluster_resources().get("CPU", 1)), 1)
    columns = dataset.columns() or []
    task = task_of(plan, mapping, settings or Settings(), "the dataset", columns, count, place)
    prepared = dataset.map_batches(_preparing(task), batch_format="pyarrow", batch_size=BATCH).materialize()
    if task.parts > 1 and "id" in task.mapping.columns:
        refuse_stray(task, _stray(prepared, task.parts))
    shared = prepared.groupby(PART, num_partitions=task.parts).map_groups(_replaying(task), batch_format="pyarrow")
    return gather(task, ((row[PART], row[REPORT]) for row in shared.take_all()))


def _stray(prepared: Dataset, count: int) -> list[str]:
    ids = prepared.map_batches(_by_id(count), batch_format="pyarrow")
    found = ids.groupby(_BUCKET, num_partitions=count).map_groups(_split, batch_format="pyarrow")
    return [row["id"] for row in found.take(1)]


def _by_id(count: int) -> Callable[[pa.Table], pa.Table]:
    def run(table: pa.Table) -> pa.Table:
        frame = from_arrow(table).select("id", PART).filter(pl.col("id").is_not_null())
        bucket = (frame["id"].hash() % count).cast(pl.Int32).alias(_BUCKET)
        return as_arrow(frame.with_columns(bucket), schema_for({_BUCKET: pl.Int32, "id": pl.String, PART: pl.Int32}))

    return run


def _split(table: pa.Table) -> pa.Table:
    return as_arrow(split_ids(from_arrow(table)), schema_for({"id": pl.String}))


def _preparing(task: Task) -> Callable[[pa.Table], pa.Table]:
    def run(table: pa.Table) -> pa.Table:
        return as_arrow(pl.concat(list(prepare(task, [table]))), schema_for(task.schema))

    return run


def _replaying(task: Task) -> Callable[[pa.Table], pa.Table]:
    def run(table: pa.Table) -> pa.Table:
        return as_arrow(pl.concat(list(replay_parts(task, [from_arrow(table)]))), outcome_schema())

    return run
