"""CL445: a pattern that fits more than its author meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.patterns import WrittenPattern, written_patterns
from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.diagnostics.model import Diagnostic

__all__ = ["find_loose_patterns"]

_FOUND: Final = Finding("CL445")
_PLAIN: Final = re.compile(r"[\w \-/:@]+")


def find_loose_patterns(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of patterns on a label that also fit what merely contains it, and of rewrites between all characters."""
    for pattern in subject.once(written_patterns):
        found = _replaced(pattern) if pattern.replaced else _matched(pattern)
        if found is not None:
            message, label, help = found
            yield _FOUND.warning(message, pattern.span, label, help)


def _replaced(pattern: WrittenPattern) -> tuple[str, str, str] | None:
    """Return what is wrong with the pattern of a rewrite, the label for it, and what to do."""
    if not pattern.fits_empty:
        return None
    message = f"the pattern `{pattern.text}` also matches the empty text, so that texts change between all characters"
    return message, "matches everywhere", "write `+` instead of `*`, or `{1,}` instead of `{0,}`"


def _matched(pattern: WrittenPattern) -> tuple[str, str, str] | None:
    text = pattern.text
    if pattern.fits_all:
        return f"the pattern `{text}` matches every text", "always true", "anchor it with `^` and `$`, or use `+`"
    if not pattern.label:
        return None
    if _PLAIN.fullmatch(text):
        return (
            f"the pattern `{text}` also matches `non{text}` and `{text}s`",
            "matches anywhere in the text",
            f'write `== "{text}"`, `^{text}$`, or `contains("{text}")` where that is meant',
        )
    if pattern.has_loose_anchors:
        message = f"`^` or `$` belongs to one alternative only in the pattern `{text}`"
        return message, "the others match anywhere in the text", "put the alternatives in brackets: `^(a|b)$`"
    if pattern.has_bare_dot:
        message = f"the dot in the pattern `{text}` matches any character"
        return message, "not only a dot", "write `[.]` for a dot"
    return None
