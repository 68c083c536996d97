"""Calls that are alike as one row of a frame, so that frames of many workers can be added up exactly.

Calls are alike if a report cannot tell them apart but for their amounts: the same labels in the same hour, the same
latency, and the same amounts known. Their amounts and tokens are sums of integers, and each row has a number of calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from costlens_policy.report.calls import CALLS, HIGH, LABEL, LATEST, LIMB, LOW
from costlens_policy.report.timeline import bucket_of

__all__ = ["summed_calls"]

_AMOUNTS: Final = ("cost", "baseline", "held")
_HOUR: Final = "_hour"
_LATER: Final = "_later"
_KNOWN: Final = {"_cached": "cached", **{f"_{name}": f"{name}{HIGH}" for name in _AMOUNTS}}
"""Whether calls have what only some have: a sum counts for all calls of its row."""


def summed_calls(frames: Sequence[pl.DataFrame], zone: ZoneInfo, now: int | None) -> pl.DataFrame:
    """Return calls as ``calls.Columns`` holds them, or as this function returned them before, in fewer rows.

    Besides their columns, there is how many calls a row stands for and when the last of them began; ``time`` is when
    the first did. Hours are those of ``zone``; calls until ``now``, in microseconds, are apart from later ones.
    """
    frame = pl.concat([_weighted(frame) for frame in frames])
    later = pl.lit(False) if now is None else pl.col("time") > now
    known = [pl.col(column).is_not_null().alias(name) for name, column in _KNOWN.items()]
    keyed = frame.with_columns(bucket_of("hour", zone).alias(_HOUR), later.alias(_LATER), *known)
    labels = [name for name in frame.columns if name.startswith(LABEL)]
    keys = [_HOUR, _LATER, "denied", "latency", *_KNOWN, *labels]
    sums = keyed.group_by(keys).agg(
        pl.col("time").min(), pl.col(LATEST).max(), pl.col(CALLS).sum(), pl.col("input", "cached", "output").sum(),
        *(pl.col(f"{name}{HIGH}").sum() for name in _AMOUNTS),
        *(pl.col(f"{name}{LOW}").cast(pl.Int128).sum() for name in _AMOUNTS),
    )  # fmt: skip
    amounts = [column for name in _AMOUNTS for column in _carried(name)]
    cached = pl.when(pl.col("_cached")).then(pl.col("cached")).alias("cached")
    return sums.with_columns(cached, *amounts).select(frame.columns)


def _weighted(frame: pl.DataFrame) -> pl.DataFrame:
    """Return calls with how many each row stands for, and with labels as texts, which frames can share."""
    if CALLS not in frame.columns:
        frame = frame.with_columns(pl.lit(1, pl.Int64).alias(CALLS), pl.col("time").alias(LATEST))
    return frame.with_columns(pl.col(f"^{LABEL}.*$").cast(pl.String))


def _carried(name: str) -> tuple[pl.Expr, pl.Expr]:
    """Return both columns of a sum, with what the lower one has too much carried over; null where none is known."""
    high, low, known = pl.col(f"{name}{HIGH}"), pl.col(f"{name}{LOW}"), pl.col(f"_{name}")
    upper = pl.when(known).then(high + low // LIMB).alias(f"{name}{HIGH}")
    return upper, pl.when(known).then((low % LIMB).cast(pl.Int64)).alias(f"{name}{LOW}")
