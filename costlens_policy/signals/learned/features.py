"""Features of a text: what a learned signal sees of it. Each is there or is not; how often does not count.

A text is cut to its first ``HEAD`` and its last ``TAIL`` characters, put into NFKC and lower case, its digits read as
``0``, and taken apart into tokens: words, numbers, single signs, line breaks, and single characters of scripts that
write no spaces. Of the tokens there are features of six families, and a seventh counts the text as it was written:

| family | features |
|---|---|
| ``words`` | each token |
| ``pairs`` | each two tokens that follow each other |
| ``beginnings``, ``endings`` | the first four, and the last three, characters of each token |
| ``first``, ``last`` | the first three tokens and the first pair; the last three |
| ``form`` | length, capitals, digits, questions, lines, sentences, code, formulas, answers to choose from |

So the cost of a text is bounded, whatever its length. Nothing is hashed and no order of a set matters: the same text
has the same features in every process, on every platform. ``VERSION`` is raised by any change to them.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise
from typing import Final, TypeAlias

__all__ = ["FAMILIES", "HEAD", "TAIL", "VERSION", "Features", "features_of", "size_of"]

VERSION: Final = 1
HEAD: Final = 600
TAIL: Final = 300

FAMILIES: Final = ("words", "pairs", "beginnings", "endings", "first", "last", "form")

Features: TypeAlias = tuple[set[str], ...]
"""The features of a text by family, in the order of ``FAMILIES``."""

_NO_SPACES: Final = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
"""Thai, Lao, Burmese, Khmer, Japanese and Chinese."""
_TOKEN: Final = re.compile(rf"[^\W_{_NO_SPACES}]+|[^\w\s]|_|\n\n?|[{_NO_SPACES}]")
_TOKEN_OF_ASCII: Final = re.compile(r"[a-z0]+|[^a-z0\s]|\n\n?")
"""The same for texts without other characters, in half of the time."""
_AS_ZERO: Final = str.maketrans("123456789", "000000000")

_CAPITALS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIGITS: Final = b"0123456789"
_CODE: Final = b"{}[]();=<>_#`"
_FORMULA: Final = b"$\\^+*/|"
_CHOICES: Final = ("\nB.", "\nB)", "\n(B)", "\nB:", "\nb.", "\nb)", "\n(b)", "\n2.", "\n2)", "\n(2)")
"""The second of the answers to choose from."""


def features_of(text: str) -> Features:
    """Return the features of a text."""
    cut = text if len(text) <= HEAD + TAIL else f"{text[:HEAD]}\n{text[-TAIL:]}"
    form = _form(cut, len(text))
    token = _TOKEN_OF_ASCII
    if not cut.isascii():
        cut, token = unicodedata.normalize("NFKC", cut), _TOKEN
    tokens = token.findall(cut.lower().translate(_AS_ZERO))
    words = set(tokens)
    return (
        words,
        set(map(" ".join, pairwise(tokens))),
        {word[:4] for word in words},
        {word[-3:] for word in words},
        {*tokens[:3], " ".join(tokens[:2])},
        set(tokens[-3:]),
        form,
    )


def size_of(features: Features) -> int:
    """Return how many features there are, at least 1."""
    return sum(map(len, features)) or 1


def _form(cut: str, length: int) -> set[str]:
    """Count what the letters do not show. Numbers are in steps that double, the length in steps of half of that."""
    data = cut.encode("utf-8", "replace")
    first, bits, sentences = cut[:1], length.bit_length(), cut.count(". ") + cut.count(".\n")
    return {
        f"length {2 * bits + (length << 2 >> bits & 1)}",
        f"capitals {_count(data, _CAPITALS)}",
        f"digits {_count(data, _DIGITS)}",
        f"code {_count(data, _CODE)}",
        f"formula {_count(data, _FORMULA)}",
        f"questions {cut.count('?').bit_length()}",
        f"lines {cut.count(chr(10)).bit_length()}",
        f"sentences {sentences.bit_length()}",
        "choices " + next((sign.strip() for sign in _CHOICES if sign in cut), "none"),
        "begins " + ("upper" if first.isupper() else "lower" if first.islower() else "other"),
    }


def _count(data: bytes, signs: bytes) -> int:
    return (len(data) - len(data.translate(None, signs))).bit_length()
