"""What is known after imports, overrides and inheritance: a model, all models by all their names, and a digest."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from datetime import UTC, date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from costlens_policy.catalogue.prompt_cache import PromptCache, documented_cache
from costlens_policy.catalogue.rates import Period, Rates, Tariff, Usage
from costlens_policy.catalogue.versions import Versions
from costlens_policy.diagnostics.suggestion import nearest
from costlens_policy.frozen import frozen
from costlens_policy.money import plain

__all__ = ["LONG_AGO", "USUAL_LEVEL", "Catalogue", "Evidence", "Model", "Period", "Rates", "Usage", "digest_of"]

LONG_AGO: Final = date(1970, 1, 1)
"""Stands for a day in the past that no source states."""

USUAL_LEVEL: Final = 0.95
"""How sure an interval is unless its document says otherwise."""


@frozen
class Evidence:
    """What stands behind the quality of a model in a task. ``None`` means unknown.

    ``low`` and ``high`` are the ends of the interval in which the quality lies with a probability of ``level``; either
    both are known or none is. ``measured`` is a day (UTC), ``data`` the digest of the scores (``sha256:…``).
    """

    low: float | None = None
    high: float | None = None
    level: float = USUAL_LEVEL
    cases: int | None = None
    measured: date | None = None
    source: str | None = None
    data: str | None = None


@frozen
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
    """By task, from 0 to 1."""
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    """By task, where more is known of a quality than its value."""
    base_measured: Mapping[str, str] = field(default_factory=dict)
    """By task in which nobody measured this model: the nearest one that it was trained from and that was measured."""
    regions: tuple[str, ...] | None = None
    external: bool = True
    deprecated: date | None = None
    retired: date | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    usd_per_tool_use: Mapping[str, Decimal] = field(default_factory=dict)
    """By the name of a tool that the provider runs; empty where no fee is known."""
    other_versions: tuple[str, ...] = ()
    """Dated names that look like versions of this model, and are models with prices of their own."""
    prompt_cache: PromptCache | None = None
    """As the catalogue states it; ``cache`` also knows what providers document."""
    price_source: str = ""
    """Where the prices come from, such as ``genai-prices 0.2.3`` or a file's name."""

    @property
    def cache(self) -> PromptCache | None:
        """What is known of its prompt cache: what the catalogue states, else what its provider documents."""
        if self.prompt_cache is not None:
            return self.prompt_cache
        return documented_cache(self.provider, self.name)

    def period_on(self, day: date) -> Period | None:
        """Return the prices in force on a day (UTC), or None where there are none.

        Where they change by the time of day, these are the highest of the day; ``period_at`` gives the price at a time.
        """
        chosen = None
        for period in self.periods:
            if period.effective is not None and period.effective > day:
                break
            chosen = period
        return chosen

    def period_at(self, timestamp: datetime) -> Period | None:
        """Return the prices in force at a timestamp with a zone, by its time of day, too; None where there are none."""
        period = self.period_on((timestamp if timestamp.tzinfo is UTC else timestamp.astimezone(UTC)).date())
        return period if period is None or not period.hours else period.at(timestamp)

    def deprecated_on(self, day: date) -> bool:
        """Return whether the provider no longer recommends the model on a day (UTC)."""
        return self.deprecated is not None and self.deprecated <= day

    def retired_on(self, day: date) -> bool:
        """Return whether the model no longer answers on a day (UTC)."""
        return self.retired is not None and self.retired <= day


@frozen
class Catalogue:
    """The models there are, in the order of their names."""

    models: Mapping[str, Model]
    """By the model's own name."""
    digest: str
    """SHA-256, in hexadecimal, of everything here that can change a decision."""
    _by_name: Mapping[str, Model] = field(repr=False, compare=False)
    _versions: Versions[Model] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_versions", Versions(self.models.values()))

    def __reduce__(self) -> tuple[object, ...]:
        """Travel as plain dictionaries: what keeps them from being changed cannot be pickled."""
        return _restored, (dict(self.models), self.digest, dict(self._by_name))

    @classmethod
    def of(cls, models: Iterable[Model]) -> Catalogue:
        """Build a catalogue; ``ValueError`` where two models share a name or an alias."""
        ordered = sorted(models, key=lambda model: model.name)
        by_name: dict[str, Model] = {}
        for model in ordered:
            for name in (model.name, *model.aliases):
                if by_name.setdefault(name, model) is not model:
                    raise ValueError(f"`{name}` is the name of two models")
        own_names = MappingProxyType({model.name: model for model in ordered})
        return cls(own_names, digest_of(ordered), MappingProxyType(by_name))

    def find(self, name: str) -> Model | None:
        """Return the model that a name means, None where it means none, or could mean two.

        The one way from a name to a model, for policies, requests, answers and logs alike: its own name, an alias,
        ``provider/name``, and else what ``catalogue.versions`` makes of a dated, prefixed or regional name.
        """
        return self._by_name.get(name) or self._versions.find(name)

    def calls_it(self, name: str) -> bool:
        """Return whether a model has this very name, so that nothing has to be made of it."""
        return name in self._by_name

    def suggest(self, name: str) -> str | None:
        """Return the name that an unknown one probably means: the same model of a provider, or the nearest spelling."""
        ending = f"/{name}"
        same = next((model.name for model in self if model.name.endswith(ending)), None)
        return same or nearest(name, self._by_name)

    def __iter__(self) -> Iterator[Model]:
        return iter(self.models.values())

    def __len__(self) -> int:
        return len(self.models)


def _restored(models: dict[str, Model], digest: str, by_name: dict[str, Model]) -> Catalogue:
    return Catalogue(MappingProxyType(models), digest, MappingProxyType(by_name))


def digest_of(models: Iterable[Model]) -> str:
    """Return the SHA-256, in hexadecimal, of the models' names, facts and prices.

    It does not depend on the order of models and keys, on how a number was written, nor on where a price comes from.
    """
    from hashlib import sha256  # a plan that was kept has its digest

    content = sorted((_facts(model) for model in models), key=lambda facts: facts["name"])
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return sha256(text.encode("ascii")).hexdigest()


def _facts(model: Model) -> dict[str, Any]:
    others: dict[str, Any] = {"other_versions": sorted(model.other_versions)} if model.other_versions else {}
    if model.prompt_cache is not None:
        cache = model.prompt_cache
        others["prompt_cache"] = [cache.lifetime, cache.min_tokens, cache.step_tokens, cache.automatic]
    if model.usd_per_tool_use:
        others["usd_per_tool_use"] = {name: plain(fee) for name, fee in model.usd_per_tool_use.items()}
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
        "quality": {task: _quality(value, model.evidence.get(task)) for task, value in model.quality.items()},
        "regions": model.regions,
        "external": model.external,
        "deprecated": _day(model.deprecated),
        "retired": _day(model.retired),
        "labels": dict(model.labels),
    }


def _quality(value: float, evidence: Evidence | None) -> Any:
    if evidence is None:
        return float(value)
    low, high, level = (_double(number) for number in (evidence.low, evidence.high, evidence.level))
    return [
        float(value), low, high, level, evidence.cases, _day(evidence.measured), evidence.source, evidence.data
    ]  # fmt: skip


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
