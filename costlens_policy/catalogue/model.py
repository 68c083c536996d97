"""A resolved model: what the catalogue knows of it after imports, overrides and inheritance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final

from costlens_policy.catalogue.rates import Period, Rates, Usage

__all__ = ["LONG_AGO", "Model", "Period", "Rates", "Usage"]

LONG_AGO: Final = date(1970, 1, 1)
"""Stands for a day in the past that no source tells."""


@dataclass(frozen=True, slots=True)
class Model:
    """One model. ``None`` and absent keys mean unknown, never a default.

    ``name`` is unique in the catalogue; ``aliases`` are all its other names, ``provider/name`` among them, in order.
    ``periods`` ascend by day; empty means unpriced.
    """

    name: str
    provider: str | None = None
    family: str | None = None
    aliases: tuple[str, ...] = ()
    base: str | None = None
    trained_for: tuple[str, ...] = ()
    periods: tuple[Period, ...] = ()
    context_window: int | None = None
    max_output_tokens: int | None = None
    capabilities: frozenset[str] | None = None
    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None
    quality: Mapping[str, float] = field(default_factory=dict)
    regions: tuple[str, ...] | None = None
    external: bool = True
    deprecated: date | None = None
    retired: date | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    other_versions: tuple[str, ...] = ()
    """Dated names that look like versions of this model, and are models with prices of their own."""
    price_source: str = ""
    """Where the prices come from, such as ``genai-prices 0.2.3`` or a file's name."""

    def period_on(self, day: date) -> Period | None:
        """Return the prices in force on a day (UTC), or None where there are none.

        Where they change by the time of day, these are the dearest of the day; ``period_at`` tells the price at a time.
        """
        chosen = None
        for period in self.periods:
            if period.effective is not None and period.effective > day:
                break
            chosen = period
        return chosen

    def period_at(self, moment: datetime) -> Period | None:
        """Return the prices in force at a timestamp with a zone, by its time of day, too; None where there are none."""
        period = self.period_on(moment.astimezone(UTC).date())
        return None if period is None else period.at(moment)

    def deprecated_on(self, day: date) -> bool:
        """Return whether the provider no longer recommends the model on a day (UTC)."""
        return self.deprecated is not None and self.deprecated <= day

    def retired_on(self, day: date) -> bool:
        """Return whether the model no longer answers on a day (UTC)."""
        return self.retired is not None and self.retired <= day
