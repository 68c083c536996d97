"""Models of LiteLLM's price file.

Its prices are binary floats, written with up to 17 digits; they are taken with the 15 that a float surely keeps. A
threshold applies to the whole call, for ``xai`` from the threshold itself on. A table of ``tiered_pricing`` wins over
the model's own prices, and its tiers apply to the whole call, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Context, Decimal
from typing import Any, Final, TypeAlias

from costlens_policy.catalogue.litellm_keys import is_cost_key, is_no_price, may_be_price, read_key
from costlens_policy.catalogue.model import Model
from costlens_policy.catalogue.rates import BUCKETS, Period, Rates, Tariff, complete
from costlens_policy.catalogue.service_tiers import USUAL, tier_named, tier_tariff
from costlens_policy.diagnostics.suggestion import listed
from costlens_policy.money import MAX_FRACTION_DIGITS, ZERO, fraction_digits, multiply

__all__ = ["litellm_model"]

_Steps: TypeAlias = dict[int, dict[str, Decimal]]
"""Prices by the prompt length above which they apply."""
_Tiers: TypeAlias = dict[str, _Steps]
"""Prices by service tier."""

_AS_FLOAT: Final = Context(prec=15)
_MAX_PRICE: Final = 10**9
_REQUEST: Final = "request"
_DEEPEST: Final = 8
_LONGEST: Final = 200
_CAPABILITIES: Final = {
    "supports_audio_input": "audio_input",
    "supports_audio_output": "audio_output",
    "supports_function_calling": "tools",
    "supports_parallel_function_calling": "parallel_tools",
    "supports_pdf_input": "file_input",
    "supports_prompt_caching": "prompt_caching",
    "supports_reasoning": "reasoning",
    "supports_response_schema": "json_schema",
    "supports_vision": "vision",
    "supports_web_search": "web_search",
}


def litellm_model(name: str, entry: Mapping[str, Any], source: str) -> tuple[Model, tuple[str, ...]]:
    """Return one model, and the keys that a catalogue cannot hold; ``price_source`` lists these, too.

    It is without periods where it has no price for both input and output tokens. Keys that are not known, and hold
    numbers, may be prices: they are among those that are not held, and so are facts that cannot be read. Raises
    ``ValueError``, with the key, where a cost key or its value cannot be read.
    """
    tiers, unheld = _prices(entry)
    if "tiered_pricing" in entry:
        table = _table(entry["tiered_pricing"], tiers.get(USUAL, {}).get(0, {}))
        tiers, unheld = ({**tiers, USUAL: table}, unheld) if table else (tiers, [*unheld, "tiered_pricing"])
    if entry.get("litellm_provider") == "xai":
        tiers = {name: _from_threshold_on(steps) for name, steps in tiers.items()}
    unknown = [key for key in sorted(entry) if not is_cost_key(key) and not is_no_price(key)]
    others = [key for key in unknown if _numbers(entry[key]) or (may_be_price(key) and entry[key])]
    others += _unread(entry)
    shown = [*unheld, *(f"{key}: {_numbers(entry[key]) or str(entry[key])[:_LONGEST]}" for key in others)]
    model = Model(
        name=name,
        provider=_text(entry.get("litellm_provider")),
        periods=_periods(tiers),
        context_window=_count(entry.get("max_input_tokens")),
        max_output_tokens=_count(entry.get("max_output_tokens")),
        capabilities=_capabilities(entry),
        deprecated=_day(entry.get("deprecation_date")),
        price_source=source + (f" (not held: {', '.join(shown)})" if shown else ""),
    )
    return model, (*unheld, *others)


def _unread(entry: Mapping[str, Any]) -> list[str]:
    """Return the keys of facts that are given, and cannot be read."""
    facts = {"max_input_tokens": _count, "max_output_tokens": _count, "deprecation_date": _day}
    unread = [key for key, read in facts.items() if entry.get(key) and read(entry[key]) is None]
    return unread + [key for key in _CAPABILITIES if not isinstance(entry.get(key), bool | None)]


def _numbers(value: Any, key: str = "", depth: int = 0) -> str:
    """Return the numbers that a value holds, with their keys; empty for none, as in texts and truth values."""
    if isinstance(value, bool) or value is None or isinstance(value, str) or depth > _DEEPEST:
        return ""
    if isinstance(value, Mapping):
        parts = (_numbers(item, f"{key}.{inner}" if key else str(inner), depth + 1) for inner, item in value.items())
    elif isinstance(value, list):
        parts = (_numbers(item, key, depth + 1) for item in value)
    else:
        return f"{key} {value}".strip()
    return ", ".join(filter(None, parts))[:_LONGEST]


def _prices(entry: Mapping[str, Any]) -> tuple[_Tiers, list[str]]:
    """Return the prices per million tokens, and the keys of those that a catalogue cannot hold."""
    tiers: _Tiers = {}
    unheld: list[str] = []
    for name in sorted(entry):
        value = entry[name]
        if not is_cost_key(name) or name == "tiered_pricing" or value is None:
            continue
        try:
            key = read_key(name)
        except ValueError as error:
            raise ValueError(f"`{name}`: {error}") from None
        if not key.bucket or (key.bucket == _REQUEST and key.above):
            unheld.append(name)
        else:
            prices = tiers.setdefault(tier_named(key.service_tier), {}).setdefault(key.above, {})
            # Two keys can price one thing: cache reads, prompts above 0 tokens, tiers before and after a threshold.
            prices[key.bucket] = max(_price(name, value, key.bucket), prices.get(key.bucket, ZERO))
    return tiers, unheld


def _from_threshold_on(steps: _Steps) -> _Steps:
    return {above - 1 if above else 0: prices for above, prices in steps.items()}


def _price(name: str, value: Any, bucket: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError(f"`{name}`: its value is no number")
    rounded = _AS_FLOAT.create_decimal(value)
    if not 0 <= rounded < _MAX_PRICE:
        raise ValueError(f"`{name}`: its value `{rounded}` is no price")
    price = rounded if bucket == _REQUEST else multiply(rounded, 1_000_000)
    if price >= _MAX_PRICE or fraction_digits(price) > MAX_FRACTION_DIGITS - 6:
        raise ValueError(f"`{name}`: its value `{rounded}` is no price")
    return price


def _table(table: Any, usual: Mapping[str, Decimal]) -> _Steps:
    """Read ``tiered_pricing``; what a tier leaves out costs as its input, and output as the model's own.

    A table that prices no tokens gives nothing.
    """
    if not isinstance(table, list) or not all(isinstance(tier, dict) for tier in table):
        raise ValueError("`tiered_pricing`: it is no list of tiers")
    tiers = [(tier, *_prices(tier)) for tier in table]
    if not any(prices for _, prices, _ in tiers):
        return {}
    own = {bucket: usual[bucket] for bucket in ("output", _REQUEST) if bucket in usual}
    steps: _Steps = {}
    for tier, prices, unheld in tiers:
        start = _start(tier)
        if unheld or set(prices) != {USUAL} or set(prices[USUAL]) != {0} or start in steps:
            raise ValueError(f"`tiered_pricing`: the tier above {start} tokens cannot be read")
        steps[start] = _complete(own | prices[USUAL][0])
    if 0 not in steps:
        raise ValueError("`tiered_pricing`: no tier starts at 0 tokens")
    return steps


def _complete(prices: dict[str, Decimal]) -> dict[str, Decimal]:
    """Fill a tier in, so that it takes nothing from the tier below."""
    tokens = {bucket: price for bucket, price in prices.items() if bucket != _REQUEST}
    return prices | complete(tokens) if {"input", "output"} <= tokens.keys() else prices


def _start(tier: Mapping[str, Any]) -> int:
    bounds = tier.get("range")
    start = bounds[0] if isinstance(bounds, list) and bounds else None
    if isinstance(start, bool) or not isinstance(start, int | Decimal) or start < 0 or start != int(start):
        raise ValueError(f"`tiered_pricing`: the range {listed([str(bounds)])} cannot be read")
    return int(start)


def _periods(tiers: _Tiers) -> tuple[Period, ...]:
    steps = tiers.get(USUAL, {})
    given: dict[str, Decimal] = {}
    rates: list[tuple[int, Rates]] = []
    for above in sorted(steps):
        given = given | steps[above]
        if not {"input", "output"} <= given.keys():
            return ()
        rates.append((above, Rates(_tokens(given), given.get(_REQUEST, ZERO))))
    if not rates or rates[0][0] != 0:
        return ()
    usual = Tariff(rates[0][1], tuple(rates[1:]))
    named = {name: _tier(steps[0], usual, own) for name, own in sorted(tiers.items()) if name != USUAL}
    return (Period(None, usual.rates, usual.long_context, named),)


def _tier(given: Mapping[str, Decimal], usual: Tariff, own: _Steps) -> Tariff:
    per_request = own.get(0, {}).get(_REQUEST, usual.rates.usd_per_request)
    prices = {above: _tokens(prices) for above, prices in own.items()}
    return tier_tariff(_tokens(given), usual, prices, per_request)


def _tokens(prices: Mapping[str, Decimal]) -> dict[str, Decimal]:
    return {bucket: prices[bucket] for bucket in BUCKETS if bucket in prices}


def _capabilities(entry: Mapping[str, Any]) -> frozenset[str] | None:
    """Return what the entry says the model supports; None where it says nothing of the kind."""
    if not any(name.startswith("supports_") for name in entry):
        return None
    return frozenset(_supported(entry))


def _supported(entry: Mapping[str, Any]) -> Iterator[str]:
    for name, capability in _CAPABILITIES.items():
        if entry.get(name) is True:
            yield capability
            if capability == "json_schema":
                yield "json_mode"


def _text(value: Any) -> str | None:
    return value[:60] if isinstance(value, str) and value else None


def _count(value: Any) -> int | None:
    """Return a number of tokens; None for what is none, such as a text or zero."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or value != int(value):
        return None
    return int(value) if 1 <= value <= 10**12 else None


def _day(value: Any) -> date | None:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
