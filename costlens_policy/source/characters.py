"""Refuse characters that a reader cannot see or that readers of YAML disagree about."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from costlens_policy.diagnostics.model import Diagnostic, Severity
from costlens_policy.source.located import SourceText
from costlens_policy.source.places import span_between

__all__ = ["forbidden_characters"]

_MOST = 20  # a binary file would fill the screen
_FORBIDDEN = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_LINE_ENDS = "\x85\u2028\u2029"


def forbidden_characters(source: SourceText) -> Iterator[Diagnostic]:
    """Yield a problem for each of the first forbidden characters of a text."""
    for number, match in enumerate(_FORBIDDEN.finditer(source.text)):
        if number == _MOST:
            return
        yield _problem(source, match.start(), match.group())


def _problem(source: SourceText, offset: int, character: str) -> Diagnostic:
    return Diagnostic(
        "CL004",
        Severity.ERROR,
        f"the file contains {_name(character)}, which is not allowed in YAML text",
        span_between(source, offset, offset + 1),
        label=_why(character),
        help=f"remove it, or write `{_escape(character)}` inside double quotes if the text needs it",
    )


def _name(character: str) -> str:
    number = f"U+{ord(character):04X}"
    if character == "\0":
        return f"a NUL character ({number})"
    name = unicodedata.name(character, "").lower()
    return f"the character {number} ({name})" if name else f"the control character {number}"


def _why(character: str) -> str:
    if character == "\0":
        return "this looks like a binary file or UTF-16 text"
    if character in _LINE_ENDS:
        return "some readers end the line here, others do not"
    if character == "\ufeff":
        return "a byte order mark may only stand at the start of the file"
    if unicodedata.bidirectional(character) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"):
        return "it changes the order in which the line is displayed"
    return "it is invisible here"


def _escape(character: str) -> str:
    number = ord(character)
    if number <= 0xFF:
        return f"\\x{number:02X}"
    return f"\\u{number:04X}" if number <= 0xFFFF else f"\\U{number:08X}"
