"""What reported usage costs: the one implementation for whatever charges, replays or compares."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import NamedTuple

from costlens_policy.catalogue import Model, Usage
from costlens_policy.catalogue.service_tiers import billed_rates

__all__ = ["Priced", "price_usage"]


class Priced(NamedTuple):
    """The cost in US dollars, exact; None where the model has no price on the day.

    ``note`` says what is not known of the price, empty where all is.
    """

    cost: Decimal | None
    note: str = ""


def price_usage(
    model: Model | None, usage: Usage, day: date, *, reported_tier: str | None = None, asked_tier: str | None = None
) -> Priced:
    """Price the usage of one model at the prices of a day (UTC).

    The service tier that the provider reports goes before the one that was asked for. None for a model that the
    catalogue does not list.
    """
    period = None if model is None else model.period_on(day)
    if period is None:
        return Priced(None, "it has no price on this day")
    rates, note = billed_rates(period, usage, reported_tier, asked_tier)
    return Priced(rates.cost(usage), note)
