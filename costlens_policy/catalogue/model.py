"""A resolved model: what the catalogue knows of it after imports, overrides and inheritance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from costlens_policy.money import ZERO, per_million

__all__ = ["Model", "Period", "Rates", "Usage"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call in disjoint buckets: no token is counted in two of them."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0
    input_audio: int = 0
    cache_read_audio: int = 0
    output_audio: int = 0
    input_image: int = 0
    output_image: int = 0


@dataclass(frozen=True, slots=True)
class Rates:
    """Prices at one moment for one prompt length, in US dollars per million tokens by bucket.

    ``input`` and ``output`` are always there: the buckets that a price list leaves out have been filled in.
    """

    usd_per_million_tokens: Mapping[str, Decimal]
    usd_per_request: Decimal = ZERO

    def cost(self, usage: Usage) -> Decimal:
        """Return the exact cost of one call in US dollars."""
        total = self.usd_per_request
        for bucket, price in self.usd_per_million_tokens.items():
            tokens = getattr(usage, bucket)
            if tokens:
                total += per_million(price, tokens)
        return total


@dataclass(frozen=True, slots=True)
class Period:
    """Prices from a day on. ``long_context`` holds (above input tokens, rates), ascending; they re-price the whole call."""

    effective: date | None
    rates: Rates
    long_context: tuple[tuple[int, Rates], ...] = ()

    def rates_for(self, input_tokens: int) -> Rates:
        """Return the rates of a call by the length of its whole prompt, cached part included."""
        chosen = self.rates
        for above, rates in self.long_context:
            if input_tokens <= above:
                break
            chosen = rates
        return chosen


@dataclass(frozen=True, slots=True)
class Model:
    """One model. ``None`` and absent keys mean unknown, never a default.

    ``name`` is unique in the catalogue. ``periods`` ascend by day; empty means unpriced.
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
    price_source: str = ""
    """Where the prices come from, such as ``genai-prices 0.2.3`` or a file's name."""

    def period_on(self, day: date) -> Period | None:
        """Return the prices in force on a day (UTC), or None where there are none."""
        chosen = None
        for period in self.periods:
            if period.effective is not None and period.effective > day:
                break
            chosen = period
        return chosen
