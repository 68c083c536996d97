"""What passes between the workers of an engine: Arrow tables whose columns have the same types on each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from costlens_policy.replay.columns.step import ArrowStream
from costlens_policy.replay.parts.share import OUTCOME
from costlens_policy.replay.parts.task import PART, Task
from costlens_policy.replay.traffic.row import MergeError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["as_arrow", "from_arrow", "outcome_schema", "refuse_stray", "schema_for", "split_ids"]

_DOT: Final = "/"
"""In the place of dots in names, which Spark takes for paths."""


def schema_for(types: Mapping[str, Any]) -> pa.Schema:
    """Return Polars' types of columns as an Arrow schema, with names and strings as every engine takes them."""
    import pyarrow as pa

    made = {
        pl.Int32: pa.int32(), pl.Int64: pa.int64(), pl.Float64: pa.float64(), pl.Boolean: pa.bool_(),
        pl.String: pa.string(),
    }  # fmt: skip
    return pa.schema([(name.replace(".", _DOT), made[kind]) for name, kind in types.items()])


def outcome_schema() -> pa.Schema:
    """Return the schema of what a part becomes."""
    return schema_for(OUTCOME)


def as_arrow(frame: pl.DataFrame, schema: pa.Schema) -> pa.Table:
    """Return a frame as an Arrow table of a schema that ``schema_for`` made."""
    named = frame.rename({name: name.replace(".", _DOT) for name in frame.columns})
    return named.select(schema.names).to_arrow().cast(schema)


def from_arrow(data: ArrowStream) -> pl.DataFrame:
    """Return what ``as_arrow`` made as a frame."""
    frame = pl.DataFrame(data)
    return frame.rename({name: name.replace(_DOT, ".") for name in frame.columns})


def split_ids(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the ids of prepared rows that lie in several parts: ``frame`` has ``id`` and the part of each row."""
    counted = frame.filter(pl.col("id").is_not_null()).group_by("id").agg(pl.col(PART).n_unique().alias("parts"))
    return counted.filter(pl.col("parts") > 1).select("id").head(1)


def refuse_stray(task: Task, ids: list[str]) -> None:
    """Raise ``MergeError`` where an id lies in several parts: only one of its rows would have to count."""
    if ids:
        by = ", ".join(f"`{column.attribute}`" for column in task.sharing.columns) or "time"
        raise MergeError(
            f"id `{ids[0]}` occurs in several parts, which are by {by}: of rows with one id only the first counts; "
            "remove the others, or set `parts=1`"
        )
