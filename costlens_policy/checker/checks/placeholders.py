"""CL419: a placeholder without a value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from costlens_policy.checker.checks.subject import Finding, Place, Subject, operations_of
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.diagnostics.suggestion import did_you_mean, listed
from costlens_policy.documents.rewrites import Template
from costlens_policy.expressions import Extent
from costlens_policy.rewrites.template import placeholders

__all__ = ["check_placeholders"]

_FOUND: Final = Finding("CL419")
_OTHERS: Final = re.compile(r"(?<!\{)\$?\{ *(\w+) *\}(?!\})")


def check_placeholders(subject: Subject) -> Iterator[Diagnostic]:
    """Report placeholders with unknown names; warn about those in texts that are sent as written."""
    for operation, place in operations_of(subject):
        facts = operation.facts
        if facts.text is None:
            continue
        section, at = operation.section, place.at(operation.name, facts.text)
        text, known = getattr(section, facts.text), facts.placeholders(section)
        if known:
            yield from _unknown(text, known, at, open_ended=isinstance(section, Template))
            yield from _foreign(text, known, at)
        else:
            yield from _never_filled(text, operation.name, at)


def _unknown(text: str, known: tuple[str, ...], place: Place, *, open_ended: bool) -> Iterator[Diagnostic]:
    for found in placeholders(text):
        if found.name not in known:
            if open_ended:
                declare = f"the placeholders are {listed(known)}; define others under `values`"
            else:
                declare = f"the only placeholder here is {listed(known)}"
            advice = did_you_mean(found.name, known) or declare
            span = place.part(Extent(found.start, found.end))
            yield _FOUND.error(f"unknown placeholder `{found.name}`", span, "has no value", advice)


def _foreign(text: str, known: tuple[str, ...], place: Place) -> Iterator[Diagnostic]:
    """Warn of a name that is known, in the brackets of other languages."""
    for found in _OTHERS.finditer(text):
        if found[1] in known:
            span = place.part(Extent(found.start(), found.end()))
            message = f"`{found[0]}` is sent as written"
            yield _FOUND.warning(message, span, "not a placeholder", f"write `{{{{ {found[1]} }}}}`")


def _never_filled(text: str, operation: str, place: Place) -> Iterator[Diagnostic]:
    for found in placeholders(text):
        span = place.part(Extent(found.start, found.end))
        advice = "use `template`, which fills in placeholders from its `values`"
        message = f"the placeholder `{found.name}` is sent as written"
        yield _FOUND.warning(message, span, f"`{operation}` does not fill in placeholders", advice)
