"""CL471: a template that leaves out what the caller asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Finding, operations_of
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.rewrites.template import placeholders

__all__ = ["find_dropped_prompts"]

_FOUND: Final = Finding("CL471")


def find_dropped_prompts(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of templates without any placeholder: every caller then asks the same."""
    for operation, place in operations_of(subject.documents):
        if operation.template is not None and not list(placeholders(operation.template.text)):
            yield _FOUND.warning(
                "the template replaces the prompt by the same text for every request",
                place.at("template", "text").span,
                "has no placeholder",
                "write `{{ prompt }}` where the prompt is to stand",
            )
