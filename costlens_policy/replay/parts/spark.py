"""Replay on Spark, with its DataFrame API alone. Needs the extra ``spark``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from costlens_policy.compiler.plan import Plan
from costlens_policy.replay.parts.exchange import (
    MOST_SPREAD,
    as_arrow,
    from_arrow,
    known_spread,
    outcome_schema,
    schema_for,
)
from costlens_policy.replay.parts.gather import gather
from costlens_policy.replay.parts.prepare import prepare
from costlens_policy.replay.parts.share import replay_parts
from costlens_policy.replay.parts.task import PART, REPORT, Task, task_of
from costlens_policy.replay.result import Result
from costlens_policy.replay.settings import Settings
from costlens_policy.replay.traffic.mapping import ColumnMapping

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

__all__ = ["replay_spark", "usual_parts"]

_PARTS: Final = 16
_NAMES: Final = {"int32": "int", "int64": "bigint", "double": "double", "bool": "boolean", "string": "string"}


def replay_spark(
    frame: DataFrame,
    plan: Plan,
    mapping: ColumnMapping | str = "plain",
    settings: Settings | None = None,
    *,
    parts: int | None = None,
    place: str | None = None,
) -> Result:
    """Replay a data frame on Spark's workers: every figure, alert and reject is that of one machine.

    The rows may be in any order and lie anywhere. They are read once, as far as ``mapping`` asks for them, exchanged by
    what the policy set needs to stay together, and replayed in time order; those of one moment in the order of
    ``place``, a column of whole numbers that tells rows apart, or else of their ids. ``parts`` is over how many parts
    they are shared out at most, Spark's own parallelism by default.

    Raises ``TrafficError`` as ``replay_arrow`` does, and ``MergeError`` where a session lies in several parts.
    """
    task = task_of(
        plan, mapping, settings or Settings(), "the data frame", frame.columns, parts or usual_parts(frame), place
    )
    prepared = frame.mapInArrow(_preparing(task), _ddl(schema_for(task.schema)))
    prepared = prepared.persist() if task.can_spread else prepared
    try:
        spread = _spread(task, prepared) if task.can_spread else {}
        shared = prepared.repartition(task.parts, PART).mapInArrow(_replaying(task, spread), _ddl(outcome_schema()))
        return gather(task, ((row[PART], row[REPORT]) for row in shared.collect()))
    finally:
        if task.can_spread:
            prepared.unpersist()


def usual_parts(frame: DataFrame) -> int:
    """Return how many tasks the session runs at once; where that is not told, as over Spark Connect, a constant."""
    try:
        return int(frame.sparkSession.sparkContext.defaultParallelism)
    except Exception:  # what it raises depends on the kind of session
        return _PARTS


def _spread(task: Task, prepared: DataFrame) -> dict[str, int]:
    """Return the ids with rows in several parts, each with the part that counts."""
    from pyspark.sql import functions

    ends = prepared.where("id is not null").groupBy("id").agg(
        functions.min(PART).alias("lowest"), functions.max(PART).alias("highest"),
        functions.min(functions.struct(*task.order)).alias("first"),
    )  # fmt: skip
    found = ends.where("lowest < highest").select("id", f"first.{PART}").limit(MOST_SPREAD + 1)
    return known_spread(task, ((row["id"], row[PART]) for row in found.collect()))


def _preparing(task: Task) -> Any:
    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        schema = schema_for(task.schema)
        for frame in prepare(task, batches):
            yield from as_arrow(frame, schema).to_batches()

    return run


def _replaying(task: Task, spread: dict[str, int]) -> Any:
    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        schema = outcome_schema()
        for frame in replay_parts(task, map(from_arrow, batches), spread):
            yield from as_arrow(frame, schema).to_batches()

    return run


def _ddl(schema: pa.Schema) -> str:
    return ", ".join(f"`{field.name}` {_NAMES[str(field.type)]}" for field in schema)
