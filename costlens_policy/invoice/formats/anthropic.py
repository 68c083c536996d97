"""What Anthropic bills and reports.

Sources: Claude API reference, "Get cost report" (``amount`` in the lowest unit of the currency, as decimal text:
``"123.45"`` is $1.23; no costs of the priority tier) and "Get messages usage report" (``uncached_input_tokens``
excludes reads and writes of caches); the Console's exports write dollars, rounded to the cent, and names such as
``Claude Haiku 4.5``.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from costlens_policy.catalogue import Usage
from costlens_policy.invoice.lines import BilledLine, Fields, LineKind, rounded_to_cents
from costlens_policy.money import multiply

__all__ = ["console_costs", "console_usage", "costs", "usage"]

_KEYS: Final = {"api_key": "api_key_id|api_key", "workspace": "workspace_id|workspace"}
_CONSOLE_KEYS: Final = {"api_key": "api_key|api_key_id", "workspace": "workspace|workspace_id"}
_CENT: Final = Decimal("0.01")
_KINDS: Final = {
    "uncached_input_tokens": "input", "output_tokens": "output", "cache_read_input_tokens": "cache_read",
    "cache_creation.ephemeral_5m_input_tokens": "cache_write",
    "cache_creation.ephemeral_1h_input_tokens": "cache_write_1h",
    "input_no_cache": "input", "output": "output", "input_cache_read": "cache_read",
    "input_cache_write_5m": "cache_write", "input_cache_write_1h": "cache_write_1h",
}  # fmt: skip


def costs(fields: Fields) -> Iterator[BilledLine]:
    """Yield the line of a cost item of the Admin API."""
    start, end = fields.span("starting_at", "ending_at")
    amount = multiply(fields.amount("amount"), _CENT)
    yield BilledLine(
        fields.place, "anthropic-costs", "anthropic", start, end, fields.text("model"), fields.keys(**_KEYS),
        _kind_of(fields.text("cost_type")), amount, fields.currency("currency"),
        tier=fields.text("service_tier").lower(), kind_of_token=_KINDS.get(fields.text("token_type"), ""),
        about=fields.text("description"),
    )  # fmt: skip


def _kind_of(word: str) -> LineKind:
    return "usage" if word in ("", "tokens", "token") else "tool"


def usage(fields: Fields) -> Iterator[BilledLine]:
    """Yield the line of a usage item of the Admin API, which counts no requests."""
    start, end = fields.span("starting_at", "ending_at")
    tokens = Usage(
        input=fields.count("uncached_input_tokens"),
        cache_read=fields.count("cache_read_input_tokens"),
        cache_write=fields.count("cache_creation.ephemeral_5m_input_tokens|cache_creation_5m_input_tokens"),
        cache_write_1h=fields.count("cache_creation.ephemeral_1h_input_tokens|cache_creation_1h_input_tokens"),
        output=fields.count("output_tokens"),
    )
    yield BilledLine(
        fields.place, "anthropic-usage", "anthropic", start, end, fields.text("model"), fields.keys(**_KEYS),
        usage=tokens, tier=fields.text("service_tier").lower(), about=fields.text("context_window"),
    )  # fmt: skip


def console_costs(fields: Fields) -> Iterator[BilledLine]:
    """Yield the line of a row of the Console's costs."""
    start, end = fields.span("usage_date_utc", "")
    amount, word = fields.amount("cost_usd"), fields.text("token_type")
    about = ", ".join(filter(None, (fields.text("context_window"), fields.text("inference_geo"), fields.text("speed"))))
    yield BilledLine(
        fields.place, "anthropic-console-costs", "anthropic", start, end, fields.text("model"),
        fields.keys(**_CONSOLE_KEYS), _kind_of(fields.text("cost_type")), amount,
        tier=_tier(fields.text("usage_type")), kind_of_token=_KINDS.get(word, ""), about=about,
        digits=2 if rounded_to_cents(amount) else None,
    )  # fmt: skip


def console_usage(fields: Fields) -> Iterator[BilledLine]:
    """Yield the line of a row of the Console's usage."""
    start, end = fields.span("usage_date_utc", "")
    tokens = Usage(
        input=fields.count("usage_input_tokens_no_cache"),
        cache_read=fields.count("usage_input_tokens_cache_read"),
        cache_write=fields.count("usage_input_tokens_cache_write_5m"),
        cache_write_1h=fields.count("usage_input_tokens_cache_write_1h"),
        output=fields.count("usage_output_tokens"),
    )
    yield BilledLine(
        fields.place, "anthropic-console-usage", "anthropic", start, end, fields.text("model_version|model"),
        fields.keys(**_CONSOLE_KEYS), usage=tokens, tier=_tier(fields.text("usage_type")),
        about=fields.text("context_window"),
    )  # fmt: skip


def _tier(word: str) -> str:
    return "" if word.lower() in ("message", "messages", "api") else word.lower()
