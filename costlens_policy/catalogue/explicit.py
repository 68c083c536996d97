"""A resolved model as an entry of a catalogue that leaves nothing to imports, overrides or inheritance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from costlens_policy.catalogue.model import Model
from costlens_policy.catalogue.rates import BUCKETS, MINUTES_OF_A_DAY, Period, Tariff, complete
from costlens_policy.catalogue.yaml_text import Value
from costlens_policy.money import ZERO

__all__ = ["explicit_entry"]


def explicit_entry(model: Model) -> dict[str, Value]:
    """Return the entry; read alone, it gives an equal model. Unpriced models say so with an empty list of prices."""
    entry: dict[str, Value | None] = {
        "provider": model.provider,
        "family": model.family,
        "aliases": model.aliases or None,
        "other_versions": model.other_versions or None,
        "fine_tuned": _fine_tuned(model),
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
        "capabilities": None if model.capabilities is None else sorted(model.capabilities),
        "latency_ms": _latency(model),
        "quality": _map({task: _decimal(value) for task, value in model.quality.items()}, model),
        "regions": model.regions,
        "external": model.external,
        "deprecated": model.deprecated,
        "retired": model.retired,
        "labels": _map(model.labels, model),
        "prices": [_period(period) for period in model.periods],
    }
    return {name: value for name, value in entry.items() if value is not None}


def _map(values: Mapping[str, Value], model: Model) -> Mapping[str, Value] | None:
    """Leave an empty mapping out, but not where a base model's would take its place."""
    return dict(sorted(values.items())) if values or model.base else None


def _fine_tuned(model: Model) -> Value | None:
    if model.base is None:
        return None
    return {"base": model.base, "tasks": model.trained_for} if model.trained_for else {"base": model.base}


def _latency(model: Model) -> Value | None:
    if model.latency_p50_ms is None:
        return None
    latency: dict[str, Value] = {"p50": _decimal(model.latency_p50_ms)}
    if model.latency_p95_ms is not None:
        latency["p95"] = _decimal(model.latency_p95_ms)
    return latency


def _decimal(value: float) -> Decimal:
    return Decimal(repr(value))


def _period(period: Period) -> Value:
    given: dict[str, Decimal] = {}
    entry = _tariff(period.tariff(), given, ZERO)
    if period.service_tiers:
        entry["service_tiers"] = {
            name: _tariff(tariff, dict(given), period.rates.usd_per_request)
            for name, tariff in sorted(period.service_tiers.items())
        }
    if period.hours:
        entry["hours"] = list(_hours(period, given))
    return {"effective": period.effective, **entry} if period.effective is not None else entry


def _hours(period: Period, given: Mapping[str, Decimal]) -> Iterator[Value]:
    """Yield the prices by the time of day; what is not said there costs as the dearest of the day."""
    ends = [start for start, _ in period.hours[1:]] + [MINUTES_OF_A_DAY]
    for (start, prices), end in zip(period.hours, ends, strict=True):
        if prices.tariff() != period.tariff():
            varied = _tariff(prices.tariff(), dict(given), period.rates.usd_per_request)
            yield {"start": _time(start), "end": _time(end % MINUTES_OF_A_DAY), **varied}


def _time(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _tariff(tariff: Tariff, given: dict[str, Decimal], per_request: Decimal) -> dict[str, Value]:
    """Return what is to be said of prices where these are ``given``; those of short prompts are added to them."""
    entry: dict[str, Value] = {"usd_per_million_tokens": _step(given, tariff.rates.usd_per_million_tokens)}
    if tariff.rates.usd_per_request != per_request:
        entry["usd_per_request"] = tariff.rates.usd_per_request
    if tariff.long_context:
        so_far = dict(given)
        entry["long_context"] = [
            {"above_input_tokens": above, "usd_per_million_tokens": _step(so_far, rates.usd_per_million_tokens)}
            for above, rates in tariff.long_context
        ]
    return entry


def _step(given: dict[str, Decimal], wanted: Mapping[str, Decimal]) -> Mapping[str, Value]:
    """Add to ``given`` what makes it complete to ``wanted``, and return what was added, ``input`` at least.

    A kind of token only depends on kinds before it in ``BUCKETS``, so one pass is enough.
    """
    step = {bucket: wanted[bucket] for bucket in ("input", "output") if given.get(bucket) != wanted[bucket]}
    given.update(step)
    for bucket in BUCKETS:
        if complete(given)[bucket] != wanted[bucket]:
            given[bucket] = step[bucket] = wanted[bucket]
    step = step or {"input": wanted["input"]}
    return {bucket: step[bucket] for bucket in BUCKETS if bucket in step}
