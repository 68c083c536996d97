"""Usage: what providers report of a call, as tokens in disjoint buckets."""

from __future__ import annotations

from costlens_policy.usage.pricing import Priced, price_usage
from costlens_policy.usage.reading import SHAPES, read_usage, usage_fields
from costlens_policy.usage.report import Reported, UsageError

__all__ = ["SHAPES", "Priced", "Reported", "UsageError", "price_usage", "read_usage", "usage_fields"]
