"""Prices as integers of one small unit for the whole catalogue, by model, day and length of the prompt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from costlens_policy.catalogue import Model
from costlens_policy.catalogue.rates import Period, Rates, Tariff, Usage, complete
from costlens_policy.compiler.plan import Plan
from costlens_policy.frozen import frozen
from costlens_policy.money import from_units, multiply, to_units, total
from costlens_policy.replay.columns.batch import EPOCH, others_in
from costlens_policy.usage import MULTIPLE_DIGITS, Portion, ServiceTerms, period_of, price_each, rate_of

__all__ = ["UnitPrice", "UnitPrices", "steps_of"]

_FEMTO_DIGITS: Final = 15
_FIRST: Final = date(1970, 1, 1)
_KEPT: Final = 100_000
_FURTHER_DIGITS: Final = 2 * MULTIPLE_DIGITS
"""Terms multiply prices by where a call ran, and by its speed."""


def _timestamp_of(day: int, minute: int) -> datetime:
    """Return a timestamp by the number of its day since 1970, and the minute of that day (UTC)."""
    return EPOCH + timedelta(days=day, minutes=minute)


def _day_of(number: int) -> date:
    """Return a day by its number since 1970."""
    return _FIRST + timedelta(days=number)


@frozen
class UnitPrice:
    """Units for a token of each bucket, and for the request itself."""

    per_token: Mapping[str, int]
    per_request: int


class UnitPrices:
    """The prices of a plan, as ``usage.pricing`` knows them.

    ``digits`` are the fractional digits of a US dollar that one unit stands for.

    ``starts`` are the lengths of prompts above which some model costs otherwise, ``minutes`` the minutes of a day (UTC)
    from which on one does; both ascend.
    """

    __slots__ = ("_made", "_others", "_steps_at", "digits", "is_coarse", "minutes", "plan", "starts")

    def __init__(self, plan: Plan) -> None:
        periods = [period for model in plan.catalogue for period in model.periods]
        tariffs = [tariff for period in periods for each in _every(period) for tariff in _tariffs(each)]
        rates = [item for tariff in tariffs for item in (tariff.rates, *(more for _, more in tariff.long_context))]
        self.plan = plan
        self._steps_at: dict[tuple[str, int, int, str | None], list[tuple[int, UnitPrice]] | None] = {}
        self._made: dict[tuple[int, Decimal], tuple[Rates, UnitPrice]] = {}
        self._others: dict[tuple[str, str, int, int, str | None], int] = {}
        self.digits = max((len(str(item.units_per_usd)) - 1 for item in rates), default=6) + _FURTHER_DIGITS
        self.is_coarse = self.digits <= _FEMTO_DIGITS
        self.starts, self.minutes = steps_of(plan.catalogue)

    def of(self, model: str, day: int, prompt: int, minute: int = 0, terms: str | None = None) -> UnitPrice | None:
        """Return the price of a model for prompts of a length on a day, None where there is none.

        ``minute`` is the last of ``minutes`` before the call, ``terms`` are those that it was served on.
        """
        key = model, day, minute, terms
        steps = self._steps_at.get(key, ...)
        if steps is ...:
            steps = self._steps(*key)
        if steps is None:
            return None
        chosen = steps[0][1]
        for above, price in steps[1:]:
            if prompt <= above:
                break
            chosen = price
        return chosen

    def of_others(self, others: str, model: str, day: int, minute: int, terms: str | None) -> int:
        """Return the cost of what a call used on further models, in units; ``others`` is as in batches."""
        key = others, model, day, minute, terms
        units = self._others.get(key)
        if units is None:
            parsed = ServiceTerms.of(terms)
            portions = [Portion(model, Usage(), parsed), *(Portion(*item, parsed) for item in others_in(others))]
            priced = list(price_each(self.plan.catalogue.find, portions, _timestamp_of(day, minute)))[1:]
            cost = total(item.cost for _, item in priced if item.cost is not None)
            units = to_units(cost, self.digits)
            if len(self._others) >= _KEPT:
                self._others.clear()
            self._others[key] = units
        return units

    def usd(self, units: int) -> Decimal:
        """Return an amount in US dollars."""
        return from_units(units, self.digits)

    def _steps(self, model: str, day: int, minute: int, terms: str | None) -> list[tuple[int, UnitPrice]] | None:
        priced = self.plan.snapshots.on(_day_of(day)).get(model)
        period = None if priced is None else period_of(priced.model, _timestamp_of(day, minute))
        steps = None
        if priced is not None and period is not None:
            parsed = ServiceTerms.of(terms)
            starts = sorted({0, *(above for tariff in _tariffs(period) for above, _ in tariff.long_context)})
            rates = ((start, rate_of(priced.model, period, Usage(input=start + 1), parsed)) for start in starts)
            steps = [(start, self._price(rate.rates, rate.multiple)) for start, rate in rates]
        if len(self._steps_at) >= _KEPT:
            self._steps_at.clear()
        self._steps_at[model, day, minute, terms] = steps
        return steps

    def _price(self, rates: Rates, multiple: Decimal) -> UnitPrice:
        known = self._made.get((id(rates), multiple))
        if known is None:
            per_million = self.digits - 6
            prices = complete(rates.usd_per_million_tokens)
            per_token = {bucket: to_units(multiply(amount, multiple), per_million) for bucket, amount in prices.items()}
            known = rates, UnitPrice(per_token, to_units(rates.usd_per_request, self.digits))
            self._made[id(rates), multiple] = known
        return known[1]


def steps_of(models: Iterable[Model]) -> tuple[list[int], list[int]]:
    """Return the lengths of prompts above which some model costs otherwise, and the minutes of a day from which on.

    Both ascend.
    """
    periods = [period for model in models for period in model.periods]
    tariffs = (tariff for period in periods for each in _every(period) for tariff in _tariffs(each))
    starts = {above for tariff in tariffs for above, _ in tariff.long_context}
    return sorted(starts), sorted({start for period in periods for start, _ in period.hours})


def _every(period: Period) -> Iterator[Period]:
    yield period
    yield from (at for _, at in period.hours)


def _tariffs(period: Period) -> Iterator[Tariff]:
    yield period.tariff()
    yield from period.service_tiers.values()
