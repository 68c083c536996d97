"""A report: all figures of some calls, and everything that they rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from costlens_policy.report.anomalies import Anomalies
from costlens_policy.report.figures import Figures
from costlens_policy.report.forecast import Forecast, WindowUnit
from costlens_policy.report.groups import Grouping
from costlens_policy.report.sources.read import DIMENSIONS
from costlens_policy.report.timeline import Bucket, Moment, TimeUnit

__all__ = ["ALL_OTHERS", "Report", "Settings", "Stack"]

ALL_OTHERS: Final = "all others"
"""What remains of a label beyond its largest values."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to summarize. ``time`` is the unit of the timeline, chosen by the span of the calls where it is None.

    ``now`` ends what is known; the last call does where it is None.
    """

    by: tuple[str, ...] = DIMENSIONS
    top: int = 10
    time: TimeUnit | None = None
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    window: WindowUnit = "month"
    now: datetime | None = None


@dataclass(frozen=True, slots=True)
class Stack:
    """The spend of each bucket by the values of a label: the largest few, then all others together."""

    dimension: str
    layers: tuple[tuple[str, Mapping[Moment, Decimal]], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What the calls of ``source`` cost. ``baseline`` names what savings are against, empty where nothing is."""

    source: str
    settings: Settings
    unit: TimeUnit
    first: datetime
    last: datetime
    totals: Figures
    groupings: tuple[Grouping, ...]
    timeline: tuple[Bucket, ...]
    stack: Stack | None
    daily: Mapping[Moment, Decimal]
    """Spend by day, whatever the unit of the timeline is."""
    forecast: Forecast
    anomalies: Anomalies
    left_out: Mapping[str, int]
    not_recorded: tuple[str, ...]
    notes: tuple[str, ...]
    assumptions: tuple[str, ...]
    denials_known: bool
    baseline: str

    @property
    def zone(self) -> ZoneInfo:
        return self.settings.zone

    @property
    def priced(self) -> bool:
        """Whether the cost of any call is known, so that money can be shown."""
        return self.totals.priced > 0
