"""Wrong use of the guard. What a policy refuses is a ``DeniedError``, what a store cannot do a ``LedgerError``."""

from __future__ import annotations

from costlens_policy.errors import CostlensPolicyError

__all__ = ["GuardError", "UnguardedCallError"]


class GuardError(CostlensPolicyError):
    """The guard was asked for something that makes no sense, such as a model that the decision does not list."""


class UnguardedCallError(GuardError):
    """A wrapped client was asked for something that the guard neither decides nor counts. Nothing was sent."""
