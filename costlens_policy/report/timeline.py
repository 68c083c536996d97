"""Figures by hour, day, week or month of a time zone, without gaps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

import polars as pl

from costlens_policy.frozen import frozen
from costlens_policy.report.calls import LABEL, ReportError, amount_in, summed
from costlens_policy.report.figures import EMPTY, Figures, figures_in, figures_of

__all__ = [
    "Bucket",
    "BucketStart",
    "TimeUnit",
    "bucket_of",
    "bucket_starts",
    "series_of",
    "shown_start",
    "timeline_of",
    "unit_for",
]

TimeUnit: TypeAlias = Literal["hour", "day", "week", "month"]
BucketStart: TypeAlias = date | datetime
"""The first day of a bucket, or for hours its beginning in UTC."""

_EVERY: Final = {"hour": "1h", "day": "1d", "week": "1w", "month": "1mo"}
_MOST: Final = 5000
_UP_TO: Final = ((timedelta(days=3), "hour"), (timedelta(days=120), "day"), (timedelta(days=800), "week"))


@frozen
class Bucket:
    """The calls of one stretch of time."""

    start: BucketStart
    figures: Figures


def unit_for(first: datetime, last: datetime) -> TimeUnit:
    """Return the unit that suits a span of time."""
    for length, unit in _UP_TO:
        if last - first <= length:
            return unit  # type: ignore[return-value]  # the table holds units
    return "month"


def bucket_of(unit: TimeUnit, zone: ZoneInfo) -> pl.Expr:
    """Return the bucket of each call: a local date, or for hours an instant in UTC."""
    instant = pl.from_epoch(pl.col("time"), time_unit="us").dt.replace_time_zone("UTC")
    local = instant.dt.convert_time_zone(zone.key)
    if unit == "hour":
        return local.dt.truncate("1h").dt.convert_time_zone("UTC")
    return local.dt.date().dt.truncate(_EVERY[unit])


def bucket_starts(first: BucketStart, last: BucketStart, unit: TimeUnit) -> tuple[BucketStart, ...]:
    """Return all buckets from the first to the last. Raises ``ReportError`` where they are too many to show."""
    found = tuple(_walk(first, last, unit))
    if len(found) > _MOST:
        raise ReportError(
            f"the calls span more than {_MOST:,} {unit}s; use a longer `--time`, or exclude outliers with "
            "`--since` and `--until`"
        )
    return found


def timeline_of(frame: pl.DataFrame, unit: TimeUnit, zone: ZoneInfo) -> tuple[Bucket, ...]:
    """Return the figures of each bucket from the first call to the last, those without calls too."""
    rows = frame.group_by(bucket_of(unit, zone).alias("start")).agg(figures_in(frame))
    known = {row["start"]: figures_of(row) for row in rows.iter_rows(named=True)}
    if not known:
        return ()
    return tuple(Bucket(at, known.get(at, EMPTY)) for at in bucket_starts(min(known), max(known), unit))


def series_of(
    frame: pl.DataFrame, unit: TimeUnit, zone: ZoneInfo, dimension: str | None
) -> Mapping[Any, dict[BucketStart, Decimal]]:
    """Return the spend by value of a label (None where there is none) and bucket; without a label, of all calls."""
    high, low = summed("cost")
    value = pl.lit(None, pl.String) if dimension is None else pl.col(f"{LABEL}{dimension}")
    rows = frame.group_by(value.alias("value"), bucket_of(unit, zone).alias("start")).agg(high, low)
    rows = rows.with_columns(pl.col("value").cast(pl.String))
    found: dict[Any, dict[BucketStart, Decimal]] = {}
    for name, start, first, second in rows.iter_rows():
        found.setdefault(name, {})[start] = amount_in(first, second)
    return found


def shown_start(start: BucketStart, unit: TimeUnit, zone: ZoneInfo) -> str:
    """Return a bucket as text: ``2026-11-02 14:00``, ``2026-11-02``, ``2026-11-02`` (a week's Monday), ``2026-11``."""
    if isinstance(start, datetime):
        return f"{start.astimezone(zone):%Y-%m-%d %H:%M}"
    return f"{start:%Y-%m}" if unit == "month" else start.isoformat()


def _walk(first: BucketStart, last: BucketStart, unit: TimeUnit) -> Iterator[BucketStart]:
    step = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}.get(unit)
    at, count = first, 0
    while at <= last and count <= _MOST:
        yield at
        count += 1
        at = _next_month(at) if step is None else at + step


def _next_month(first: BucketStart) -> date:
    return date(first.year + first.month // 12, first.month % 12 + 1, 1)


def instant_of(micros: int) -> datetime:
    """Return the instant of microseconds since 1970."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
