"""What can be said of a choice before any request comes: which models can qualify on a day, and at what prices."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import chain
from typing import Final, TypeAlias

from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.snapshot import ModelOnDay
from costlens_policy.expressions.runtime import CelError
from costlens_policy.money import multiply

__all__ = ["Bands", "Listed", "PriceTable", "Shortlist", "Shortlists"]

_DAYS_KEPT: Final = 8
_ORDERS_KEPT: Final = 64

Row: TypeAlias = tuple[int, int, int, float]
"""Units for a token of the prompt, one of the output and the request itself, and the most output tokens there are."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A model that the filter of a choice keeps.

    ``reason`` says why it does not qualify, whatever the request is; ``error`` why the filter cannot judge it.
    """

    offer: ModelOnDay
    reason: str
    error: CelError | None

    @property
    def qualifies(self) -> bool:
        return not self.reason and self.error is None


@dataclass(frozen=True, slots=True)
class Bands:
    """Models in bands of those that cost the same, for prompts between two lengths: ``rows`` and ``names`` by band.

    A catalogue lists one price under many names (versions, regions), so there are fewer bands than models.
    """

    rows: tuple[Row, ...]
    names: tuple[tuple[str, ...], ...]
    _orders: dict[tuple[int, ...], tuple[str, ...]] = field(default_factory=dict, repr=False, compare=False)

    def in_order(self, order: tuple[int, ...]) -> tuple[str, ...]:
        """Return the names of all models, band after band. Kept for a while: few orders ever come up."""
        names = self._orders.get(order)
        if names is None:
            if len(self._orders) >= _ORDERS_KEPT:
                self._orders.clear()
            names = self._orders[order] = tuple(chain.from_iterable([self.names[band] for band in order]))
        return names


class PriceTable:
    """The prices of models in whole units, so many to the dollar for all of them."""

    __slots__ = ("_by_segment", "_models", "_starts", "_unit", "least_output", "most_units", "units_per_usd")

    def __init__(self, models: Sequence[ModelOnDay], max_cost_usd: Decimal | None) -> None:
        """Take models that all have a price. ``most_units`` is the highest cost that keeps to the limit."""
        periods = [model.period for model in models if model.period is not None]
        every = [rates for period in periods for rates in (period.rates, *(rates for _, rates in period.long_context))]
        self._models = models
        self._starts = sorted({above for period in periods for above, _ in period.long_context})
        self._by_segment: dict[int, Bands] = {}
        self.units_per_usd = max((rates.units_per_usd for rates in every), default=1)
        self._unit = 1 / Decimal(self.units_per_usd)
        self.least_output = min((model.most_output for model in models), default=math.inf)
        self.most_units = None if max_cost_usd is None else _units_within(max_cost_usd, self.units_per_usd)

    def bands(self, prompt_tokens: int) -> Bands:
        """Return the prices for prompts of a length. Made once between two lengths where prices change."""
        segment = bisect_left(self._starts, prompt_tokens) if self._starts else 0
        bands = self._by_segment.get(segment)
        if bands is None:
            bands = self._by_segment[segment] = self._made(prompt_tokens)
        return bands

    def cost(self, units: int) -> Decimal:
        """Return the US dollars of so many units."""
        return multiply(units, self._unit)

    def _made(self, prompt_tokens: int) -> Bands:
        names: dict[Row, list[str]] = {}
        for model in self._models:
            names.setdefault(self._row(model, prompt_tokens), []).append(model.model.name)
        return Bands(tuple(names), tuple(map(tuple, names.values())))

    def _row(self, model: ModelOnDay, prompt_tokens: int) -> Row:
        assert model.period is not None
        rates = model.period.rates_for(prompt_tokens)
        return (*rates.in_units(self.units_per_usd), model.most_output)


@dataclass(frozen=True, slots=True)
class Shortlist:
    """A choice on one day: the models that its filter keeps, those of them that qualify, and their prices.

    ``prices`` is None where some model that qualifies has no price.
    """

    listed: tuple[Listed, ...]
    ahead: int
    """How many of ``listed`` stand before the first that qualifies: those are told before the request is rewritten."""
    qualified: tuple[ModelOnDay, ...]
    prices: PriceTable | None


class Shortlists:
    """The shortlists of one choice, day by day. Each is made once and kept for a while; safe for threads.

    A filter that reads anything but ``model`` is not applied here.
    """

    __slots__ = ("_among", "_days", "_max_cost_usd", "_max_latency_ms", "_models", "_requires")

    def __init__(
        self,
        models: tuple[str, ...],
        among: Formula | None,
        requires: frozenset[str],
        max_latency_ms: float | None,
        max_cost_usd: Decimal | None,
    ) -> None:
        self._models = models
        self._among = among
        self._requires = requires
        self._max_latency_ms = max_latency_ms
        self._max_cost_usd = max_cost_usd
        self._days: dict[date, Shortlist] = {}

    def on(self, day: date, offer: Callable[[str], ModelOnDay]) -> Shortlist:
        """Return the shortlist of a day; ``offer`` gives the models on it."""
        known = self._days.get(day)
        if known is None:
            if len(self._days) >= _DAYS_KEPT:
                self._days.clear()
            known = self._days[day] = self._make([offer(name) for name in self._models])
        return known

    def _make(self, offers: Sequence[ModelOnDay]) -> Shortlist:
        listed = tuple(item for item in map(self._examine, offers) if item is not None)
        qualified = tuple(item.offer for item in listed if item.qualifies)
        ahead = next((place for place, item in enumerate(listed) if item.qualifies), len(listed))
        priced = all(offer.period is not None for offer in qualified)
        prices = PriceTable(qualified, self._max_cost_usd) if priced else None
        return Shortlist(listed, ahead, qualified, prices)

    def _examine(self, offer: ModelOnDay) -> Listed | None:
        if self._among is not None:
            try:
                if not self._among.evaluate(None, None, None, offer.view, None, None):
                    return None
            except CelError as error:
                return Listed(offer, "", error)
        return Listed(offer, offer.refusal or self._lack(offer) or self._delay(offer), None)

    def _lack(self, offer: ModelOnDay) -> str:
        missing = sorted(self._requires - (offer.model.capabilities or frozenset()))
        return f"the choice requires `{missing[0]}`" if missing else ""

    def _delay(self, offer: ModelOnDay) -> str:
        latency, most = offer.model.latency_p50_ms, self._max_latency_ms
        if most is None or (latency is not None and latency <= most):
            return ""
        known = "not known" if latency is None else f"{latency:g} ms"
        return f"its median latency is {known}, the choice allows {most:g} ms"


def _units_within(limit: Decimal, units_per_usd: int) -> int:
    """Return the most units that cost no more than a limit."""
    numerator, denominator = limit.as_integer_ratio()
    return numerator * units_per_usd // denominator
