"""What can be wrong with a window."""

from __future__ import annotations

from costlens_policy.errors import CostlensPolicyError

__all__ = ["PeriodError"]


class PeriodError(CostlensPolicyError, ValueError):
    """A zone or a span that does not exist, or a time beyond the calendar."""
