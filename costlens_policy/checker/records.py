"""The records of expressions, as values."""

from __future__ import annotations

from datetime import date

from costlens_policy.catalogue import Model, Period
from costlens_policy.expressions import Value

__all__ = ["model_record"]


def model_record(model: Model, period: Period | None, day: date) -> dict[str, Value]:
    """Return the record ``model`` of expressions on a day, with the prices of ``period``. What is unknown is absent."""
    known: dict[str, Value | None] = {
        "name": model.name,
        "provider": model.provider,
        "family": model.family,
        "base": model.base,
        "trained_for": list(model.trained_for),
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
        "capabilities": None if model.capabilities is None else sorted(model.capabilities),
        "latency_p50_ms": model.latency_p50_ms,
        "latency_p95_ms": model.latency_p95_ms,
        "quality": dict(model.quality),
        "regions": None if model.regions is None else list(model.regions),
        "external": model.external,
        "fine_tuned": model.base is not None,
        "deprecated": model.deprecated_on(day),
        "labels": dict(model.labels),
    }
    if period is not None:
        prices = period.rates.usd_per_million_tokens
        known["input_usd_per_million_tokens"] = float(prices["input"])
        known["output_usd_per_million_tokens"] = float(prices["output"])
    return {name: value for name, value in known.items() if value is not None}
