"""A batch: recorded requests as columns, in time order.

| column | type | what |
|---|---|---|
| `time` | int64 | microseconds since 1970 in UTC |
| `file`, `number` | int32, int64 | the place of the row: index of its file, and its line |
| `prompt`, `output` | int64 | tokens; the prompt includes the cached part |
| `model`, `session` | string, may be null | as recorded |
| `id` | string, may be null | the id of the call |
| `cost` | string or double, may be null | US dollars that the log itself records |
| `request.NAME` | string, int64, double or bool, may be null | an attribute of the request; null where it is absent |
| `recorded.BUCKET` | int64 | the provider's buckets: all of them null where they were not recorded |
| `tier` | string, may be null | the service tier that served the call, in the provider's word |
| `others` | string, may be null | what the call used on further models, as `others_text` writes it |

`session` has to be there as `request.session`, too. All columns but `time`, `prompt` and `output` may be missing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import polars as pl

from costlens_policy.catalogue.rates import BUCKETS, Usage
from costlens_policy.compiler.plan import Plan
from costlens_policy.expressions import BOOL, DOUBLE, INT, STRING, Type
from costlens_policy.money import plain
from costlens_policy.replay.traffic.reading import RequestShape
from costlens_policy.replay.traffic.row import Row

__all__ = [
    "ATTRIBUTE", "DAY", "EPOCH", "MINUTE", "MOST_TOKENS", "RECORDED", "SCALARS", "batch_of", "complete_batch", "fits",
    "instant", "micros", "others_in", "recorded_in", "scalar_attributes", "schema_of",
]  # fmt: skip

ATTRIBUTE: Final = "request."
RECORDED: Final = "recorded."
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
DAY: Final = 86_400_000_000
"""Microseconds."""
MINUTE: Final = 60_000_000
"""Microseconds."""
MOST_TOKENS: Final = 2**40
"""More than any call has. Sums over a batch stay within 64 bits."""
_MICROSECOND: Final = timedelta(microseconds=1)


def micros(instant: datetime) -> int:
    """Return microseconds since 1970."""
    return (instant - EPOCH) // _MICROSECOND


def instant(at: int) -> datetime:
    """Return a timestamp by its microseconds since 1970, in UTC."""
    return EPOCH + timedelta(microseconds=at)


def recorded_in(columns: Sequence[str]) -> tuple[str, ...]:
    """Return the buckets that were recorded, in the order of ``BUCKETS``."""
    return tuple(bucket for bucket in BUCKETS if f"{RECORDED}{bucket}" in columns)


def _others_text(others: Sequence[tuple[str, Usage]]) -> str | None:
    """Return usage of further models as JSON, such as `[["advisor", {"input": 5}]]`; None where there is none."""
    if not others:
        return None
    pairs = ((name, {bucket: getattr(usage, bucket) for bucket in BUCKETS}) for name, usage in others)
    return json.dumps([[name, {bucket: n for bucket, n in tokens.items() if n}] for name, tokens in pairs])


def others_in(text: str | None) -> tuple[tuple[str, Usage], ...]:
    """Return what ``others_text`` was given."""
    return () if text is None else tuple((name, Usage(**tokens)) for name, tokens in json.loads(text))


def complete_batch(frame: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """Add what a batch may leave out, and the recorded model by the name that rules know it by."""
    defaults: Mapping[str, pl.Expr] = {
        "file": pl.lit(0, pl.Int32),
        "number": pl.int_range(1, pl.len() + 1, dtype=pl.Int64),
        "model": pl.lit(None, pl.String),
        "session": pl.lit(None, pl.String),
    }
    frame = frame.with_columns(**{name: value for name, value in defaults.items() if name not in frame.columns})
    names = list(_names(frame["model"]))
    known = {name: model.name for name in names if (model := plan.catalogue.find(name)) is not None}
    canonical = pl.col("model").replace(known) if known else pl.col("model")
    frame = frame.with_columns(canonical.alias("_model"))
    if "model" in plan.attributes and names:
        given = f"{ATTRIBUTE}model"
        column = pl.coalesce(given, "_model") if given in frame.columns else pl.col("_model")
        frame = frame.with_columns(column.alias(given))
    if plan.reads_id and "id" in frame.columns:
        given = f"{ATTRIBUTE}id"
        column = pl.coalesce(given, "id") if given in frame.columns else pl.col("id")
        frame = frame.with_columns(column.alias(given))
    return frame


def _names(models: pl.Series) -> Iterator[Any]:
    return (name for name in models.unique().to_list() if name is not None)


_TYPES: Final[Mapping[Type, Any]] = {STRING: pl.String, INT: pl.Int64, DOUBLE: pl.Float64, BOOL: pl.Boolean}
SCALARS: Final = frozenset(_TYPES)
"""The types of attributes that a column can hold."""
_CLASSES: Final[Mapping[Type, tuple[type, ...]]] = {STRING: (str,), INT: (int,), DOUBLE: (float,), BOOL: (bool,)}
_INT_MAX: Final = 2**63 - 1


def scalar_attributes(plan: Plan, names: Iterable[str]) -> bool:
    """Return whether all attributes of these names are declared, and are texts, numbers or booleans."""
    return all(name in plan.attributes and plan.attributes[name].type in SCALARS for name in names)


def schema_of(plan: RequestShape, attributes: Sequence[str]) -> dict[str, Any]:
    """Return the columns of batches that are made of rows."""
    return {
        "time": pl.Int64, "file": pl.Int32, "number": pl.Int64, "prompt": pl.Int64, "output": pl.Int64,
        "model": pl.String, "session": pl.String, "id": pl.String, "cost": pl.String,
        "tier": pl.String, "others": pl.String,
        **{f"{ATTRIBUTE}{name}": _TYPES[plan.attributes[name].type] for name in attributes},
        **{f"{RECORDED}{name}": pl.Int64 for name in BUCKETS},
    }  # fmt: skip


def fits(row: Row, plan: Plan) -> bool:
    """Return whether a batch can hold a row without loss: token counts, and nothing by model or block."""
    if row.prompt_tokens is None or row.output_tokens is None or row.outcomes or row.answers or row.prefix:
        return False
    if max(row.prompt_tokens, row.output_tokens) > MOST_TOKENS:
        return False
    return all(
        name in plan.attributes
        and type(value) in _CLASSES.get(plan.attributes[name].type, ())
        and (type(value) is not int or abs(value) <= _INT_MAX)
        for name, value in row.attributes.items()
    )


def batch_of(rows: Sequence[Row], plan: Plan, attributes: Sequence[str], files: Callable[[str], int]) -> pl.DataFrame:
    """Return rows as a batch, in their order. ``files`` gives the index of a file by its name. Rows have to fit."""
    columns: dict[str, list[Any]] = {name: [] for name in schema_of(plan, attributes)}
    for row in rows:
        recorded = row.recorded
        cost = None if row.logged_cost is None else plain(row.logged_cost)
        values = (
            micros(row.time), files(row.file), row.number, row.prompt_tokens, row.output_tokens, row.model, row.session,
            row.id, cost, row.service_tier, _others_text(row.other_models),
            *(row.attributes.get(name) for name in attributes),
            *(None if recorded is None else getattr(recorded, name) for name in BUCKETS),
        )  # fmt: skip
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)
    return pl.DataFrame(columns, schema=schema_of(plan, attributes))
