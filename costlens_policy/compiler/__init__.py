"""The compiler: a checked bundle in, an immutable plan out."""

from __future__ import annotations

from costlens_policy.compiler.compile import compile_plan
from costlens_policy.compiler.plan import Plan

__all__ = ["Plan", "compile_plan"]
