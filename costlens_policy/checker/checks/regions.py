"""CL429: redaction by the numbering plan of a country that has none, or without the library that has the plans."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.checker.checks.subject import Finding, Subject, operations_of
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.documents.rewrites import Redact
from costlens_policy.rewrites.content import RewriteError
from costlens_policy.rewrites.personal_data.phone import unknown_region

__all__ = ["check_regions"]

_FOUND: Final = Finding("CL429")
_CODES: Final = "write a two-letter ISO 3166 code, such as `GB` for the United Kingdom"


def check_regions(subject: Subject) -> Iterator[Diagnostic]:
    """Report the countries of ``redact`` without a numbering plan."""
    for operation, place in operations_of(subject):
        section = operation.section
        if not isinstance(section, Redact):
            continue
        regions = place.at(operation.name, "regions")
        for index, region in enumerate(section.regions):
            try:
                unknown = unknown_region([region])
            except RewriteError as missing:
                yield _FOUND.error(
                    "numbering plans need a library that is not installed", regions.span, "", str(missing)
                )
                break
            if unknown is not None:
                yield _FOUND.error(
                    f"`{region}` has no numbering plan", regions.at(index).span, "unknown country", _CODES
                )
