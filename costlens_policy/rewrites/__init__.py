"""Rewrites: a request's prompt, messages and parameters changed by the operations of policies."""

from __future__ import annotations

from costlens_policy.rewrites.combination import combine
from costlens_policy.rewrites.compilation import compile_operation
from costlens_policy.rewrites.content import Change, Content, Outcome
from costlens_policy.rewrites.errors import RewriteError
from costlens_policy.rewrites.measure import content_tokens
from costlens_policy.rewrites.replacement import group_references
from costlens_policy.rewrites.steps import Activation, Merge, RewriteStep, Step, apply_steps

__all__ = [
    "Activation", "Change", "Content", "Merge", "Outcome", "RewriteError", "RewriteStep", "Step", "apply_steps",
    "combine", "compile_operation", "content_tokens", "group_references",
]  # fmt: skip
