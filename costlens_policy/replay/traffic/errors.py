"""What keeps traffic from being read at all. What is wrong with single rows is collected, never raised."""

from __future__ import annotations

from costlens_policy.errors import CostlensPolicyError

__all__ = ["TrafficError"]


class TrafficError(CostlensPolicyError):
    """Traffic, or a mapping of its columns, cannot be used as a whole; after a semicolon it says what to do."""
