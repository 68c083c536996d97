"""What a report cannot be made of, or cannot show."""

from __future__ import annotations

from costlens_policy.errors import CostlensPolicyError

__all__ = ["ReportError"]


class ReportError(CostlensPolicyError):
    """A report cannot be made as it was asked for; after a semicolon the message says what to do."""
