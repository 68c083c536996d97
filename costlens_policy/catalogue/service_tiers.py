"""Service tiers: ways of calling one model that have prices of their own, such as ``flex``, ``priority``, ``batch``.

Sources of the names: OpenAI API reference, ``service_tier`` of chat completions and responses; Anthropic, "Service
tiers" (``standard``, ``priority``, ``batch``); Bedrock API reference, ``ServiceTier`` of Converse; Gemini API
reference, ``serviceTier``; LiteLLM's price file (``batches``).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from costlens_policy.catalogue.rates import Period, Rates, Tariff, Usage, complete

__all__ = [
    "AUTO", "BATCH", "SERVICE_TIER", "USUAL", "billed_rates", "expected_rates", "possible_rates", "tier_asked",
    "tier_named", "tier_tariff",
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
    was to choose, and does not say what it chose, the dearest of its tiers counts.
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
        return dearest, "the service tier is not reported, so the dearest counts: settle with the whole response"
    known = name in period.service_tiers or name in _NEVER_DEARER
    return expected_rates(period, prompt, name), "" if known else f"the service tier `{name}` has no price"


def tier_tariff(
    usual_given: Mapping[str, Decimal], usual: Tariff, given: Mapping[int, Mapping[str, Decimal]], per_request: Decimal
) -> Tariff:
    """Return the prices of a tier from those that are ``given`` for it, by the prompt length that they start above.

    A kind of token that is left out costs as usual (``usual_given``), and beyond a length as up to it. Where only the
    usual prices change at a length, the dearer of both counts from there on.
    """
    prices = {**usual_given, **given.get(0, {})}
    rates = Rates(prices, per_request)
    steps = []
    for above in sorted({*given, *(above for above, _ in usual.long_context)} - {0}):
        if above in given:
            prices = {**prices, **given[above]}
        else:
            prices = _dearer(complete(prices), usual.rates_for(above + 1).usd_per_million_tokens)
        steps.append((above, Rates(prices, per_request)))
    return Tariff(rates, tuple(steps))


def _dearer(prices: Mapping[str, Decimal], others: Mapping[str, Decimal]) -> dict[str, Decimal]:
    return {bucket: max(price, others[bucket]) for bucket, price in prices.items()}
