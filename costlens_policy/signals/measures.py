"""The form of a text as a number: how long it is, and how much of it is code, numbers or questions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

from costlens_policy.frozen import frozen
from costlens_policy.signals.weighed import Weighed

__all__ = ["Length", "Share"]

Unit: TypeAlias = Literal["characters", "words", "lines"]
Part: TypeAlias = Literal["code", "numbers", "questions"]


@frozen
class Length:
    """How long a text is, in characters, in words (what stands between white space), or in lines."""

    unit: Unit

    def prepared(self) -> Callable[[str], Weighed]:
        """Return what weighs a text."""
        count = _UNITS[self.unit]
        return lambda text: Weighed(count(text))


@frozen
class Share:
    """A part of the text, from 0 to 1; 0 where there is no text.

    ``code`` is the share of lines that look like code or stand in a block between ` ``` `, blank lines aside;
    ``numbers`` that of characters that are digits, white space aside; ``questions`` that of sentences that end with a
    question mark.
    """

    part: Part

    @property
    def range(self) -> tuple[float, float]:
        return 0.0, 1.0

    def prepared(self) -> Callable[[str], Weighed]:
        """Return what weighs a text."""
        share = _PARTS[self.part]
        return lambda text: Weighed(share(text))


def _lines(text: str) -> int:
    return len(text.splitlines())


_UNITS: Final[Mapping[str, Callable[[str], int]]] = {
    "characters": len, "words": lambda text: len(text.split()), "lines": _lines,
}  # fmt: skip

_FENCES: Final = ("```", "~~~")
_CODE: Final = re.compile(
    r"\s*(?:"
    r"(?:def|class|import|from|return|if|elif|else|for|while|try|except|with|function|const|let|var|public|private"
    r"|static|void|int|fn|func|package|use|struct|impl|SELECT|INSERT|UPDATE|DELETE|CREATE|#include|@\w+)\b.*"
    r"[:;{}()=,]\s*$"
    r"|import\s+[\w.]+(?:\s+as\s+\w+)?\s*$|from\s+[\w.]+\s+import\s.*"
    r"|(?i:select\s.+\sfrom\s.+|insert\s+into\s.+|delete\s+from\s.+|update\s+\w+\s+set\s.+|create\s+table\s.+)"
    r"|(?:break|continue|pass|end|fi|done)\s*;?\s*$"
    r"|(?![\w\s,'.-]*;\s*$).*[;{}]\s*$"  # the end of a statement, or a block; words alone are prose
    r"|[\w.\[\]'\"]+\s*(?:=|\+=|-=|:=)\s*\S.*"  # an assignment
    r"|[\w.]+\([^ ].*\)\s*$"  # a call
    r"|</?\w[^>]*>.*"  # a tag
    r"|[$>]\s*\w+\s+-.*"  # a command
    r"|(?://|/\*|\#!).*"  # a comment
    r")"
)


def _code(text: str) -> float:
    lines = code = 0
    inside = False
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith(_FENCES):
            inside = not inside
        elif bare:
            lines += 1
            code += inside or _CODE.match(line[:400]) is not None
    return code / lines if lines else 0.0


_DIGITS: Final = re.compile(r"\d")
_BLANK: Final = re.compile(r"\s+")


def _numbers(text: str) -> float:
    written = len(_BLANK.sub("", text))
    return len(_DIGITS.findall(text)) / written if written else 0.0


_ENDS: Final = re.compile("([.!?]+(?=\\s|$)|[\u3002\uff01\uff1f]+|\n+)")
_SAYS: Final = re.compile(r"\w")
_ASKS: Final = frozenset("?\uff1f")


def _questions(text: str) -> float:
    parts = [*_ENDS.split(text), ""]
    ends = [end for sentence, end in zip(parts[::2], parts[1::2], strict=True) if _SAYS.search(sentence)]
    return sum(not _ASKS.isdisjoint(end) for end in ends) / len(ends) if ends else 0.0


_PARTS: Final[Mapping[str, Callable[[str], float]]] = {"code": _code, "numbers": _numbers, "questions": _questions}
