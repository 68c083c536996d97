"""What an author probably meant by a text of the wrong form."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

__all__ = ["plain_number", "repaired"]

_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_LENGTH: Final = re.compile(
    r"([0-9]+(?:\.[0-9]+)?)\s*(milliseconds?|seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|weeks?)", re.IGNORECASE
)
_UNITS: Final = {"mil": "ms", "sec": "s", "min": "m", "hou": "h", "hr": "h", "hrs": "h", "day": "d", "wee": "w"}
_SHORT: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kKmM])")
_GROUPED: Final = re.compile(r"[0-9]{1,3}([,_ ][0-9]{3})+")


def repaired(text: str, pattern: str) -> str:
    """Return the text in the form of a pattern, where case, blanks, signs or the words of units are all it takes."""
    for better in (_as_length(text), _as_name(text, "-"), _as_name(text, "_")):
        if len(better) > 1 and re.search(pattern, better):
            return better
    return ""


def plain_number(text: str) -> str:
    """Return ``8k``, ``1.5M`` or ``10,000`` as digits alone; empty for any other text."""
    if match := _SHORT.fullmatch(text):
        number = Decimal(match[1]) * (1000 if match[2] in "kK" else 1_000_000)
        return str(int(number)) if number == int(number) else ""
    return re.sub("[,_ ]", "", text) if _GROUPED.fullmatch(text) else ""


def _as_length(text: str) -> str:
    match = _LENGTH.fullmatch(text.strip())
    return match[1] + _UNITS[match[2].lower()[:3]] if match else ""


def _as_name(text: str, joint: str) -> str:
    words = _HUMP.sub(joint, text).lower()
    return re.sub(r"[^a-z0-9._]+", joint, words).strip("-_. ")
