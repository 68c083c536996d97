"""CL447: a text with a character that nobody sees."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.findings.texts import compared_texts
from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.diagnostics.model import Diagnostic

__all__ = ["find_hidden_characters"]

_FOUND: Final = Finding("CL447")


def find_hidden_characters(subject: Subject) -> Iterator[Diagnostic]:
    """Report texts that are compared, and declared values, with characters that have no width, or space around them."""
    sources = {item.located.source.name: item.located.source.text for item in subject.documents.documents()}
    for text in compared_texts(subject):
        span = text.span
        written = sources[span.file][span.start.offset : span.end.offset] if span.file in sources else text.value
        hidden = next((character for character in text.value if _is_hidden(character, written)), "")
        odd = next(
            (character for character in text.value if unicodedata.category(character) == "Zs" and character != " "), ""
        )
        if hidden or odd:
            name = unicodedata.name(hidden or odd, f"U+{ord(hidden or odd):04X}").lower()
            visible = text.value.replace(hidden or odd, "")
            yield _FOUND.mistake(
                f"the text `{visible}` has a character that cannot be seen: {name}",
                text.span,
                "never equal to what it looks like",
                "retype the text",
            )
        elif unicodedata.normalize("NFKC", text.value) != text.value:
            yield _FOUND.warning(
                f"the text `{text.value}` has characters that look like those of "
                f"`{unicodedata.normalize('NFKC', text.value)}`",
                text.span,
                "not equal to it",
                "retype the text",
            )
        elif text.value != text.value.strip():
            yield _FOUND.warning(
                f"the text `{text.value}` begins or ends with a space",
                text.span,
                "never equal to the same text without it",
                "remove the space",
            )


def _is_hidden(character: str, written: str) -> bool:
    """Say whether nobody sees a character. A tab or a line break that is written as an escape is meant."""
    kind = unicodedata.category(character)
    return kind in ("Cf", "Zl", "Zp") or (kind == "Cc" and character in written)
