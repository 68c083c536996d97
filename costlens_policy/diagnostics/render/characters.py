"""How wide characters are on a terminal, and what stands in for those that must not reach it."""

from __future__ import annotations

import unicodedata

__all__ = ["piece", "printable", "width"]

_TAB = "    "
_JOINERS = "\u200c\u200d"


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


def width(shown: str) -> int:
    """Return the number of terminal columns of a text made of pieces."""
    return len(shown) if shown.isascii() else sum(map(_columns, shown))


def _columns(character: str) -> int:
    if character in _JOINERS or unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
