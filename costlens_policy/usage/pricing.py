"""What reported usage costs: the one implementation for whatever charges, replays, reports or compares."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple

from costlens_policy.catalogue import BUCKETS, Model, Usage
from costlens_policy.catalogue.rates import Rates
from costlens_policy.catalogue.service_tiers import billed_rates
from costlens_policy.money import multiply, total
from costlens_policy.usage.report import USUAL_TERMS, Reported, Terms

__all__ = ["Portion", "Priced", "portions_of", "price_call", "price_each", "price_usage"]

_DEAREST_OF: Final = ("output", "reasoning", *(bucket for bucket in BUCKETS if bucket not in ("output", "reasoning")))
_ONE: Final = Decimal(1)

_ELSEWHERE: Final = frozenset({"global", "not_available", ""})
_US: Final = Decimal("1.1")
_US_FROM: Final = (4, 6)
"""The first generation of Claude whose calls cost more where they have to stay in the United States.

Source: Claude API documentation, "Data residency" and "Pricing".
"""
_USUAL_SPEED: Final = frozenset({"standard", "default", ""})
_FAST: Final = {"opus-4-6": Decimal(6), "opus-4-7": Decimal(6), "opus-4-8": Decimal(2)}
"""What fast mode multiplies prices by. Source: Claude API documentation, "Fast mode"; LiteLLM's price file agrees."""
_GENERATION: Final = re.compile(
    r"claude-(?P<family>[a-z]+)-(?P<major>\d)(?:[-.](?P<minor>\d{1,2}))?(?!\d)"
    r"|claude-(?P<major2>\d)(?:[-.](?P<minor2>\d{1,2}))?-(?P<family2>[a-z]+)"
)


class Portion(NamedTuple):
    """Usage on one model, which may be another than the one that was asked; ``unknown`` are tokens beyond it."""

    model: str
    usage: Usage
    terms: Terms = USUAL_TERMS
    unknown: int = 0


class Priced(NamedTuple):
    """The cost in US dollars, exact; None where the model has no price on the day.

    ``note`` says what is not known of the price, empty where all is. ``usage`` is what was priced: with tokens of an
    unknown kind as the dearest one.
    """

    cost: Decimal | None
    note: str = ""
    usage: Usage = Usage()


def portions_of(model: str, reported: Reported) -> Iterator[Portion]:
    """Yield what a provider reports for the model that was asked, then for those that it asked on its own."""
    yield Portion(model, reported.usage, reported.terms, reported.unknown)
    for name, usage in reported.other_models:
        yield Portion(name, usage, reported.terms)


def price_each(
    find: Callable[[str], Model | None],
    portions: Iterable[Portion],
    day: date,
    asked_tier: Callable[[str], str | None] = lambda model: None,
) -> Iterator[tuple[Portion, Priced]]:
    """Price each portion of a call. One that has no price of its own costs as the first: the unknown is not free.

    ``find`` gives a model by its name, ``asked_tier`` the service tier that a model was asked for.
    """
    first: Model | None = None
    for number, portion in enumerate(portions):
        model, tier = find(portion.model), asked_tier(portion.model)
        priced = price_usage(model, portion.usage, day, terms=portion.terms, asked_tier=tier, unknown=portion.unknown)
        if number == 0:
            first = model
        elif priced.cost is None and first is not None:
            priced = price_usage(first, portion.usage, day, terms=portion.terms, unknown=portion.unknown)
            priced = priced._replace(note=f"it has no price, so it is charged as `{first.name}`")
        yield portion, priced


def price_call(find: Callable[[str], Model | None], portions: Iterable[Portion], day: date) -> Priced:
    """Price a whole call, the sum over its models. None where the one that was asked has no price."""
    priced = list(price_each(find, portions, day))
    costs = [item.cost for _, item in priced]
    notes = [f"`{portion.model}`: {item.note}" for portion, item in priced if item.note]
    known = [cost for cost in costs if cost is not None]
    return Priced(None if len(known) < len(costs) else total(known), "; ".join(notes), priced[0][1].usage)


def price_usage(
    model: Model | None,
    usage: Usage,
    day: date,
    *,
    terms: Terms = USUAL_TERMS,
    asked_tier: str | None = None,
    unknown: int = 0,
) -> Priced:
    """Price the usage of one model at the prices of a day (UTC), on the terms that the provider reports.

    The service tier that it reports goes before the one that was asked for; ``unknown`` tokens cost what the dearest
    kind does. None for a model that the catalogue does not list.
    """
    period = None if model is None else model.period_on(day)
    if model is None or period is None:
        return Priced(None, "it has no price on this day", _with(usage, "output", unknown))
    rates, note = billed_rates(period, usage, terms.tier, asked_tier)
    if unknown:
        usage = _with(usage, rates.dearest(_DEAREST_OF), unknown)
        rates, note = billed_rates(period, usage, terms.tier, asked_tier)
    cost = rates.cost(usage)
    if terms.geo is None and terms.speed is None:
        return Priced(cost, note, usage)
    multiple, remark = _multiple_of(model, terms)
    return Priced(_times(cost, multiple, rates), "; ".join(filter(None, (note, remark))), usage)


def _with(usage: Usage, bucket: str, tokens: int) -> Usage:
    if not tokens:
        return usage
    counts = dict(usage.counted)
    return Usage(**{**counts, bucket: counts.get(bucket, 0) + tokens})


def _times(cost: Decimal, multiple: Decimal, rates: Rates) -> Decimal:
    """Multiply what the tokens cost; the price of the request itself stays."""
    if multiple == _ONE:
        return cost
    fixed = rates.usd_per_request
    return total((multiply(total((cost, -fixed)), multiple), fixed))


def _multiple_of(model: Model, terms: Terms) -> tuple[Decimal, str]:
    """Return what the prices of a model are multiplied by on some terms, and what is not known of that.

    Terms or models that are not known count as the dearest that are.
    """
    generation = _generation(model)
    multiple, remarks = _ONE, list[str]()
    geo = (terms.geo or "").lower()
    if geo not in _ELSEWHERE and (generation is None or generation[1] >= _US_FROM):
        multiple = _US
        if geo != "us" or generation is None:
            remarks.append(f"what `inference_geo: {terms.geo}` costs is not known; it counts {_US} times")
    speed = (terms.speed or "").lower()
    if speed not in _USUAL_SPEED:
        known = _FAST.get(generation[0]) if generation is not None and speed == "fast" else None
        if known is None:
            known = max(_FAST.values())
            remarks.append(f"what `speed: {terms.speed}` costs is not known; it counts {known} times")
        multiple = multiply(multiple, known)
    return multiple, "; ".join(remarks)


def _generation(model: Model) -> tuple[str, tuple[int, int]] | None:
    """Return family and generation of a Claude, such as ``opus-4-6`` and (4, 6); None for a name that tells none."""
    for name in (model.name, *model.aliases, model.base or ""):
        found = _GENERATION.search(name.lower())
        if found is not None:
            family = found["family"] or found["family2"]
            major, minor = found["major"] or found["major2"], found["minor"] or found["minor2"] or "0"
            return f"{family}-{major}-{minor}", (int(major), int(minor))
    return None
