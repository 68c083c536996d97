"""What can be told of conditions without a request."""

from __future__ import annotations

from costlens_policy.checker.conditions.condition import ALWAYS, Condition, condition_of
from costlens_policy.checker.conditions.cover import Cover

__all__ = ["ALWAYS", "Condition", "Cover", "condition_of"]
