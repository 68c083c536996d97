"""How wide characters are on a terminal, and what stands in for those that must not reach it."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

__all__ = ["escaped", "piece", "printable", "safe", "width"]

_TAB = "    "
_JOINERS = "\u200c\u200d"
_UNSAFE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
"""Characters that command a terminal, turn the direction of a text, end a line, hide, or cannot be written."""


def piece(character: str) -> str:
    """Return what is shown for one character: itself, spaces for a tab, a visible name for a control."""
    if character.isprintable() or character in _JOINERS:
        return character
    if character == "\t":
        return _TAB
    number = ord(character)
    if number < 0x20:
        return chr(0x2400 + number)
    if number == 0x7F:
        return "\u2421"
    return " " if unicodedata.category(character) == "Zs" else f"<U+{number:04X}>"


def printable(text: str) -> str:
    """Return a text that stays on one line and cannot command a terminal."""
    return text if text.isprintable() else "".join(map(piece, text))


def safe(text: str) -> str:
    """Return a text of lines that cannot command a terminal, nor seem to be another text."""
    return _UNSAFE.sub(lambda found: piece(found[0]), text)


def escaped(text: str) -> str:
    """Return JSON whose texts are the same, with such characters as escapes."""
    return _UNSAFE.sub(lambda found: _escape(found[0]), text)


def _escape(character: str) -> str:
    data = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{data[at]:02x}{data[at + 1]:02x}" for at in range(0, len(data), 2))


def width(shown: str) -> int:
    """Return the number of terminal columns of a text made of pieces."""
    return len(shown) if shown.isascii() else sum(map(_columns, shown))


def _columns(character: str) -> int:
    if character in _JOINERS or unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
