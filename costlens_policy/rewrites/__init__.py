"""Rewrites: a request's prompt, messages and parameters changed by the operations of policies.

``content`` is what they work on, ``steps`` what every compiled operation has, ``shapes`` and ``texts`` where the texts
of a request stand. Each other file implements operations, which ``documents.rewrites`` lists with their facts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from costlens_policy.rewrites.content import (
    MOST_CHARACTERS,
    Change,
    Content,
    RewriteError,
    Rewritten,
    content_tokens,
    is_longer,
)
from costlens_policy.rewrites.steps import COMPILERS, Activation, Making, Merge, RewriteStep, Step, apply_steps, combine
from costlens_policy.tokens import ESTIMATE, Tokenizer

if TYPE_CHECKING:
    from costlens_policy.documents.rewrites import Operation

__all__ = [
    "MOST_CHARACTERS", "Activation", "Change", "Content", "Merge", "RewriteError", "RewriteStep", "Rewritten", "Step",
    "apply_steps", "combine", "compile_operation", "content_tokens", "implementations", "is_longer",
]  # fmt: skip


def compile_operation(
    operation: Operation, values: Mapping[str, Callable[..., Any]], tokenizer: Tokenizer = ESTIMATE
) -> RewriteStep:
    """Return a checked operation as a step: patterns compiled, templates parsed, numbers made plain.

    ``values`` holds the compiled expressions of the operation's section by name; they are called with the activation
    that ``apply`` gets, one argument for each of its entries. Token limits are measured with ``tokenizer``. Raises
    ``ValueError`` for a pattern, group or placeholder that the checker would have refused.
    """
    implementations()
    name, facts = operation.name, operation.facts
    parts = tuple(COMPILERS[name](operation.section, Making(values, tokenizer)))
    return RewriteStep(name, parts, facts.reads_texts, facts.shortens, facts.refuses)


def implementations() -> tuple[ModuleType, ...]:
    """Import and return the files that implement operations, each of which enters its own into ``COMPILERS``.

    They are imported when something is compiled: a plan that was saved names the steps that it has, and needs no other.
    """
    from costlens_policy.rewrites import (
        additions,
        examples,
        history,
        parameters,
        redaction,
        replacement,
        template,
        tool_output,
        tools,
    )

    return additions, examples, history, parameters, redaction, replacement, template, tool_output, tools
