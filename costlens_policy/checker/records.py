"""The record ``model`` of expressions: its values, and which of them the catalogue does not always have."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from costlens_policy.catalogue import Catalogue, Model, Period
from costlens_policy.checker.attributes import MODEL_FACTS
from costlens_policy.expressions import Value

if TYPE_CHECKING:
    from costlens_policy.documents.policy_set import Admission

__all__ = ["model_values", "unknown_facts"]


def model_values(model: Model, period: Period | None, day: date) -> dict[str, Value]:
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


def unknown_facts(catalogue: Catalogue, admit: Admission) -> frozenset[str]:
    """Return the attributes of ``model`` that some candidate may lack, on whatever day."""
    if admit.unknown_models:
        return MODEL_FACTS
    always = [set(model_values(model, _first_period(model), date.min)) for model in catalogue]
    return frozenset(name for name in MODEL_FACTS if not all(name in known for known in always))


def _first_period(model: Model) -> Period | None:
    """Return the prices that hold from the beginning; where there are none, the model has days without a price."""
    return model.periods[0] if model.periods and model.periods[0].effective is None else None
