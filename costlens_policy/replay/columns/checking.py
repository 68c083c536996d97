"""What a batch from elsewhere has to be. What it lacks, misspells or measures otherwise is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

import polars as pl

from costlens_policy.catalogue.rates import BUCKETS
from costlens_policy.compiler.plan import Plan
from costlens_policy.expressions import BOOL, DOUBLE, INT, STRING, Type
from costlens_policy.replay.columns.batch import ATTRIBUTE, DAY, MOST_TOKENS, RECORDED, instant
from costlens_policy.replay.traffic.row import BatchError

__all__ = ["checked_batch"]

_WHOLE: Final = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)
_TEXT: Final = (pl.String, pl.Categorical, pl.Enum)
_NEEDED: Final = ("time", "prompt", "output")
_ATTRIBUTES: Final[Mapping[Type, tuple[tuple[Any, ...], Any]]] = {
    STRING: (_TEXT, pl.String), INT: (_WHOLE, pl.Int64), DOUBLE: ((pl.Float64, pl.Float32), pl.Float64),
    BOOL: ((pl.Boolean,), pl.Boolean),
}  # fmt: skip
_FIRST: Final = 365 * DAY
_LAST: Final = 7_258_118_400_000_000
"""The year 2200. What is not between 1971 and then is not in microseconds."""


def checked_batch(frame: pl.DataFrame, plan: Plan, attributes: Sequence[str], after: int | None) -> pl.DataFrame:
    """Return a batch with the types that it needs. Raises ``BatchError``.

    ``attributes`` have to have a column each, ``after`` is the time before which no row may be, None where the order
    of rows does not matter.
    """
    kinds = dict(_kinds(plan))
    _check_names(frame.columns, kinds, attributes)
    frame = frame.select(_cast(frame, name, *kinds[name]) for name in frame.columns)
    if "request.session" not in frame.columns and "session" in frame.columns and "session" in plan.attributes:
        frame = frame.with_columns(pl.col("session").alias("request.session"))
    for name in _NEEDED:
        if missing := frame[name].null_count():
            raise BatchError(f"column `{name}` must have a value in every row, got {missing:,} rows without one")
    _check_tokens(frame)
    _check_times(frame["time"], after)
    return frame


def _kinds(plan: Plan) -> Iterator[tuple[str, tuple[tuple[Any, ...], Any]]]:
    """Yield each column that a batch can have, the types that it is taken in, and the type that it gets."""
    yield "time", ((*_WHOLE, pl.Datetime), pl.Int64)
    yield "file", (_WHOLE, pl.Int32)
    for name in ("number", "prompt", "output", *(f"{RECORDED}{bucket}" for bucket in BUCKETS)):
        yield name, (_WHOLE, pl.Int64)
    for name in ("model", "session", "id"):
        yield name, ((*_TEXT, *_WHOLE), pl.String)
    for name in ("tier", "others"):
        yield name, (_TEXT, pl.String)
    yield "cost", ((*_TEXT, pl.Float64), None)
    for name, attribute in plan.attributes.items():
        if attribute.type in _ATTRIBUTES:
            yield f"{ATTRIBUTE}{name}", _ATTRIBUTES[attribute.type]


def _check_names(columns: Sequence[str], kinds: Mapping[str, Any], attributes: Sequence[str]) -> None:
    for name in (*_NEEDED, *(f"{ATTRIBUTE}{attribute}" for attribute in attributes)):
        if name not in columns:
            raise BatchError(f"the batch has no column `{name}`; its columns are {_listed(columns)}")
    for name in columns:
        if name not in kinds:
            close = get_close_matches(name, kinds, n=1)
            hint = f"did you mean `{close[0]}`?" if close else "leave it out, or declare the attribute that it holds"
            raise BatchError(f"the batch has an unknown column `{name}`; {hint}")
        attribute = name.removeprefix(ATTRIBUTE)
        if name.startswith(ATTRIBUTE) and attribute not in (*attributes, "session", "model", "id"):
            raise BatchError(f"the batch has `{name}`, which is not among the `attributes` of the job")


def _cast(frame: pl.DataFrame, name: str, taken: tuple[Any, ...], wanted: Any) -> pl.Expr:
    kind, column = frame.schema[name], pl.col(name)
    if kind == pl.Null:
        return column.cast(wanted or pl.String)
    if not any(kind == item for item in taken):
        raise BatchError(f"column `{name}` must be {_named(wanted or pl.String)}, got {_named(kind)}")
    if isinstance(kind, pl.Datetime):
        if kind.time_zone is None:
            raise BatchError(f"column `{name}` must have a time zone, or be in microseconds since 1970 in UTC")
        return column.dt.epoch("us")
    return column if wanted is None or kind == wanted else column.cast(wanted)


def _check_tokens(frame: pl.DataFrame) -> None:
    for name, low in (("prompt", 1), ("output", 0)):
        for value in _ends(frame[name]):
            if not low <= value <= MOST_TOKENS:
                raise BatchError(f"column `{name}` must be from {low} to {MOST_TOKENS:,} tokens, got {value:,}")


def _check_times(times: pl.Series, after: int | None) -> None:
    least, most = _ends(times)
    for at in (least, most):
        if not _FIRST <= at < _LAST:
            raise BatchError(f"column `time` must be in microseconds since 1970, got {at}{_unit(at)}")
    if after is not None and (not times.is_sorted() or times[0] < after):
        raise BatchError(
            "rows must be in the order of their times, also from one batch to the next, since they share sessions or "
            f"budgets; a row of {instant(least).isoformat()} comes too late"
        )


def _ends(column: pl.Series) -> tuple[int, int]:
    """Return the least and the greatest of whole numbers, none of them null."""
    least, most = (
        column.to_frame("value")
        .select(pl.col("value").min().alias("least"), pl.col("value").max().alias("most"))
        .row(0)
    )
    return least, most


def _unit(at: int) -> str:
    for scale, name in ((1_000_000, "seconds"), (1_000, "milliseconds")):
        if _FIRST <= at * scale < _LAST:
            return f"; these look like {name}"
    return "; these look like nanoseconds" if _FIRST <= at // 1000 < _LAST else ""


def _named(kind: Any) -> str:
    return str(kind() if isinstance(kind, type) else kind)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names[:20]) or "none"
