"""Rewrites: a request's prompt, messages and parameters changed by the operations of policies.

What compiles them is imported when it is used: it knows the documents, and a plan that was saved needs none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costlens_policy.on_demand import on_demand
from costlens_policy.rewrites.combination import combine
from costlens_policy.rewrites.content import Change, Content, Outcome
from costlens_policy.rewrites.errors import RewriteError
from costlens_policy.rewrites.measure import MOST_CHARACTERS, content_tokens, is_longer
from costlens_policy.rewrites.steps import Activation, Merge, RewriteStep, Step, apply_steps

if TYPE_CHECKING:
    from costlens_policy.rewrites.compilation import compile_operation
    from costlens_policy.rewrites.replacement import group_references

__all__ = [
    "MOST_CHARACTERS", "Activation", "Change", "Content", "Merge", "Outcome", "RewriteError", "RewriteStep", "Step",
    "apply_steps", "combine", "compile_operation", "content_tokens", "group_references", "is_longer",
]  # fmt: skip

__getattr__ = on_demand(
    __name__,
    {
        "compile_operation": "costlens_policy.rewrites.compilation",
        "group_references": "costlens_policy.rewrites.replacement",
    },
)
