"""LiteLLM's price file as the text of a catalogue, to be kept, reviewed and changed in a repository of policies.

Its prices are binary floats, written with up to 17 digits; they are taken with the 15 that a float surely keeps. A
threshold applies to the whole call, for ``xai`` from the threshold itself on. A table of ``tiered_pricing`` wins over
the model's own prices, and its tiers apply to the whole call, too. The grammar of cost keys is
``<base>[_above_<ttl>][_above_<N>k_tokens][_<service tier>]``.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Context, Decimal
from typing import Any, Final, TypeAlias

from costlens_policy.catalogue.catalogue import Model
from costlens_policy.catalogue.rates import BUCKETS, Period, Rates, Tariff, complete
from costlens_policy.catalogue.service_tiers import USUAL, tier_named, tier_tariff
from costlens_policy.catalogue.versions import matches
from costlens_policy.catalogue.writing import document_text
from costlens_policy.diagnostics.suggestion import listed
from costlens_policy.errors import InputError
from costlens_policy.frozen import frozen
from costlens_policy.money import MAX_FRACTION_DIGITS, ZERO, fraction_digits, multiply
from costlens_policy.source.located import SourceText

__all__ = ["CostKey", "import_litellm", "is_cost_key", "read_key"]

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

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+~-]{0,199}")

_EXAMPLE_ENTRY: Final = "sample_spec"


def import_litellm(source: SourceText, patterns: Sequence[str] = ("*",)) -> str:
    """Return a catalogue of the models in LiteLLM's ``model_prices_and_context_window.json`` that match.

    Prices that a catalogue cannot hold, such as those of searches, keys that may be prices, and models that are not
    priced by tokens are named in comments, with how many models have them. Raises ``InputError`` where the file, or a
    cost key of such a model, cannot be read.
    """
    entries = _entries(source)
    for pattern in patterns:
        if not any(matches(pattern, name) for name in entries):
            raise InputError(f"`{pattern}` matches no model of `{source.name}`")
    models: list[Model] = []
    unpriced: list[str] = []
    unnamed: list[str] = []
    unheld: Counter[str] = Counter()
    for name, entry in sorted(entries.items()):
        if not any(matches(pattern, name) for pattern in patterns):
            continue
        model, keys = _read(name, entry, source.name)
        if _NAME.fullmatch(name) is None:
            unnamed.append(name)
        elif not model.periods:
            unpriced.append(name)
        else:
            models.append(model)
            unheld.update(keys)
    head = {"name": "litellm", "version": "1", "description": "Prices of LiteLLM's model_prices_and_context_window."}
    return document_text(head, models, _left_out(unpriced, unnamed, unheld))


def _left_out(unpriced: Sequence[str], unnamed: Sequence[str], unheld: Mapping[str, int]) -> Iterator[str]:
    if unheld:
        keys = ", ".join(f"{key} ({count})" for key, count in sorted(unheld.items()))
        yield f"left out, with the number of models that have it: {keys}"
    if unpriced:
        yield f"left out, since they are not priced by input and output tokens: {listed(unpriced, most=50)}"
    if unnamed:
        yield f"left out, since their names cannot be names of models here: {listed(unnamed, most=50)}"


def _read(name: str, entry: Any, file: str) -> tuple[Model, tuple[str, ...]]:
    if not isinstance(entry, dict):
        raise InputError(f"`{file}`: the entry of `{name}` must be an object")
    try:
        return _model(name, entry, "LiteLLM")
    except ValueError as error:
        raise InputError(f"`{file}`: the price of `{name}` cannot be read, at {error}") from None


def _entries(source: SourceText) -> dict[str, Any]:
    try:
        content = json.loads(source.text, parse_float=Decimal, parse_constant=_no_number, object_pairs_hook=_unique)
    except RecursionError:
        raise InputError(f"`{source.name}` is nested too deeply") from None
    except ValueError as error:
        raise InputError(f"`{source.name}` is not valid JSON: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"`{source.name}` must be a JSON object with an entry for each model")
    content.pop(_EXAMPLE_ENTRY, None)
    return content


def _no_number(text: str) -> Any:
    raise ValueError(f"`{text}` is not a number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key `{key}` appears twice")
        found[key] = value
    return found


def _model(name: str, entry: Mapping[str, Any], source: str) -> tuple[Model, tuple[str, ...]]:
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
    unknown = [key for key in sorted(entry) if not is_cost_key(key) and not _is_no_price(key)]
    others = [key for key in unknown if _numbers(entry[key]) or (_may_be_price(key) and entry[key])]
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
        price_source=source + (f" (left out: {', '.join(shown)})" if shown else ""),
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
        raise ValueError(f"`{name}`: its value is not a number")
    rounded = _AS_FLOAT.create_decimal(value)
    if not 0 <= rounded < _MAX_PRICE:
        raise ValueError(f"`{name}`: its value `{rounded}` is not a price")
    price = rounded if bucket == _REQUEST else multiply(rounded, 1_000_000)
    if price >= _MAX_PRICE or fraction_digits(price) > MAX_FRACTION_DIGITS - 6:
        raise ValueError(f"`{name}`: its value `{rounded}` is not a price")
    return price


def _table(table: Any, usual: Mapping[str, Decimal]) -> _Steps:
    """Read ``tiered_pricing``; what a tier leaves out costs as its input, and output as the model's own.

    A table that prices no tokens gives nothing.
    """
    if not isinstance(table, list) or not all(isinstance(tier, dict) for tier in table):
        raise ValueError("`tiered_pricing`: it must be a list of tiers")
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


_BUCKETS: Final = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "output_cost_per_reasoning_token": "reasoning",
    "cache_read_input_token_cost": "cache_read",
    "input_cost_per_token_cache_hit": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
    "input_cost_per_audio_token": "input_audio",
    "cache_read_input_audio_token_cost": "cache_read_audio",
    "output_cost_per_audio_token": "output_audio",
    "input_cost_per_image_token": "input_image",
    "output_cost_per_image_token": "output_image",
    "input_cost_per_request": "request",
}
_UNHELD_TOKENS: Final = (
    "cache_creation_input_audio_token_cost", "cache_read_input_image_token_cost", "citation_cost_per_token",
    "explicit_cache_read_input_token_cost", "input_cost_per_video_token", "input_dbu_cost_per_token",
    "output_cost_per_video_token", "output_dbu_cost_per_token",
)  # fmt: skip
_NOT_BY_TOKENS: Final = (
    "annotation_cost_per_page", "code_interpreter_cost_per_session", "computer_use_input_cost_per_1k_tokens",
    "computer_use_output_cost_per_1k_tokens", "cost_per_second", "file_search_cost_per_1k_calls",
    "file_search_cost_per_gb_per_day", "google_maps_grounding_cost_per_query", "guardrail_cost_per_unit",
    "input_cost_per_audio_per_second", "input_cost_per_character", "input_cost_per_image", "input_cost_per_pixel",
    "input_cost_per_query", "input_cost_per_second", "input_cost_per_text_message", "input_cost_per_video_per_second",
    "ocr_cost_per_credit", "ocr_cost_per_page", "off_peak_pricing", "output_cost_per_character",
    "output_cost_per_image", "output_cost_per_pixel", "output_cost_per_second", "output_cost_per_video_per_second",
    "search_context_cost_per_query", "vector_store_cost_per_gb_per_day",
)  # fmt: skip
_COST_WORDS: Final = frozenset(
    ("cost", "costs", "discount", "fee", "fees", "multiplier", "multipliers", "price", "prices", "pricing", "rate",
     "rates", "surcharge", "uplift")
)  # fmt: skip
"""A key that has one of these words is a price, whether this program knows what it means or not."""
_NO_PRICE: Final = re.compile(
    r"supports_\w+|supported_\w+|max_\w+|min_\w+|litellm_provider|mode|source|comment|notes?|metadata|deprecation_date"
    r"|rpm|tpm|rpd|tpd|\w*rate_limits?|sample_rate|frame_rate|output_vector_size|tool_use_system_prompt_tokens"
    r"|token_count_\w+|prompt_cache_min_tokens|\w+_(?:threshold|dimensions?|resolutions?|endpoints?|regions?|modalities|version|versions|url|name|id|date)"
)
"""Keys that say something else of a model, also by numbers."""
_SERVICE_TIERS: Final = "balanced|batches|decisions|flex|priority|ultrafast"
_UPLIFT: Final = re.compile(r"regional_\w+_uplift_multiplier(_\w+)?")


def _any_of(names: tuple[str, ...]) -> str:
    return "|".join(sorted(map(re.escape, names), key=len, reverse=True))


_BY_TOKENS: Final = re.compile(
    rf"(?P<base>{_any_of((*_BUCKETS, *_UNHELD_TOKENS))})"
    r"(_above_(?P<ttl>[0-9]+)(?P<ttl_unit>hr|m))?"
    rf"(_(?P<early_tier>{_SERVICE_TIERS}))?"
    r"(_above_(?P<above>[0-9]+)(?P<thousand>k?)_tokens)?"
    rf"(_(?P<tier>{_SERVICE_TIERS}))?"
)
_OTHERWISE: Final = re.compile(rf"({_any_of(_NOT_BY_TOKENS)})(?!_token)([_.][A-Za-z0-9_.]+)?")


@frozen
class CostKey:
    """What a cost key prices.

    ``bucket`` is a kind of token, ``request``, or empty for what a catalogue cannot hold; ``above`` the prompt length
    from which on it applies; ``service_tier`` the way of calling that it is for, empty for the usual one.
    """

    bucket: str
    above: int = 0
    service_tier: str = ""


def is_cost_key(key: str) -> bool:
    """Return whether a key of a model's entry says anything about its price."""
    return "cost" in key or "pricing" in key or _UPLIFT.fullmatch(key) is not None


def _may_be_price(key: str) -> bool:
    """Return whether a key that is none of the grammar is a price by its words."""
    return not _COST_WORDS.isdisjoint(key.split("_")) and not _is_no_price(key)


def _is_no_price(key: str) -> bool:
    """Return whether a key of a model's entry is known to say nothing about its price."""
    return _NO_PRICE.fullmatch(key) is not None


def read_key(key: str) -> CostKey:
    """Read a cost key; ``ValueError`` where it is not of the grammar."""
    found = _BY_TOKENS.fullmatch(key)
    if found is None:
        if _OTHERWISE.fullmatch(key) or _UPLIFT.fullmatch(key):
            return CostKey("")
        raise ValueError("unknown cost key")
    bucket = _BUCKETS.get(found["base"], "")
    if found["ttl"]:
        bucket = _with_ttl(bucket, found["ttl"] + found["ttl_unit"])
    above = int(found["above"] or 0) * (1000 if found["thousand"] else 1)
    return CostKey(bucket, above, found["tier"] or found["early_tier"] or "")


def _with_ttl(bucket: str, ttl: str) -> str:
    """Return the bucket of tokens that stay in the cache for so long."""
    if bucket == "cache_write" and ttl == "1hr":
        return "cache_write_1h"
    return bucket if bucket == "cache_write" and ttl == "5m" else ""
