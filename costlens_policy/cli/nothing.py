"""A command that found nothing to work on says so, instead of passing in silence."""

from __future__ import annotations

from costlens_policy.errors import CostlensPolicyError

__all__ = ["NothingError"]


class NothingError(CostlensPolicyError):
    """There is nothing to do; the message says what was looked for."""
