"""CL467: a pattern that no text matches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.patterns import written_patterns
from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.diagnostics.model import Diagnostic

__all__ = ["find_unmatched_patterns"]

_FOUND: Final = Finding("CL467")


def find_unmatched_patterns(subject: Subject) -> Iterator[Diagnostic]:
    """Report patterns that ask for something before the beginning of a text, or behind its end."""
    for pattern in subject.once(written_patterns):
        if pattern.fits_nothing:
            report = _FOUND.mistake if pattern.replaced else _FOUND.warning
            yield report(
                f"no text matches the pattern `{pattern.text}`",
                pattern.span,
                "asks for something before the beginning of a text, or behind its end",
                "put `^` first and `$` last, or escape them where they stand for themselves",
            )
