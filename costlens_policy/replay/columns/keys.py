"""What decides for each row of a batch, as columns to group by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final, Literal

import polars as pl

from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.targets import split_position
from costlens_policy.replay.columns.batch import ATTRIBUTE, DAY
from costlens_policy.replay.columns.reads import PROMPT, Reads, Shares

__all__ = ["keys_of", "price_changes"]

_SIDES: Final[tuple[Literal["left"], Literal["right"]]] = ("left", "right")
_FIRST: Final = date(1970, 1, 1)


def price_changes(plan: Plan) -> pl.Series:
    """Return the days, by their numbers since 1970, from which a price holds or a model is deprecated or retired."""
    days = {period.effective for model in plan.catalogue for period in model.periods}
    days |= {day for model in plan.catalogue for day in (model.deprecated, model.retired)}
    return pl.Series(sorted((day - _FIRST).days for day in days if day is not None), dtype=pl.Int64)


def keys_of(frame: pl.DataFrame, reads: Reads, changes: pl.Series) -> pl.DataFrame:
    """Return what decides for each row, in columns. ``changes`` are the days on which the catalogue changes."""
    columns = [changes.search_sorted(frame["time"] // DAY, "right").alias("season")]
    for name in reads.exact:
        column = _column(frame, name)
        if column is not None:
            columns.append(column)
    for name in reads.present:
        column = _column(frame, name)
        if column is not None:
            columns.append(column.is_not_null().alias(f"has {name}"))
    for name, values in reads.texts.items():
        column = _column(frame, name)
        if column is not None:
            columns += _classes(column, name, values, reads.splits[name])
    for name, cuts in reads.cuts.items():
        column = _column(frame, name)
        if column is not None:
            columns.append(_stretches(column, cuts).alias(f"cut {name}"))
    return pl.DataFrame(columns)


def _classes(column: pl.Series, name: str, values: Sequence[str], splits: Sequence[Shares]) -> Iterator[pl.Series]:
    """Tell texts apart by presence, by the constants that they equal, and by the shares that they fall into."""
    yield column.is_not_null().alias(f"has {name}")
    if values:
        yield pl.select(pl.when(column.is_in(list(values))).then(column)).to_series().alias(f"text {name}")
    distinct = column.drop_nulls().unique() if splits else column
    for place, (salt, bounds) in enumerate(splits):
        shares = pl.Series([split_position(key, salt, bounds) for key in distinct], dtype=pl.Int32)
        found = column.replace_strict(distinct, shares, default=None, return_dtype=pl.Int32)
        yield found.alias(f"share {place} {name}")


def _stretches(column: pl.Series, cuts: Sequence[int | float]) -> pl.Series:
    """Return which stretch between cuts each number lies in; a cut is a stretch of its own."""
    edges = pl.Series(cuts, dtype=column.dtype)
    sides = (edges.search_sorted(column, side).cast(pl.Int32) for side in _SIDES)
    return pl.select(pl.when(column.is_not_null()).then(next(sides) + next(sides))).to_series()


def _column(frame: pl.DataFrame, name: str) -> pl.Series | None:
    if name == PROMPT:
        return frame["prompt"].alias(PROMPT)
    column = f"{ATTRIBUTE}{name}"
    return frame[column] if column in frame.columns else None
