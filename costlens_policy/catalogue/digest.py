"""A digest over everything in a catalogue that can change a decision."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import date
from typing import Any

from costlens_policy.catalogue.model import Model
from costlens_policy.catalogue.rates import Period, Rates, Tariff
from costlens_policy.money import plain

__all__ = ["digest_of"]


def digest_of(models: Iterable[Model]) -> str:
    """Return the SHA-256, in hexadecimal, of the models' names, facts and prices.

    It does not depend on the order of models and keys, on how a number was written, nor on where a price comes from.
    """
    content = sorted((_facts(model) for model in models), key=lambda facts: facts["name"])
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _facts(model: Model) -> dict[str, Any]:
    others = {"other_versions": sorted(model.other_versions)} if model.other_versions else {}
    return others | {
        "name": model.name,
        "aliases": sorted(model.aliases),
        "provider": model.provider,
        "family": model.family,
        "base": model.base,
        "trained_for": model.trained_for,
        "periods": [_period(period) for period in model.periods],
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
        "capabilities": None if model.capabilities is None else sorted(model.capabilities),
        "latency_ms": [_double(model.latency_p50_ms), _double(model.latency_p95_ms)],
        "quality": {task: float(value) for task, value in model.quality.items()},
        "regions": model.regions,
        "external": model.external,
        "deprecated": _day(model.deprecated),
        "retired": _day(model.retired),
        "labels": dict(model.labels),
    }


def _period(period: Period) -> dict[str, Any]:
    facts = {"effective": _day(period.effective), **_tariff(period.tariff())}
    if period.service_tiers:
        facts["service_tiers"] = {name: _tariff(tariff) for name, tariff in period.service_tiers.items()}
    if period.hours:
        facts["hours"] = [[minute, _tariff(prices.tariff())] for minute, prices in period.hours]
    return facts


def _tariff(tariff: Tariff) -> dict[str, Any]:
    return {
        "rates": _rates(tariff.rates),
        "long_context": [[above, _rates(rates)] for above, rates in tariff.long_context],
    }


def _rates(rates: Rates) -> dict[str, str]:
    prices = {bucket: plain(price) for bucket, price in rates.usd_per_million_tokens.items()}
    return prices | {"request": plain(rates.usd_per_request)}


def _double(value: float | None) -> float | None:
    return None if value is None else float(value)


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
