"""The cost keys of LiteLLM's price file: ``<base>[_above_<ttl>][_above_<N>k_tokens][_<service tier>]``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["CostKey", "is_cost_key", "is_no_price", "may_be_price", "read_key"]

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
"""A key that has one of these words tells a price, whether this program knows what it means or not."""
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


@dataclass(frozen=True, slots=True)
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


def may_be_price(key: str) -> bool:
    """Return whether a key that is none of the grammar tells a price by its words."""
    return not _COST_WORDS.isdisjoint(key.split("_")) and not is_no_price(key)


def is_no_price(key: str) -> bool:
    """Return whether a key of a model's entry is known to say nothing about its price."""
    return _NO_PRICE.fullmatch(key) is not None


def read_key(key: str) -> CostKey:
    """Read a cost key; ``ValueError`` where it is not of the grammar."""
    found = _BY_TOKENS.fullmatch(key)
    if found is None:
        if _OTHERWISE.fullmatch(key) or _UPLIFT.fullmatch(key):
            return CostKey("")
        raise ValueError("it is no cost key that can be read")
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
