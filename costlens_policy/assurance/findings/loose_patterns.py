"""CL445: a pattern that fits more than its author meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, TypeAlias

from costlens_policy.assurance.patterns import WrittenPattern, written_patterns
from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.diagnostics.model import Diagnostic

__all__ = ["find_loose_patterns"]

_FOUND: Final = Finding("CL445")
_Reason: TypeAlias = tuple[str, str, str]
"""The message, the label, and what to do."""
_PLAIN: Final = re.compile(r"[\w \-/:@]+")


def find_loose_patterns(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of patterns on a label that also fit what merely contains it, and of rewrites between all characters."""
    for pattern in subject.once(written_patterns):
        found = _replaced(pattern) if pattern.replaced else _matched(pattern)
        if found is not None:
            message, label, help = found
            yield _FOUND.warning(message, pattern.span, label, help)


def _replaced(pattern: WrittenPattern) -> _Reason | None:
    """Return what is wrong with the pattern of a rewrite."""
    text = pattern.text
    if pattern.fits_empty:
        message = f"the pattern `{text}` also matches the empty text, so that texts change between all characters"
        return message, "matches everywhere", "write `+` instead of `*`, or `{1,}` instead of `{0,}`"
    if pattern.is_of_whole_text:
        message = f"the pattern `{text}` matches whole texts only, not what stands inside of one"
        return message, "`^` and `$` are the ends of the text", "leave `^` and `$` out, or write `\\b`"
    return _slip(pattern)


def _slip(pattern: WrittenPattern) -> _Reason | None:
    """Return a slip of the pen that patterns everywhere may have."""
    text = pattern.text
    if pattern.has_wide_class:
        message = f"`A-z` in the pattern `{text}` also matches ``[ \\ ] ^ _ ` ``"
        return message, "goes through the signs between `Z` and `a`", "write `A-Za-z`"
    if pattern.has_backslash:
        message = f"the pattern `{text}` asks for a backslash"
        return message, "escaped once too often", "write one backslash where YAML or CEL needs no second one"
    if pattern.has_bare_dot:
        message = f"the dot in the pattern `{text}` matches any character"
        return message, "not only a dot", "write `[.]` for a dot"
    return None


def _matched(pattern: WrittenPattern) -> _Reason | None:
    """Return what is wrong with the pattern of a condition."""
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
    return _slip(pattern) or _open_ended(pattern)


def _open_ended(pattern: WrittenPattern) -> _Reason | None:
    """Return how a pattern on a label fits more than the label that was meant."""
    text = pattern.text
    if pattern.has_empty_alternative:
        message = f"one of the alternatives of the pattern `{text}` is empty"
        return message, "also matches the empty text", "remove the `|` that nothing follows"
    if pattern.repeats_a_character:
        message = f"`*` in the pattern `{text}` repeats the character before it"
        return message, "not a wildcard", "write `.*` for any text"
    if pattern.begins_anywhere:
        return f"the pattern `{text}` also matches `non{text[:-1]}`", "begins anywhere", "put `^` before it"
    if pattern.ends_like_a_domain:
        message = f"the pattern `{text}` also matches texts that go on, as in `.example.org`"
        return message, "ends anywhere", "put `$` behind it"
    if pattern.is_of_words and not pattern.is_anchored:
        message = f"the pattern `{text}` also matches texts that contain one of these"
        return message, "matches anywhere in the text", f"write `^({text})$`"
    return None
