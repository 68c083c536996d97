"""The compiler: a checked bundle in, an immutable plan out. A plan that was saved does without the first half."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costlens_policy.compiler.plan import Plan
from costlens_policy.on_demand import on_demand

if TYPE_CHECKING:
    from costlens_policy.compiler.compile import compile_plan

__all__ = ["Plan", "compile_plan"]

__getattr__ = on_demand(__name__, {"compile_plan": "costlens_policy.compiler.compile"})
