"""Prices as whole numbers of one small unit for the whole catalogue, by model, day and length of the prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from costlens_policy.catalogue.rates import Rates, complete
from costlens_policy.compiler.plan import Plan
from costlens_policy.money import from_units, to_units

__all__ = ["Price", "Prices", "day_of"]

_FEMTO_DIGITS: Final = 15
_FIRST: Final = date(1970, 1, 1)
_KEPT: Final = 100_000


def day_of(number: int) -> date:
    """Return a day by its number since 1970."""
    return _FIRST + timedelta(days=number)


@dataclass(frozen=True, slots=True)
class Price:
    """Units for a token of each bucket, and for the request itself."""

    per_token: Mapping[str, int]
    per_request: int


class Prices:
    """The prices of a plan. ``digits`` are the fractional digits of a US dollar that one unit stands for.

    ``starts`` are the lengths of prompts above which some model costs otherwise, ascending.
    """

    __slots__ = ("_days", "_made", "_plan", "digits", "is_coarse", "starts")

    def __init__(self, plan: Plan) -> None:
        periods = [period for model in plan.catalogue for period in model.periods]
        rates = [item for period in periods for item in (period.rates, *(more for _, more in period.long_context))]
        self._plan = plan
        self._days: dict[tuple[str, int], list[tuple[int, Price]] | None] = {}
        self._made: dict[int, tuple[Rates, Price]] = {}
        self.digits = max((len(str(item.units_per_usd)) - 1 for item in rates), default=6)
        self.is_coarse = self.digits <= _FEMTO_DIGITS
        self.starts = sorted({above for period in periods for above, _ in period.long_context})

    def of(self, model: str, day: int, prompt: int) -> Price | None:
        """Return the price of a model for prompts of a length on a day, None where there is none."""
        steps = self._days.get((model, day), ...)
        if steps is ...:
            steps = self._steps(model, day)
        if steps is None:
            return None
        chosen = steps[0][1]
        for above, price in steps[1:]:
            if prompt <= above:
                break
            chosen = price
        return chosen

    def usd(self, units: int) -> Decimal:
        """Return an amount in US dollars."""
        return from_units(units, self.digits)

    def _steps(self, model: str, day: int) -> list[tuple[int, Price]] | None:
        offer = self._plan.snapshots.on(day_of(day)).get(model)
        period = None if offer is None else offer.period
        steps = None
        if period is not None:
            steps = [(0, self._price(period.rates)), *((at, self._price(more)) for at, more in period.long_context)]
        if len(self._days) >= _KEPT:
            self._days.clear()
        self._days[model, day] = steps
        return steps

    def _price(self, rates: Rates) -> Price:
        known = self._made.get(id(rates))
        if known is None:
            per_million = self.digits - 6
            prices = complete(rates.usd_per_million_tokens)
            per_token = {bucket: to_units(amount, per_million) for bucket, amount in prices.items()}
            known = rates, Price(per_token, to_units(rates.usd_per_request, self.digits))
            self._made[id(rates)] = known
        return known[1]
