"""Operations of policies made ready to run: patterns compiled, templates parsed, numbers made plain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from costlens_policy.documents.rewrites import Operation
from costlens_policy.rewrites import (
    affixes,
    examples,
    history,
    parameters,
    redaction,
    replacement,
    system_text,
    template,
    tool_output,
)
from costlens_policy.rewrites.steps import COMPILERS, Making, RewriteStep
from costlens_policy.tokens import ESTIMATE, Tokenizer

__all__ = ["IMPLEMENTATIONS", "compile_operation"]

IMPLEMENTATIONS: Final = (
    affixes, examples, history, parameters, redaction, replacement, system_text, template, tool_output,
)  # fmt: skip
"""The files that implement operations, each of which enters its own into ``COMPILERS``."""


def compile_operation(
    operation: Operation, values: Mapping[str, Callable[..., Any]], tokenizer: Tokenizer = ESTIMATE
) -> RewriteStep:
    """Return a checked operation as a step.

    ``values`` holds the compiled expressions of ``template.values`` by name; they are called with the activation that
    ``apply`` gets, one argument for each of its entries. Token limits are measured with ``tokenizer``. Raises
    ``ValueError`` for a pattern, group or placeholder that the checker would have refused.
    """
    name, facts = operation.name, operation.facts
    parts = tuple(COMPILERS[name](operation.section, Making(values, tokenizer)))
    return RewriteStep(name, parts, facts.reads_texts, facts.shortens)
