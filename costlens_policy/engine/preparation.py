"""Step 6, rewrites, and the tokens that follow from them: the request as it would be sent to one model.

Rewrites may read ``model``, so each candidate has a request of its own. Conditions that do not read it are asked once, and two
candidates to which the same rules apply share one rewritten request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from costlens_policy.compiler.plan import RewriteRule
from costlens_policy.compiler.snapshot import ModelOnDay
from costlens_policy.engine.context import Context, Refusal
from costlens_policy.engine.decision import Estimate
from costlens_policy.engine.estimate import estimate_call
from costlens_policy.engine.ladder import ActiveRung
from costlens_policy.expressions.runtime import CelError
from costlens_policy.rewrites import Activation, Content, RewriteError, RewriteStep

__all__ = ["Preparations", "Prepared"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A rewritten request. ``rules`` are the rewrites that were applied, in order; ``output_tokens`` is for one completion."""

    content: Content
    rules: tuple[str, ...]
    prompt_tokens: int
    output_tokens: int
    completions: int


class Preparations:
    """The rewritten requests of one decision."""
