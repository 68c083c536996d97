"""Features of a text: what a learned signal sees of it. How often a token or a pair occurs does not count.

A text is cut to its first ``HEAD`` and its last ``TAIL`` characters, put into NFKC and lower case, its digits read as
``0``, and taken apart into tokens: words, numbers, single signs, line breaks, and single characters of scripts that
write no spaces. Of the tokens there are features of six families, and a seventh counts the text as it was written:

| family | features |
|---|---|
| ``words`` | each token |
| ``beginnings``, ``endings`` | the first four, and the last three, characters of each different token |
| ``pairs`` | each two tokens that follow each other |
| ``first``, ``last`` | the first three tokens and the first pair; the last three |
| ``form`` | length, capitals, digits, questions, lines, sentences, signs of code, formulas, answers to choose from |

So the cost of a text is bounded, whatever its length. Nothing is hashed and no order of a set matters: the same text
has the same features in every process, on every platform. ``VERSION`` is raised by any change to them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final, NamedTuple

__all__ = ["FAMILIES", "HEAD", "OF_WORDS", "TAIL", "VERSION", "Features", "beginning", "ending", "features_of"]

VERSION: Final = 1
HEAD: Final = 400
TAIL: Final = 200

FAMILIES: Final = ("words", "beginnings", "endings", "pairs", "first", "last", "form")
OF_WORDS: Final = FAMILIES[:3]
"""The families that each token has one feature of, by itself: so a model adds them up once for each token it meets."""


class Features(NamedTuple):
    """The features of a text, but beginnings and endings, which follow from the words."""

    words: set[str]
    pairs: set[str]
    first: set[str]
    last: set[str]
    form: set[str]

    @property
    def size(self) -> int:
        """How many features there are, at least 1."""
        return 3 * len(self.words) + len(self.pairs) + len(self.first) + len(self.last) + len(self.form) or 1

    def by_family(self) -> Iterator[tuple[str, Iterable[str]]]:
        """Yield the features of each family, in the order of ``FAMILIES``; what several words share comes again."""
        yield "words", self.words
        yield "beginnings", map(beginning, self.words)
        yield "endings", map(ending, self.words)
        yield from zip(FAMILIES[3:], self[1:], strict=True)


def beginning(word: str) -> str:
    """Return the feature of how a word begins."""
    return word[:4]


def ending(word: str) -> str:
    """Return the feature of how a word ends."""
    return word[-3:]


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
_CHOICE: Final = re.compile(r"\n(\(?[Bb2][.):])")
"""The second of the answers to choose from."""


def features_of(text: str) -> Features:
    """Return the features of a text."""
    cut = text if len(text) <= HEAD + TAIL else f"{text[:HEAD]}\n{text[-TAIL:]}"
    form = _form(cut, len(text))
    token = _TOKEN_OF_ASCII
    if not cut.isascii():
        cut, token = unicodedata.normalize("NFKC", cut), _TOKEN
    tokens = token.findall(cut.lower().translate(_AS_ZERO))
    return Features(
        set(tokens),
        set(map(" ".join, pairwise(tokens))),
        {*tokens[:3], " ".join(tokens[:2])},
        set(tokens[-3:]),
        form,
    )


def _form(cut: str, length: int) -> set[str]:
    """Count what the letters do not show. Numbers are in steps that double, the length in steps of half of that."""
    data = cut.encode("utf-8", "replace")
    first, bits, sentences = cut[:1], length.bit_length(), cut.count(". ") + cut.count(".\n")
    choice = _CHOICE.search(cut)
    return {
        f"length {2 * bits + (length << 2 >> bits & 1)}",
        f"capitals {_count(data, _CAPITALS)}",
        f"digits {_count(data, _DIGITS)}",
        f"code {_count(data, _CODE)}",
        f"formula {_count(data, _FORMULA)}",
        f"questions {cut.count('?').bit_length()}",
        f"lines {cut.count(chr(10)).bit_length()}",
        f"sentences {sentences.bit_length()}",
        f"choices {choice[1] if choice else None}",
        "begins " + ("upper" if first.isupper() else "lower" if first.islower() else "other"),
    }


def _count(data: bytes, signs: bytes) -> int:
    return (len(data) - len(data.translate(None, signs))).bit_length()
