"""What OpenAI bills and reports.

Sources: OpenAI API reference, "Costs" (``amount.value`` in ``amount.currency``, ``start_time`` and ``end_time`` in
seconds since 1970) and "Completions usage" (``input_tokens`` includes cached, cache-written and audio tokens). A line
item is ``gpt-5.4-mini-2026-03-17, cached input``, ``priority | gpt-5.6, output, long context`` or a tool's name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.catalogue import Usage
from costlens_policy.invoice.lines import BilledLine, Fields

__all__ = ["costs", "exported_costs", "usage"]

_KEYS: Final = {"api_key": "api_key_id", "project": "project_id", "user": "user_id", "account": "organization_id"}
_KINDS: Final = (
    ("cached input", "cache_read"), ("cache write", "cache_write"), ("input", "input"), ("output", "output"),
)  # fmt: skip


def costs(fields: Fields) -> Iterator[BilledLine]:
    """Yield the line of a cost object of the API."""
    yield _cost(fields, "amount.value", "amount.currency")


def exported_costs(fields: Fields) -> Iterator[BilledLine]:
    """Yield the line of a row of the dashboard; days without costs have empty rows."""
    if fields.text("amount_value") or fields.text("line_item"):
        yield _cost(fields, "amount_value", "amount_currency")


def _cost(fields: Fields, amount: str, currency: str) -> BilledLine:
    start, end = fields.span("start_time", "end_time", "s")
    item = fields.text("line_item")
    tier, _, rest = item.rpartition("|")
    head, comma, what = rest.partition(",")
    model = head.split()[0] if comma and head.strip() else ""
    return BilledLine(
        fields.place, "openai-costs", "openai", start, end, model, fields.keys(**_KEYS),
        "tool" if item and not model else "usage", fields.amount(amount), fields.currency(currency),
        tier=tier.strip().lower(), kind_of_token=_kind_of(what, head) if model else "", about=item,
    )  # fmt: skip


def _kind_of(what: str, head: str) -> str:
    found = next((kind for words, kind in _KINDS if words in what.lower()), "")
    audio = {"input": "input_audio", "cache_read": "cache_read_audio", "output": "output_audio"}
    return audio.get(found, found) if " audio" in head else found


def usage(fields: Fields) -> Iterator[BilledLine]:
    """Yield the line of a usage object, of completions or another kind of request."""
    if not fields.text("num_model_requests"):
        return
    start, end = fields.span("start_time", "end_time", "s")
    batch = fields.text("batch").lower() == "true"
    yield BilledLine(
        fields.place, "openai-usage", "openai", start, end, fields.text("model"), fields.keys(**_KEYS),
        usage=_tokens(fields), requests=fields.count("num_model_requests"),
        tier="batch" if batch else fields.text("service_tier").lower(),
    )  # fmt: skip


def _tokens(fields: Fields) -> Usage:
    cached, written = fields.count("input_cached_tokens"), fields.count("input_cache_write_tokens")
    heard, spoken = fields.count("input_audio_tokens"), fields.count("output_audio_tokens")
    within, all_input, output = cached + written + heard, fields.count("input_tokens"), fields.count("output_tokens")
    if within > all_input or spoken > output:
        raise fields.error(f"`input_tokens` must include cached and audio tokens, got {all_input} with {within} inside")
    return Usage(
        input=all_input - within, cache_read=cached, cache_write=written, output=output - spoken,
        input_audio=heard, output_audio=spoken,
    )  # fmt: skip
