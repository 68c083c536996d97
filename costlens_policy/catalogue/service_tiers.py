"""What a call asks for that changes its prices: a service tier, where it has to run, and how fast it is to be answered.

A service tier, such as ``flex``, ``priority`` or ``batch``, is a way of calling one model that has prices of its own.
Sources of the names: OpenAI API reference, ``service_tier`` of chat completions and responses; Anthropic, "Service
tiers" (``standard``, ``priority``, ``batch``); Bedrock API reference, ``ServiceTier`` of Converse; Gemini API
reference, ``serviceTier``; LiteLLM's price file (``batches``).

The rest multiplies the prices. Sources: Claude API documentation, "Data residency", "Fast mode" and "Pricing"
(LiteLLM's price file agrees); Amazon Bedrock's price list, "Latency optimized inference".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from costlens_policy.catalogue.catalogue import Model
from costlens_policy.catalogue.rates import Period, Rates, Tariff, Usage, complete
from costlens_policy.money import add, multiply, subtract

__all__ = [
    "AUTO", "BATCH", "MULTIPLYING", "MULTIPLYING_NAMES", "SERVICE_TIER", "USUAL", "asked_multiples", "billed_rates",
    "expected_rates", "multiple_of", "multiplied", "possible_rates", "tier_asked", "tier_named", "tier_tariff",
]  # fmt: skip

USUAL: Final = ""
"""The tier whose prices stand in the price list without a name."""
SERVICE_TIER: Final = "service_tier"
"""The parameter of a request that asks for a tier."""
AUTO: Final = "auto"
"""Asks the provider to choose."""
BATCH: Final = "batch"
"""Calls that are handed in as a file or a job: a provider cannot serve them at any other tier."""

_PREFIX: Final = "service_tier_"
_OTHER_NAMES: Final = {
    "default": USUAL, "standard": USUAL, "standard_only": USUAL, "on_demand": USUAL, "unspecified": USUAL,
    "batches": BATCH,
}  # fmt: skip
_NEVER_DEARER: Final = frozenset({USUAL, AUTO, BATCH, "flex", "scale", "reserved"})
"""Tiers that cost no more than the usual one, so that its prices stand in for theirs where these are not known."""


def tier_named(word: str) -> str:
    """Return the one name of a tier that providers call by several: ``USUAL`` for ``default``, ``standard``, …"""
    name = word.lower().removeprefix(_PREFIX)
    return _OTHER_NAMES.get(name, name)


def tier_asked(params: Mapping[str, Any]) -> str | None:
    """Return the word for the tier that the parameters of a request ask for; None where they leave it open."""
    asked = params.get(SERVICE_TIER)
    if asked is None:
        return None
    if isinstance(asked, Mapping):  # as Bedrock writes it
        asked = asked.get("type")
    return asked if asked is None or isinstance(asked, str) else repr(asked)


def expected_rates(period: Period, prompt_tokens: int, word: str) -> Rates:
    """Return the rates that a call which asks for a tier will probably have."""
    return period.tariff(tier_named(word)).rates_for(prompt_tokens)


def possible_rates(period: Period, prompt_tokens: int, word: str) -> tuple[Rates, ...]:
    """Return all the rates that a call which asks for a tier may have; none where that cannot be known.

    Where the provider chooses, it may choose any tier; and it may serve what asks for a tier at the usual one.
    """
    name, tiers = tier_named(word), period.service_tiers
    usual = period.rates_for(prompt_tokens)
    if name == AUTO:
        return (usual, *(tariff.rates_for(prompt_tokens) for tariff in tiers.values()))
    if name not in tiers:
        return (usual,) if name in _NEVER_DEARER else ()
    own = tiers[name].rates_for(prompt_tokens)
    return (own,) if name == BATCH else (usual, own)


def billed_rates(period: Period, usage: Usage, reported: str | None, asked: str | None) -> tuple[Rates, str]:
    """Return the rates of a call that was made, and what is not known of its tier, empty where all is.

    The tier that the provider reports counts; where it reports none, the one that was asked for. Where the provider
    was to choose, and does not say what it chose, the most expensive of its tiers counts.
    """
    prompt = usage.prompt_tokens
    if reported is None and asked is None:
        return period.rates_for(prompt), ""
    tier = None if reported is None or tier_named(reported) == AUTO else tier_named(reported)
    name = tier if tier is not None else tier_named(asked or USUAL)
    if name == AUTO:
        if not period.service_tiers:
            return period.rates_for(prompt), ""
        dearest = max(possible_rates(period, prompt, AUTO), key=lambda rates: rates.cost(usage))
        return (
            dearest,
            "the service tier is not reported, so the most expensive one counts: settle with the whole response",
        )
    known = name in period.service_tiers or name in _NEVER_DEARER
    return expected_rates(period, prompt, name), "" if known else f"the service tier `{name}` has no price"


def tier_tariff(
    usual_given: Mapping[str, Decimal], usual: Tariff, given: Mapping[int, Mapping[str, Decimal]], per_request: Decimal
) -> Tariff:
    """Return the prices of a tier from those that are ``given`` for it, by the prompt length that they start above.

    A kind of token that is left out costs as usual (``usual_given``), and beyond a length as up to it. Where only the
    usual prices change at a length, the more expensive of both counts from there on.
    """
    prices = {**usual_given, **given.get(0, {})}
    rates = Rates(prices, per_request)
    steps = []
    for above in sorted({*given, *(above for above, _ in usual.long_context)} - {0}):
        if above in given:
            prices = {**prices, **given[above]}
        else:
            prices = _highest(complete(prices), usual.rates_for(above + 1).usd_per_million_tokens)
        steps.append((above, Rates(prices, per_request)))
    return Tariff(rates, tuple(steps))


def _highest(prices: Mapping[str, Decimal], others: Mapping[str, Decimal]) -> dict[str, Decimal]:
    return {bucket: max(price, others[bucket]) for bucket, price in prices.items()}


MULTIPLYING: Final = ("inference_geo", "speed")
"""Anthropic's parameters of a request, and fields of a usage."""
_LATENCY: Final = ("performanceConfig", "performanceConfigLatency")
"""Bedrock's, of Converse and of InvokeModel."""
MULTIPLYING_NAMES: Final = frozenset((*MULTIPLYING, *_LATENCY))

_ONE: Final = Decimal(1)
_ELSEWHERE: Final = frozenset({"global", "not_available", ""})
_US: Final = Decimal("1.1")
_US_FROM: Final = (4, 6)
"""The first generation of Claude whose calls cost more where they have to stay in the United States."""
_USUAL_SPEED: Final = frozenset({"standard", "default", ""})
_FAST: Final = {"opus-4-6": Decimal(6), "opus-4-7": Decimal(6), "opus-4-8": Decimal(2)}
"""What fast mode multiplies prices by."""
_OPTIMIZED: Final = Decimal("1.25")
"""What Bedrock's optimized latency multiplies prices by, where it is not free."""
_GENERATION: Final = re.compile(
    r"claude-(?P<family>[a-z]+)-(?P<major>\d)(?:[-.](?P<minor>\d{1,2}))?(?!\d)"
    r"|claude-(?P<major2>\d)(?:[-.](?P<minor2>\d{1,2}))?-(?P<family2>[a-z]+)"
)


def asked_multiples(params: Mapping[str, Any]) -> tuple[str | None, str | None] | None:
    """Return where and how fast the parameters of a request ask a call to run; None where they leave both open."""
    if MULTIPLYING_NAMES.isdisjoint(params):
        return None
    geo, speed = (_word(params.get(name)) for name in MULTIPLYING)
    for name in _LATENCY:
        asked = params.get(name)
        speed = speed or _word(asked.get("latency") if isinstance(asked, Mapping) else asked)
    return None if geo is None and speed is None else (geo, speed)


def _word(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else repr(value)


def multiple_of(model: Model, geo: str | None, speed: str | None) -> tuple[Decimal, str]:
    """Return what the prices of a model are multiplied by on some terms, and what is not known of that.

    Unknown terms or models count as the most expensive known ones.
    """
    generation = _generation(model)
    multiple, remarks = _ONE, list[str]()
    where, how_fast = (geo or "").lower(), (speed or "").lower()
    if where not in _ELSEWHERE and (generation is None or generation[1] >= _US_FROM):
        multiple = _US
        if where != "us" or generation is None:
            remarks.append(f"the price of `inference_geo: {geo}` is unknown; it counts {_US} times")
    if how_fast == "optimized":
        multiple = multiply(multiple, _OPTIMIZED)
    elif how_fast not in _USUAL_SPEED:
        known = _FAST.get(generation[0]) if generation is not None and how_fast == "fast" else None
        if known is None:
            known = max(_FAST.values())
            remarks.append(f"the price of `speed: {speed}` is unknown; it counts {known} times")
        multiple = multiply(multiple, known)
    return multiple, "; ".join(remarks)


def multiplied(cost: Decimal, multiple: Decimal, per_request: Decimal) -> Decimal:
    """Return the cost of a call at a multiple of the prices of its tokens; that of the request itself stays."""
    return add(multiply(subtract(cost, per_request), multiple), per_request)


def _generation(model: Model) -> tuple[str, tuple[int, int]] | None:
    """Return family and generation of a Claude, such as ``opus-4-6`` and (4, 6); None for a name without one."""
    for name in (model.name, *model.aliases, model.base or ""):
        found = _GENERATION.search(name.lower())
        if found is not None:
            family = found["family"] or found["family2"]
            major, minor = found["major"] or found["major2"], found["minor"] or found["minor2"] or "0"
            return f"{family}-{major}-{minor}", (int(major), int(minor))
    return None
