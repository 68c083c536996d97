"""CL470: a text of the caller that a rewrite adds behind a redaction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.domain import Every, Nothing
from costlens_policy.assurance.findings.idle_rewrites import AppliedOperation, applied_operations
from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Finding, Place
from costlens_policy.diagnostics.model import Diagnostic, Related

__all__ = ["find_late_texts"]

_FOUND: Final = Finding("CL470")


def find_late_texts(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of values that a template takes from the request after personal data was redacted: they are sent as is."""
    redactions: list[AppliedOperation] = []
    for later in applied_operations(subject):
        if later.operation.redact is not None:
            redactions.append(later)
        if later.operation.template is None:
            continue
        for name in later.operation.template.values:
            value = later.place.at("values", name)
            text = _text_read(subject, value)
            before = next((item for item in redactions if _meets(subject, item, later)), None)
            if text and before is not None:
                yield _FOUND.mistake(
                    f"`{later.rule}` adds `request.{text}` after personal data was redacted",
                    value.span,
                    "is sent as the caller wrote it",
                    "put the redaction last",
                    [Related(before.place.key_span, "redacts before")],
                    witnesses=subject.shown(Every([before.goal, later.goal])) if later.surely else (),
                )


def _text_read(subject: Subject, place: Place) -> str:
    """Return a text of the request that an expression reads and that may be anything; empty for none."""
    typed = subject.documents.typed(place)
    for reference in sorted(typed.references) if typed is not None else ():
        attribute = subject.plan.attributes.get(reference[1]) if reference[0] == "request" and reference[1:] else None
        if attribute is not None and not attribute.values and attribute.type.name in ("string", "map", "list"):
            return ".".join(reference[1:])
    return ""


def _meets(subject: Subject, earlier: AppliedOperation, later: AppliedOperation) -> bool:
    """Say whether both operations may apply to one request; of routes, one does."""
    if earlier.of_route and later.of_route and earlier.rule != later.rule:
        return False
    return not isinstance(subject.domain.find(Every([earlier.goal, later.goal])), Nothing)
