"""CL454: a marker of cuts that is longer than what tool output may keep."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.checker.checks.subject import Finding, Subject, operations_of
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.documents.rewrites import ShortenToolOutput
from costlens_policy.rewrites.template import parse_template
from costlens_policy.tokens import ESTIMATE

__all__ = ["check_markers"]

_FOUND: Final = Finding("CL454")


def check_markers(subject: Subject) -> Iterator[Diagnostic]:
    """Report a marker with more tokens than ``max_tokens``, which it counts toward, at the shortest number."""
    for operation, place in operations_of(subject):
        section = operation.section
        if not isinstance(section, ShortenToolOutput):
            continue
        marker = parse_template(section.marker)
        tokens = ESTIMATE.count(marker.render(dict.fromkeys(marker.names, "1")))
        if tokens > section.max_tokens:
            yield _FOUND.error(
                f"the marker has {tokens} tokens, so a result cannot be cut to {section.max_tokens}",
                place.at(operation.name, "max_tokens").span,
                "less than the marker",
                "allow more tokens, or write a shorter `marker`",
            )
