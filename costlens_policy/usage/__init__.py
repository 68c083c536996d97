"""Usage: what providers report of a call, as tokens in disjoint buckets, and what it costs."""

from __future__ import annotations

from costlens_policy.usage.counting import (
    Held,
    count_at_most,
    count_reasoning,
    count_tokens,
    weighs_reasoning,
    weights_of,
)
from costlens_policy.usage.pricing import (
    MULTIPLE_DIGITS,
    Portion,
    Priced,
    Rate,
    period_of,
    portions_of,
    price_call,
    price_each,
    price_usage,
    rate_of,
)
from costlens_policy.usage.reading import SHAPES, read_usage, usage_fields
from costlens_policy.usage.reported import USUAL_TERMS, Reported, ServiceTerms, ToolUses, UsageError, added

__all__ = [
    "MULTIPLE_DIGITS", "SHAPES", "USUAL_TERMS", "Held", "Portion", "Priced", "Rate", "Reported", "ServiceTerms",
    "ToolUses", "UsageError", "added", "count_at_most", "count_reasoning", "count_tokens", "period_of", "portions_of",
    "price_call", "price_each", "price_usage", "rate_of", "read_usage", "usage_fields", "weighs_reasoning",
    "weights_of",
]  # fmt: skip
