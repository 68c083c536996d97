"""What is raised for bundles that are not right, or not to be trusted."""

from __future__ import annotations

from costlens_policy.errors import CostlensPolicyError

__all__ = ["BundleError"]


class BundleError(CostlensPolicyError):
    """A bundle is damaged, cannot be built, or nobody who is trusted has signed it; the message names it."""
