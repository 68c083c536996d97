"""What passes between the workers of an engine: Arrow tables whose columns have the same types on each of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from costlens_policy.replay.columns.step import ArrowStream
from costlens_policy.replay.parts.share import OUTCOME
from costlens_policy.replay.parts.task import PART, Task
from costlens_policy.replay.traffic.row import MergeError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MOST_SPREAD", "as_arrow", "from_arrow", "known_spread", "outcome_schema", "schema_for", "spread_ids"]

MOST_SPREAD: Final = 100_000
"""So many ids may have rows in several parts: all workers are told of them."""
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


def spread_ids(task: Task, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the ids of prepared rows that lie in several parts, each with the part of the row that counts.

    ``frame`` has the columns ``task.order`` of all rows of an id, of those that it has rows of.
    """
    ids = frame.filter(pl.col("id").is_not_null()).sort(task.order).group_by("id", maintain_order=True)
    counted = ids.agg(pl.col(PART).first(), (pl.col(PART).n_unique() > 1).alias("several"))
    return counted.filter("several").select("id", PART)


def known_spread(task: Task, ids: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Return the ids that lie in several parts, with the part that counts.

    Raises ``MergeError`` where they are too many to be sent to all workers.
    """
    found = dict(islice(ids, MOST_SPREAD + 1))
    if len(found) > MOST_SPREAD:
        by = ", ".join(f"`{column.attribute}`" for column in task.sharing.columns) or "time"
        raise MergeError(
            f"more than {MOST_SPREAD:,} ids such as `{min(found)}` occur in several parts, which are by {by}: of rows "
            "with one id only the first counts; remove the others, map no `id`, or set `parts=1`"
        )
    return found
