"""A report, and how it is made of calls in columns. Pure: the same calls and settings give the same report."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

import polars as pl

from costlens_policy.checker.attributes import STANDARD_ATTRIBUTES
from costlens_policy.diagnostics.suggestion import did_you_mean
from costlens_policy.frozen import frozen
from costlens_policy.money import add
from costlens_policy.replay.expected import Expected, Served, expected_of
from costlens_policy.replay.judged import Quality
from costlens_policy.report.anomalies import RULE, Anomalies, Series, find_anomalies, series_from
from costlens_policy.report.calls import CALLS, DIMENSIONS, LABEL, LATEST, Read, ReportError, micros
from costlens_policy.report.figures import Figures, Grouping, grouping_of, totals_of
from costlens_policy.report.forecast import Forecast, WindowUnit, forecast_spend, window_at
from costlens_policy.report.prices import Prices
from costlens_policy.report.timeline import (
    Bucket,
    BucketStart,
    TimeUnit,
    bucket_starts,
    instant_of,
    series_of,
    timeline_of,
    unit_for,
)

__all__ = ["ALL_OTHERS", "Report", "Settings", "Stack", "summarize"]

ALL_OTHERS: Final = "all others"
"""What remains of a label beyond its largest values."""


@frozen
class Settings:
    """How to summarize. ``time`` is the unit of the timeline; if None, it depends on the period of the calls.

    ``now`` is the end of the known period; if None, it is the last call.
    """

    by: tuple[str, ...] = DIMENSIONS
    top: int = 10
    time: TimeUnit | None = None
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    window: WindowUnit = "month"
    now: datetime | None = None


@frozen
class Stack:
    """The spend of each bucket by the values of a label: the largest few, then all others together."""

    dimension: str
    layers: tuple[tuple[str, Mapping[BucketStart, Decimal]], ...]


@frozen
class Report:
    """The cost of the calls of ``source``. Savings are relative to the model ``baseline``, empty without one."""

    source: str
    settings: Settings
    unit: TimeUnit
    first: datetime
    last: datetime
    totals: Figures
    groupings: tuple[Grouping, ...]
    timeline: tuple[Bucket, ...]
    stack: Stack | None
    daily: Mapping[BucketStart, Decimal]
    """Spend by day, whatever the unit of the timeline is."""
    forecast: Forecast
    anomalies: Anomalies
    left_out: Mapping[str, int]
    not_recorded: tuple[str, ...]
    notes: tuple[str, ...]
    assumptions: tuple[str, ...]
    denials_known: bool
    baseline: str
    expected: Expected | None = None
    """Which quality to expect of the calls by the catalogue; None where it is not known, or not asked for."""
    judged: Mapping[str, Quality] = field(default_factory=dict)
    """The recorded quality of the answers, by the model that was called; empty where none is recorded."""

    @property
    def zone(self) -> ZoneInfo:
        return self.settings.zone

    @property
    def priced(self) -> bool:
        """Whether the cost of any call is known, so that money can be shown."""
        return self.totals.priced > 0


_LABELS: Final = frozenset({
    *DIMENSIONS, "budget", "key", "basis",
    *(item.name for item in STANDARD_ATTRIBUTES.values() if item.recorded or item.label),
})  # fmt: skip
"""Labels that any source may have; one that no call has is shown as not recorded. Others have to be there."""
_LAYERS: Final = 5
_BY_DAYS: Final = timedelta(days=10)
"""Spend over a longer span is judged by days, over a shorter one by hours."""


def summarize(read: Read, settings: Settings, prices: Prices | None = None) -> Report:
    """Summarize what was read; ``prices`` may have a catalogue that knows the quality of models, by the label ``task``.

    Raises ``ReportError`` if there are no calls.
    """
    frame = read.frame
    if not frame.height:
        raise ReportError("there are no calls to report on")
    latest = LATEST if LATEST in frame.columns else "time"
    ends = frame.select(pl.col("time").min().alias("first"), pl.col(latest).max().alias("last")).row(0)
    first, last = map(instant_of, ends)
    unit = settings.time or unit_for(first, last)
    groupings = tuple(grouping_of(frame, name, settings.top) for name in settings.by)
    for grouping in groupings:
        if not grouping.recorded and grouping.dimension not in _LABELS:
            raise ReportError(_no_label(grouping.dimension, read.labels))
    totals = totals_of(frame)
    return Report(
        source=read.source,
        settings=settings,
        unit=unit,
        first=first,
        last=last,
        totals=totals,
        groupings=groupings,
        timeline=timeline_of(frame, unit, settings.zone),
        stack=_stack(frame, unit, settings, groupings),
        daily=series_of(frame, "day", settings.zone, None).get(None, {}),
        forecast=_forecast(frame, settings, last),
        anomalies=_anomalies(frame, settings, groupings, last - first),
        left_out=read.left_out,
        not_recorded=tuple(_not_recorded(read, groupings)),
        notes=read.notes,
        assumptions=(*read.assumptions, *_assumptions(read, totals.compared > 0)),
        denials_known=read.denials_known,
        baseline=read.baseline or ("the recorded column" if totals.compared else ""),
        expected=None if prices is None else _expected(frame, prices),
        judged=read.judged,
    )


def _expected(frame: pl.DataFrame, prices: Prices) -> Expected | None:
    """Return which quality to expect of the calls that were made, by their models and tasks."""
    columns = [f"{LABEL}{name}" for name in ("model", "task")]
    if prices.measured is None or not set(columns) <= set(frame.columns):
        return None
    calls = frame.filter(~pl.col("denied")).with_columns(pl.col(columns).cast(pl.String).fill_null(""))
    number = pl.col(CALLS).sum() if CALLS in frame.columns else pl.len()
    served = Served()
    for name, task, count in calls.group_by(columns).agg(number).iter_rows():
        model = prices.model(name)
        served[name if model is None else model.name, task] += count
    return expected_of(served, prices.measured)


def _no_label(name: str, there: Collection[str]) -> str:
    known = sorted({*there, *_LABELS})
    listing = ", ".join(f"`{item}`" for item in known)
    return f"no call has a label `{name}`; {did_you_mean(name, known) or f'choose among {listing}'}"


def _stack(frame: pl.DataFrame, unit: TimeUnit, settings: Settings, groupings: Sequence[Grouping]) -> Stack | None:
    """Layer the timeline by the first label with several values, preferring the model."""
    several = [item for item in groupings if len(item.groups) > 1 and item.recorded]
    chosen = next((item for item in several if item.dimension == "model"), several[0] if several else None)
    if chosen is None:
        return None
    series = dict(series_of(frame, unit, settings.zone, chosen.dimension))
    names = list(chosen.values[:_LAYERS])
    layers: list[tuple[str, Mapping[BucketStart, Decimal]]] = [(name, series.pop(name, {})) for name in names]
    rest: dict[BucketStart, Decimal] = {}
    for spend in series.values():
        for start, amount in spend.items():
            rest[start] = add(rest.get(start, Decimal(0)), amount)
    return Stack(chosen.dimension, (*layers, (ALL_OTHERS, rest)) if any(rest.values()) else tuple(layers))


def _forecast(frame: pl.DataFrame, settings: Settings, last: Any) -> Forecast:
    now = settings.now or last
    window = window_at(now, settings.window, settings.zone)
    unit: TimeUnit = "hour" if window.unit == "day" else "day"
    past = frame.filter(pl.col("time") <= micros(now))
    spent = totals_of(past.filter(pl.col("time") >= micros(window.starts_at))).cost
    spend = series_of(past, unit, settings.zone, None).get(None, {})
    return forecast_spend(spend, spent, window, now, settings.zone)


def _anomalies(frame: pl.DataFrame, settings: Settings, groupings: Sequence[Grouping], span: timedelta) -> Anomalies:
    unit: Any = "day" if span >= _BY_DAYS else "hour"
    whole = series_of(frame, unit, settings.zone, None)[None]
    steps = bucket_starts(min(whole), max(whole), unit)
    series = [series_from("total", "", whole, steps), *_series(frame, settings, groupings, unit, steps)]
    return find_anomalies(series, unit, settings.zone)


def _series(
    frame: pl.DataFrame, settings: Settings, groupings: Sequence[Grouping], unit: TimeUnit, steps: Sequence[BucketStart]
) -> Iterator[Series]:
    """Yield the series of all groups shown; a group that is everything is the total once more."""
    for grouping in groupings:
        if len(grouping.groups) < 2:
            continue
        found = series_of(frame, unit, settings.zone, grouping.dimension)
        for value in grouping.values:
            yield series_from(grouping.dimension, value, found[value], steps)


def _not_recorded(read: Read, groupings: Sequence[Grouping]) -> Iterator[str]:
    yield from (grouping.dimension for grouping in groupings if not grouping.recorded)
    for column, name in (("latency", "latency"), ("cached", "cached tokens")):
        if not read.frame[column].count():
            yield name
    if not read.denials_known:
        yield "denials"


def _assumptions(read: Read, compared: bool) -> Iterator[str]:
    yield "cache hit rate: cached input tokens as a share of the input tokens of calls whose cached part is recorded"
    yield "latency: p95 is the smallest latency that at least 95 % of the calls with a recorded latency do not exceed"
    if compared and read.baseline:
        yield (
            f"savings: each call's own tokens, cached part included, priced at `{read.baseline}` on the day of the "
            "call, minus what it cost; answers are assumed to be equally long, and calls that do not fit its context "
            "window or have no cost of their own are left out of the comparison"
        )
    elif compared:
        yield "savings: the recorded cost of the baseline minus what each call cost, over calls that have both"
    yield f"anomalies: {RULE}"
