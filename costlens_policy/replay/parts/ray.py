"""Replay on Ray Data. Needs the extra ``ray``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import polars as pl

from costlens_policy.compiler.plan import Plan
from costlens_policy.replay.parts.exchange import (
    MOST_SPREAD,
    as_arrow,
    from_arrow,
    known_spread,
    outcome_schema,
    schema_for,
    spread_ids,
)
from costlens_policy.replay.parts.gather import gather
from costlens_policy.replay.parts.prepare import prepare
from costlens_policy.replay.parts.share import replay_parts
from costlens_policy.replay.parts.task import PART, REPORT, Task, task_of
from costlens_policy.replay.result import Result
from costlens_policy.replay.settings import Settings
from costlens_policy.replay.stream.tables import BATCH
from costlens_policy.replay.traffic.mapping import ColumnMapping
from costlens_policy.replay.traffic.reading import RowReader
from costlens_policy.replay.traffic.row import TrafficError

if TYPE_CHECKING:
    import pyarrow as pa
    from ray.data import Dataset

__all__ = ["by_block", "checked", "replay_ray", "usual_parts", "with_columns"]

_BUCKET: Final = "_bucket"
_PROBLEM: Final = "_problem"


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
    dataset, columns = with_columns(dataset)
    task = task_of(plan, mapping, settings or Settings(), "the dataset", columns, parts or usual_parts(), place)
    checked = by_block(dataset, task.reader)
    prepared = checked.map_batches(_preparing(task), batch_format="pyarrow", batch_size=BATCH)
    prepared = prepared.materialize() if task.can_spread else prepared
    spread = _spread(task, prepared) if task.can_spread else {}
    groups = prepared.groupby(PART, num_partitions=task.parts)
    shared = groups.map_groups(_replaying(task, spread), batch_format="pyarrow")
    return gather(task, ((row[PART], row[REPORT]) for row in shared.take_all()))


def usual_parts() -> int:
    """Return how many tasks the cluster runs at once."""
    import ray

    return max(int(ray.cluster_resources().get("CPU", 1)), 1)


def with_columns(dataset: Dataset) -> tuple[Dataset, list[str]]:
    """Return a dataset with its columns. Where only reading shows these, as after a shuffle, it is read once, here."""
    columns = dataset.columns(fetch_if_missing=False)
    if columns is not None:
        return dataset, list(columns)
    dataset = dataset.materialize()
    return dataset, list(dataset.columns() or ())


def by_block(dataset: Dataset, reader: Callable[[], RowReader]) -> Dataset:
    """Return a dataset with a column that says what is wrong with the columns of a block; null where nothing is.

    Blocks are looked at as they are, since Ray fills up what a block lacks when it makes batches of a size of them.
    """

    def run(table: pa.Table) -> pa.Table:
        problem, rows = None, pl.DataFrame(table.slice(0, 1)).to_dicts()
        if rows:
            try:
                reader().check_columns(rows[0])
            except TrafficError as error:
                problem = str(error)
        return table.append_column(_PROBLEM, pl.repeat(problem, table.num_rows, dtype=pl.String, eager=True).to_arrow())

    return dataset.map_batches(run, batch_format="pyarrow", batch_size=None)


def checked(table: pa.Table) -> pa.Table:
    """Return a batch without the column of ``by_block``. Raises ``TrafficError`` where that has a problem."""
    for problem in pl.Series(table.column(_PROBLEM)).drop_nulls().head(1):
        raise TrafficError(problem)
    return table.drop_columns([_PROBLEM])


def _spread(task: Task, prepared: Dataset) -> dict[str, int]:
    """Return the ids with rows in several parts, each with the part that counts."""
    types = {**{name: task.schema[name] for name in task.order}, _BUCKET: pl.Int32}
    count = task.parts

    def by_id(table: pa.Table) -> pa.Table:
        frame = from_arrow(table).select(task.order).filter(pl.col("id").is_not_null())
        bucket = (frame["id"].hash() % count).cast(pl.Int32).alias(_BUCKET)
        return as_arrow(frame.with_columns(bucket), schema_for(types))

    def split(table: pa.Table) -> pa.Table:
        return as_arrow(spread_ids(task, from_arrow(table)), schema_for({"id": pl.String, PART: pl.Int32}))

    ids = prepared.map_batches(by_id, batch_format="pyarrow", batch_size=BATCH)
    found = ids.groupby(_BUCKET, num_partitions=count).map_groups(split, batch_format="pyarrow")
    return known_spread(task, ((row["id"], row[PART]) for row in found.take(MOST_SPREAD + 1)))


def _preparing(task: Task) -> Callable[[pa.Table], pa.Table]:
    def run(table: pa.Table) -> pa.Table:
        return as_arrow(pl.concat(list(prepare(task, map(checked, [table])))), schema_for(task.schema))

    return run


def _replaying(task: Task, spread: dict[str, int]) -> Callable[[pa.Table], pa.Table]:
    def run(table: pa.Table) -> pa.Table:
        return as_arrow(pl.concat(list(replay_parts(task, [from_arrow(table)], spread))), outcome_schema())

    return run
