"""Days or hours whose spend is an outlier of its series, by medians, which a few outliers do not move."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Context, Decimal
from statistics import median
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

from costlens_policy.frozen import frozen
from costlens_policy.money import ZERO
from costlens_policy.report.timeline import BucketStart

__all__ = ["RULE", "Anomalies", "Anomaly", "Series", "StepUnit", "find_anomalies", "series_from"]

StepUnit: TypeAlias = Literal["hour", "day"]

_ROUGHLY: Final = Context(prec=12)
_FEWEST: Final = 8
_LIMIT: Final = Decimal("3.5")
_TO_DEVIATION: Final = Decimal("1.4826")
"""Turns a median distance into a standard deviation, where values are spread normally."""
_FLOOR: Final = Decimal("0.1")

RULE: Final = (
    f"a day or hour is an anomaly if its spend is further from the median of its series than {_LIMIT} times the larger "
    f"of {_TO_DEVIATION} times the median distance from that median and {_FLOOR:.0%} of it; days from Monday to "
    f"Friday, those of weekends, and hours of the day (from {_FEWEST} days on) are compared among themselves; the "
    f"first and the last one are ignored, as they may be incomplete, and fewer than {_FEWEST} are not judged"
)


@frozen
class Series:
    """The spend of the calls with one value of a label, or of all calls, by day or hour without gaps."""

    dimension: str
    value: str
    spend: tuple[tuple[BucketStart, Decimal], ...]


@frozen
class Anomaly:
    """``usual`` is the median of the ``compared`` steps, ``deviations`` how far it is from it, by its sign."""

    dimension: str
    value: str
    start: BucketStart
    spend: Decimal
    usual: Decimal
    deviations: Decimal
    compared: int


@frozen
class Anomalies:
    """``found`` are in the order of the money they are about. ``skipped`` series had too few days or hours to judge."""

    unit: StepUnit
    found: tuple[Anomaly, ...]
    judged: int
    skipped: int


def find_anomalies(series: Sequence[Series], unit: StepUnit, zone: ZoneInfo) -> Anomalies:
    """Judge every series."""
    found, judged = [], 0
    for item in series:
        kinds = [kind for kind in _kinds(item, unit, zone) if len(kind) >= _FEWEST and median(_amounts(kind)) > 0]
        judged += bool(kinds)
        found += [anomaly for kind in kinds for anomaly in _odd(item, kind)]
    found.sort(key=lambda anomaly: (-abs(anomaly.spend - anomaly.usual), anomaly.dimension, anomaly.value))
    return Anomalies(unit, tuple(found), judged, len(series) - judged)


_Steps: TypeAlias = Sequence[tuple[BucketStart, Decimal]]


def _kinds(series: Series, unit: StepUnit, zone: ZoneInfo) -> list[_Steps]:
    """Return steps that can be compared with each other."""
    kinds: dict[object, list[tuple[BucketStart, Decimal]]] = {}
    steps = series.spend[1:-1]
    by_hour = unit == "hour" and len(steps) >= 24 * _FEWEST
    for start, spend in steps:
        kinds.setdefault(_kind(start, zone, by_hour=by_hour), []).append((start, spend))
    return list(kinds.values())


def _kind(start: BucketStart, zone: ZoneInfo, *, by_hour: bool) -> object:
    if isinstance(start, datetime):
        return start.astimezone(zone).hour if by_hour else None
    return start.weekday() >= 5


def _odd(series: Series, steps: _Steps) -> Iterator[Anomaly]:
    amounts = _amounts(steps)
    usual = median(amounts)
    distance = median([abs(amount - usual) for amount in amounts])
    unit = max(_ROUGHLY.multiply(_TO_DEVIATION, distance), _ROUGHLY.multiply(_FLOOR, usual))
    for start, spend in steps:
        deviations = _ROUGHLY.divide(spend - usual, unit)
        if abs(deviations) > _LIMIT:
            yield Anomaly(series.dimension, series.value, start, spend, usual, deviations, len(steps))


def _amounts(steps: _Steps) -> list[Decimal]:
    return [spend for _, spend in steps]


def series_from(
    dimension: str, value: str, spend: Mapping[BucketStart, Decimal], steps: Sequence[BucketStart]
) -> Series:
    """Return a series over all steps, those without spend too."""
    return Series(dimension, value, tuple((at, spend.get(at, ZERO)) for at in steps))
