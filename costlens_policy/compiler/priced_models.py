"""The catalogue on one day: prices in force, what has been retired, and each model as expressions see it."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from datetime import date
from decimal import Decimal
from itertools import chain
from typing import Any, Final, TypeAlias

from costlens_policy.catalogue import Catalogue, Model, Period
from costlens_policy.checker.attributes import model_values
from costlens_policy.compiler.formula import Formula
from costlens_policy.expressions import Value
from costlens_policy.expressions.runtime import CelError
from costlens_policy.frozen import frozen, rebuilt
from costlens_policy.money import multiply

__all__ = ["Admitted", "Bands", "Listed", "PriceTable", "PricedModel", "Shortlist", "Shortlists", "Snapshots"]


_DAYS_KEPT: Final = 64


@frozen
class Admitted:
    """Which models may serve although the catalogue says too little about them."""

    unknown_models: bool
    unpriced_models: bool
    deprecated_models: bool


@rebuilt
@frozen
class PricedModel:
    """A model on a day.

    ``view`` is the record ``model`` of expressions; ``refusal`` says why it may not serve, or is empty. ``most_output``
    and ``window`` are the model's limits in tokens, beyond every number where they are not known. ``usual`` is what a
    token of the prompt, one of the output and the request itself cost in whole units, so many to the dollar; None where
    that depends on the length of the prompt, or some tokens of a text may cost more.
    """

    model: Model
    period: Period | None
    view: Mapping[str, Value]
    refusal: str
    most_output: float = field(init=False)
    window: float = field(init=False)
    usual: tuple[int, int, int] | None = field(init=False, repr=False, compare=False)
    units_per_usd: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        most, window = self.model.max_output_tokens, self.model.context_window
        period = self.period
        is_usual = period is not None and not period.long_context and period.rates.is_plain
        is_usual = is_usual and not self.model.usd_per_tool_use
        units_per_usd = period.rates.units_per_usd if period is not None else 1
        object.__setattr__(self, "units_per_usd", units_per_usd)
        object.__setattr__(self, "usual", period.rates.in_units(units_per_usd) if period and is_usual else None)
        object.__setattr__(self, "most_output", math.inf if most is None else most)
        object.__setattr__(self, "window", math.inf if window is None else window)

    def usual_cost(self, units: int) -> Decimal:
        """Return the US dollars of so many units."""
        assert self.period is not None
        return self.period.rates.usd(units)


class Snapshots:
    """The models by canonical name, day by day. Each day is made once and kept; safe for threads."""

    __slots__ = ("_admission", "_catalogue", "_days", "_largest_window")

    def __init__(self, catalogue: Catalogue, admission: Admitted) -> None:
        self._catalogue = catalogue
        self._admission = admission
        self._days: dict[date, Mapping[str, PricedModel]] = {}
        windows = [model.context_window for model in catalogue.models.values()]
        known = bool(windows) and not admission.unknown_models and None not in windows
        self._largest_window = max(window for window in windows if window is not None) if known else math.inf

    def __getnewargs__(self) -> tuple[Catalogue, Admitted]:
        """Return what makes it again when a plan is saved and loaded."""
        return self._catalogue, self._admission

    def __reduce__(self) -> tuple[type[Snapshots], tuple[Catalogue, Admitted]]:
        return Snapshots, self.__getnewargs__()

    @property
    def largest_window(self) -> float:
        """Tokens that the context window of some model has, beyond every number where one is not known."""
        return self._largest_window

    def on(self, day: date) -> Mapping[str, PricedModel]:
        """Return all models on a day (UTC)."""
        known = self._days.get(day)
        if known is None:
            known = {name: self.of(model, day) for name, model in self._catalogue.models.items()}
            if len(self._days) >= _DAYS_KEPT:  # a replay walks over years, and asks for no day again
                self._days.clear()
            self._days[day] = known
        return known

    def of(self, model: Model, day: date) -> PricedModel:
        """Return one model on a day, also one that the catalogue does not list."""
        period = model.period_on(day)
        return PricedModel(model, period, model_values(model, period, day), self._refusal(model, period, day))

    def _refusal(self, model: Model, period: Period | None, day: date) -> str:
        if model.name not in self._catalogue.models:
            return "" if model.name and self._admission.unknown_models else "the catalogue does not list it"
        if model.retired is not None and model.retired <= day:
            return f"retired since {model.retired}"
        if model.deprecated is not None and model.deprecated <= day and not self._admission.deprecated_models:
            return f"deprecated since {model.deprecated}, and the policy set admits no deprecated models"
        if period is None and not self._admission.unpriced_models:
            return "it has no price, and the policy set admits no unpriced models"
        return ""


_SHORTLISTS_KEPT: Final = 8
_ORDERS_KEPT: Final = 64

Row: TypeAlias = tuple[int, int, int, float]
"""Units for a token of the prompt, one of the output and the request itself, and the most output tokens there are."""


@frozen
class Listed:
    """A model that the filter of a choice keeps.

    ``reason`` says why it does not qualify, whatever the request is; ``error`` why the filter cannot judge it.
    """

    priced: PricedModel
    reason: str
    error: CelError | None

    @property
    def qualifies(self) -> bool:
        return not self.reason and self.error is None


@frozen
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

    def __init__(self, models: Sequence[PricedModel], max_cost_usd: Decimal | None) -> None:
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

    def _row(self, model: PricedModel, prompt_tokens: int) -> Row:
        assert model.period is not None
        rates = model.period.rates_for(prompt_tokens)
        return (*rates.in_units(self.units_per_usd), model.most_output)


@frozen
class Shortlist:
    """A choice on one day: the models that its filter keeps, those of them that qualify, and their prices.

    ``prices`` is None where some model that qualifies has no price.
    """

    listed: tuple[Listed, ...]
    ahead: int
    """How many of ``listed`` stand before the first that qualifies: those are told before the request is rewritten."""
    qualified: tuple[PricedModel, ...]
    prices: PriceTable | None
    contests: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """By task, what the engine has made of the quality of those that qualify; kept for a while."""


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

    def on(self, day: date, priced: Callable[[str], PricedModel]) -> Shortlist:
        """Return the shortlist of a day; ``priced`` gives the models on it."""
        known = self._days.get(day)
        if known is None:
            if len(self._days) >= _SHORTLISTS_KEPT:
                self._days.clear()
            known = self._days[day] = self._make([priced(name) for name in self._models])
        return known

    def _make(self, priced_models: Sequence[PricedModel]) -> Shortlist:
        listed = tuple(item for item in map(self._examine, priced_models) if item is not None)
        qualified = tuple(item.priced for item in listed if item.qualifies)
        ahead = next((place for place, item in enumerate(listed) if item.qualifies), len(listed))
        priced = all(priced.period is not None for priced in qualified)
        prices = PriceTable(qualified, self._max_cost_usd) if priced else None
        return Shortlist(listed, ahead, qualified, prices)

    def _examine(self, priced: PricedModel) -> Listed | None:
        if self._among is not None:
            try:
                if not self._among.evaluate(None, None, None, priced.view, None, None):
                    return None
            except CelError as error:
                return Listed(priced, "", error)
        return Listed(priced, priced.refusal or self._lack(priced) or self._delay(priced), None)

    def _lack(self, priced: PricedModel) -> str:
        missing = sorted(self._requires - (priced.model.capabilities or frozenset()))
        return f"the choice requires `{missing[0]}`" if missing else ""

    def _delay(self, priced: PricedModel) -> str:
        latency, most = priced.model.latency_p50_ms, self._max_latency_ms
        if most is None or (latency is not None and latency <= most):
            return ""
        known = "not known" if latency is None else f"{latency:g} ms"
        return f"its median latency is {known}, the choice allows {most:g} ms"


def _units_within(limit: Decimal, units_per_usd: int) -> int:
    """Return the most units that cost no more than a limit."""
    numerator, denominator = limit.as_integer_ratio()
    return numerator * units_per_usd // denominator
