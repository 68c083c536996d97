"""What reported usage costs: the one implementation for whatever charges, replays, reports or compares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Final, NamedTuple

from costlens_policy.catalogue import BUCKETS, Model, Usage
from costlens_policy.catalogue.rates import Period, Rates
from costlens_policy.catalogue.service_tiers import USUAL, billed_rates, multiple_of, multiplied, tier_named
from costlens_policy.money import total
from costlens_policy.usage.reported import USUAL_TERMS, Reported, ServiceTerms, ToolUses

__all__ = [
    "MULTIPLE_DIGITS", "Portion", "Priced", "Rate", "period_of", "portions_of", "price_call", "price_each",
    "price_usage", "rate_of",
]  # fmt: skip

MULTIPLE_DIGITS: Final = 1
"""As many digits after the point a multiple of prices has at most."""

_DEAREST_OF: Final = ("output", "reasoning", *(bucket for bucket in BUCKETS if bucket not in ("output", "reasoning")))
_ONE: Final = Decimal(1)


class Portion(NamedTuple):
    """Usage on one model, which may be another than the one that was asked; ``unknown`` are tokens beyond it.

    ``asked_tier`` is the service tier that the model was asked for, which counts where ``terms`` name none. Where
    ``is_reported`` is false, nobody reported the kinds of the tokens: ``input`` and ``output`` may be of any. Where
    ``tells_reasoning`` is false, ``output`` may be reasoning.
    """

    model: str
    usage: Usage
    terms: ServiceTerms = USUAL_TERMS
    unknown: int = 0
    asked_tier: str | None = None
    is_reported: bool = True
    tells_reasoning: bool = True
    tool_uses: ToolUses | None = None
    """How often each tool of the provider was used; None where nobody reported that."""


class Priced(NamedTuple):
    """The cost in US dollars, exact; None where the model has no price on the day.

    ``note`` says what is not known of the price, empty where all is. ``usage`` is what was priced: with tokens of an
    unknown kind as the most expensive one.
    """

    cost: Decimal | None
    note: str = ""
    usage: Usage = Usage()


def portions_of(model: str, reported: Reported) -> Iterator[Portion]:
    """Yield what a provider reports for the model that was asked, then for those that it asked on its own."""
    tells = reported.tells_reasoning
    yield Portion(
        model, reported.usage, reported.terms, reported.unknown, tells_reasoning=tells, tool_uses=reported.tool_uses
    )
    for name, usage in reported.other_models:
        yield Portion(name, usage, reported.terms, tells_reasoning=tells)


def price_each(
    find: Callable[[str], Model | None], portions: Iterable[Portion], at: date | datetime
) -> Iterator[tuple[Portion, Priced]]:
    """Price each portion of a call. One that has no price of its own costs as the first: the unknown is not free.

    ``find`` gives a model by its name.
    """
    first: Model | None = None
    for number, portion in enumerate(portions):
        name, usage, terms, unknown, asked_tier, *_ = portion
        model = find(name)
        priced = price_usage(model, usage, at, terms=terms, asked_tier=asked_tier, unknown=unknown)
        if number == 0:
            first = model
        elif priced.cost is None and first is not None:
            priced = price_usage(first, portion.usage, at, terms=portion.terms, unknown=portion.unknown)
            priced = priced._replace(note=f"it has no price, so it is charged as `{first.name}`")
        yield portion, priced


def price_call(find: Callable[[str], Model | None], portions: Iterable[Portion], at: date | datetime) -> Priced:
    """Price a whole call, the sum over its models. None where the one that was asked has no price."""
    priced = list(price_each(find, portions, at))
    costs = [item.cost for _, item in priced]
    notes = [f"`{portion.model}`: {item.note}" for portion, item in priced if item.note]
    known = [cost for cost in costs if cost is not None]
    return Priced(None if len(known) < len(costs) else total(known), "; ".join(notes), priced[0][1].usage)


def price_usage(
    model: Model | None,
    usage: Usage,
    at: date | datetime,
    *,
    terms: ServiceTerms = USUAL_TERMS,
    asked_tier: str | None = None,
    unknown: int = 0,
) -> Priced:
    """Price the usage of one model at the prices of a timestamp, or at the highest of a day (UTC).

    The service tier that the provider reports goes before the one that was asked for; ``unknown`` tokens cost what the
    most expensive kind does. None for a model that the catalogue does not list.
    """
    period = None
    if model is not None:
        period = model.period_at(at) if isinstance(at, datetime) else model.period_on(at)
    if model is None or period is None:
        return Priced(None, "it has no price on this day", _with(usage, "output", unknown))
    if terms is USUAL_TERMS and asked_tier is None and not unknown:  # as nearly always
        return Priced(period.rates_for(usage.prompt_tokens).cost(usage), "", usage)
    rate = rate_of(model, period, usage, terms, asked_tier)
    if unknown:
        usage = _with(usage, rate.rates.dearest(_DEAREST_OF), unknown)
        rate = rate_of(model, period, usage, terms, asked_tier)
    return Priced(rate.cost(usage), rate.note, usage)


def period_of(model: Model, at: date | datetime) -> Period | None:
    """Return the prices of a model at a timestamp, or the highest of a day (UTC); None where there are none."""
    return model.period_at(at) if isinstance(at, datetime) else model.period_on(at)


class Rate(NamedTuple):
    """The rates of one call, what they are multiplied by, and what is not known of them."""

    rates: Rates
    multiple: Decimal = _ONE
    note: str = ""

    def cost(self, usage: Usage) -> Decimal:
        """Return what a call costs in US dollars; the price of the request itself is not multiplied."""
        cost = self.rates.cost(usage)
        if self.multiple is _ONE:
            return cost
        return multiplied(cost, self.multiple, self.rates.usd_per_request)


def rate_of(
    model: Model, period: Period, usage: Usage, terms: ServiceTerms = USUAL_TERMS, asked_tier: str | None = None
) -> Rate:
    """Return the rates of a call on a model in a period, on the terms that the provider reports."""
    tier, speed = terms.tier, terms.speed
    if speed is not None and speed.lower() in period.service_tiers and tier_named(tier or USUAL) == USUAL:
        tier, speed = speed.lower(), None  # a price of its own goes before a multiple of the usual one
    rates, note = billed_rates(period, usage, tier, asked_tier)
    if terms.geo is None and speed is None:
        return Rate(rates, _ONE, note)
    multiple, remark = multiple_of(model, terms.geo, speed)
    return Rate(rates, multiple, "; ".join(filter(None, (note, remark))))


def _with(usage: Usage, bucket: str, tokens: int) -> Usage:
    if not tokens:
        return usage
    return usage._replace(**{bucket: getattr(usage, bucket) + tokens})
