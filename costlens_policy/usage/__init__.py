"""Usage: what providers report of a call, as tokens in disjoint buckets, and what it costs."""

from __future__ import annotations

from costlens_policy.usage.pricing import Portion, Priced, portions_of, price_call, price_each, price_usage
from costlens_policy.usage.reading import SHAPES, read_usage, usage_fields
from costlens_policy.usage.report import USUAL_TERMS, Reported, Terms, UsageError, added

__all__ = [
    "SHAPES", "USUAL_TERMS", "Portion", "Priced", "Reported", "Terms", "UsageError", "added", "portions_of",
    "price_call", "price_each", "price_usage", "read_usage", "usage_fields",
]  # fmt: skip
