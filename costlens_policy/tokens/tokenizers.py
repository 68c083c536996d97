"""How many tokens a text has: the built-in estimate, from classes of characters, and the real tokenizer ``o200k``.

A tokenizer splits a text where letters, digits, signs and spaces meet, and a common word is one token. So it is enough
to count how often which classes meet: each character becomes one class byte (``bytes.translate``), then a dozen short
sequences of classes are counted. All of it is linear and runs in C, about 1 µs for 100 characters, so long texts need
no sampling, which could be gamed.

Weights are thousandths of a token. They were fitted against o200k by non-negative least squares on the relative error:
on 5,300 pieces of English, source code, JSON, CSV, mark-up, logs, hex and base64, then, with those of ASCII held, on
5,900 pieces in 42 other languages, half of them the messages of programs and half everyday prose by weight.
``python -m benchmarks.tokens`` measures the error that is left.
"""

from __future__ import annotations

import importlib
import string
from typing import Any, Final, Protocol

from costlens_policy.errors import InputError
from costlens_policy.frozen import frozen

__all__ = [
    "ESTIMATE", "ESTIMATED", "BpeOpenai", "BuiltinEstimate", "TokenCount", "Tokenizer", "count", "tokenizer_named",
]  # fmt: skip

ESTIMATED: Final = "estimate"


@frozen
class TokenCount:
    """A number of tokens. ``basis`` is the name of the tokenizer that counted every part of it, else ``estimate``."""

    tokens: int
    basis: str


class Tokenizer(Protocol):
    """Counts the tokens of a text. The same text gives the same number, always and everywhere."""

    @property
    def name(self) -> str:
        """Name that a plan records, such as ``estimate`` or ``o200k``."""

    def count(self, text: str) -> int:
        """Return the number of tokens; 0 only for the empty text. Lone surrogates are counted, not refused."""


def count(text: str, tokenizer: Tokenizer) -> TokenCount:
    """Return the tokens of a text."""
    return TokenCount(tokenizer.count(text), tokenizer.name)


_WORD_OF_PROSE: Final = 12
"""Characters up to which a text is not searched for what no prose has."""


class BuiltinEstimate:
    """Estimates within about 15 % of o200k; other vocabularies differ by as much again."""

    __slots__ = ()

    name = ESTIMATED

    def __getnewargs__(self) -> tuple[()]:
        """Return what makes it again when a plan is saved and loaded: nothing."""
        return ()

    def count(self, text: str) -> int:
        """Return the estimated number of tokens; 0 only for the empty text."""
        if not text:
            return 0
        data = text.encode("utf-8", "surrogatepass")
        classes = data.translate(_CLASSES, _IGNORED)
        letters = classes.translate(_LETTERS)
        total = _WORD * (letters.count(b" l") + letters.startswith(b"l")) + _CAMEL * classes.count(b"lu")
        marks = classes.translate(None, _LOWER)
        for mark, sequences in _ASCII:
            if mark in marks:  # prose has few digits and line ends
                for sequence, weight in sequences:
                    total += weight * marks.count(sequence)
        if len(text) > _WORD_OF_PROSE:
            total += _unlike_prose(data, classes)
        if not text.isascii():
            total += _beyond_ascii(data, marks, letters)
        return (total + 500) // 1000 or 1


def _unlike_prose(data: bytes, classes: bytes) -> int:
    """Return the weight of runs that no vocabulary has as words, so that no text of any length is a few tokens."""
    sequence, weight = _CLUSTER
    total = weight * data.translate(_CONSONANTS).count(sequence)
    for sequence, weight in _RUNS:
        total += weight * classes.count(sequence)
    return total


def _beyond_ascii(data: bytes, marks: bytes, letters: bytes) -> int:
    """Return the weight of what the sequences of _ASCII do not see, in thousandths of a token."""
    total = 0
    for sequence, weight in (*_OTHER, *_RUNS_BEYOND_ASCII):
        total += weight * marks.count(sequence)
    for name, blocks in _BLOCKS.items():
        if name in marks:
            for prefixes, weight in blocks:
                total += weight * sum(data.count(prefix) for prefix in prefixes)
    accents = marks.count(b"x")
    if b"w" in marks:
        accents += sum(data.count(letter) for letter in _UMLAUTS)
    return total + _LONG_COMPOUND * min(2 * accents, letters.count(_LONG_WORD))


_LEAD_BYTES: Final = {
    "w": range(0xC3, 0xC4),  # Latin with the accents of western Europe
    "x": range(0xC4, 0xC6),  # Latin with the accents of central Europe
    "v": range(0xC6, 0xCD),  # further Latin letters
    "g": range(0xCD, 0xD0),  # Greek
    "c": range(0xD0, 0xD4),  # Cyrillic
    "y": range(0xD4, 0xD6),  # Armenian
    "h": range(0xD6, 0xD8),  # Hebrew
    "a": range(0xD8, 0xE0),  # Arabic
    "i": range(0xE0, 0xE1),  # scripts of India, Thai, Tibetan
    "e": range(0xE1, 0xE2),  # Burmese, Georgian, Ethiopic, Khmer, Vietnamese
    "p": range(0xE2, 0xE3),  # typographic signs and symbols
    "j": range(0xE3, 0xE4),  # kana
    "z": range(0xE4, 0xEA),  # Han
    "k": range(0xEA, 0xEE),  # Hangul
    "f": range(0xEE, 0xF0),  # full-width forms
    "o": range(0xF0, 0x100),  # emoji and all else beyond the basic plane
}


def _classes() -> bytes:
    table = bytearray(b"." * 256)
    for members, name in ((string.ascii_lowercase, "l"), (string.ascii_uppercase, "u"), (string.digits, "0")):
        for character in members:
            table[ord(character)] = ord(name)
    table[ord(" ")] = table[ord("\t")] = ord(" ")
    table[ord("\n")] = ord("\n")
    for name, lead_bytes in _LEAD_BYTES.items():
        for byte in lead_bytes:
            table[byte] = ord(name)
    return bytes(table)


_CLASSES: Final = _classes()
"""Translates UTF-8 to one class byte per character: its first byte decides."""
_IGNORED: Final = bytes(range(0x80, 0xC0)) + b"\r"
"""Bytes dropped before: the further bytes of a character, and carriage returns (one token with their line feed)."""
_LETTERS: Final = bytes(ord("l") if chr(byte) in "luwxvgcyhaiekzjo" else ord(" ") for byte in range(256))
"""Translates classes once more, to letter or not."""

_WORD: Final = 1059
"""A word: a run of letters with the space or sign before it."""
_CAMEL: Final = 1213
"""A capital inside a word."""
_LOWER: Final = b"l"
"""Class of the lower-case letters, which are left out before the following sequences are counted."""
_ASCII: Final = (
    (ord("."), ((b".", 329), (b". ", 482), (b" .", 302))),
    (ord("\n"), ((b"\n", 598), (b"\n ", 782))),
    (ord("u"), ((b"uuuu", 505),)),
    (ord("0"), ((b"0", 472), (b"0.", 857), (b"0u", 1940), (b" 0", 663))),
)
"""Sequences of classes that every text is searched for, by a class that is in them: signs, line ends, digits."""
_OTHER: Final = (
    (b"w", 475), (b"x", 563), (b"g", 220), (b"c", 98), (b"y", 206), (b"h", 211), (b"aaaaa", 1225), (b"p", 1499),
    (b"j", 740), (b"z", 705), (b"k", 382), (b"f", 242), (b"o", 1393),
)  # fmt: skip
"""The same for texts that are not pure _ASCII."""


def _run(name: str, length: int, each: int) -> tuple[bytes, int]:
    return name.encode() * length, length * each


_RUNS: Final = (
    _run("l", 20, 500),
    _run("u", 16, 450),
    _run(" ", 32, 30),
)
"""Runs of one class that are longer than words of prose: no vocabulary has them, so their characters count.

Without these a text of nothing but letters, or of nothing but spaces, would be one word and hence one token.
"""
_RUNS_BEYOND_ASCII: Final = (_run("g", 24, 400), _run("c", 24, 450), _run("k", 16, 1600), _run("z", 32, 900))
_CONSONANTS: Final = bytes(ord("q") if chr(byte) in "bcdfghjklmnpqrstvwxz" else 0 for byte in range(256))
"""Translates UTF-8 to small consonants of _ASCII and all else."""
_CLUSTER: Final = (b"qqqqq", 1700)
"""Five consonants in a row: rare in words of any language, the rule in letters that mean nothing."""


def _block(first: int, last: int, weight: int) -> tuple[tuple[bytes, ...], int]:
    """Return the two leading UTF-8 bytes of the code points from ``first`` to ``last``, with their weight."""
    return tuple(chr(point).encode()[:2] for point in range(first, last + 1, 0x40)), weight


def _letters(letters: str, weight: int) -> tuple[tuple[bytes, ...], int]:
    return tuple(letter.encode() for letter in letters), weight


def _leads(first: int, last: int, weight: int, before: bytes = b"") -> tuple[tuple[bytes, ...], int]:
    """Return what UTF-8 begins with: the bytes from ``first`` to ``last``, after ``before``."""
    return tuple(before + bytes([byte]) for byte in range(first, last + 1)), weight


_BLOCKS: Final[dict[bytes, tuple[tuple[tuple[bytes, ...], int], ...]]] = {
    # Letters that distinguish Ukrainian, Serbian and Bulgarian from Russian, and traditional from simplified Chinese:
    # languages of one script differ in how many tokens they were given.
    b"c": (_letters("іїєј", 1245), _letters("ъ", 2666)),
    b"z": (_letters("們這為說對來會從點裡嗎麼還讓與於", 3358),),
    b"i": (
        _block(0x0900, 0x097F, 137),  # Devanagari
        _block(0x0980, 0x09FF, 220),  # Bengali
        _block(0x0A00, 0x0A7F, 396),  # Gurmukhi
        _block(0x0A80, 0x0AFF, 232),  # Gujarati
        _block(0x0B00, 0x0B7F, 900),  # Odia
        _block(0x0B80, 0x0BFF, 233),  # Tamil
        _block(0x0C00, 0x0C7F, 343),  # Telugu
        _block(0x0C80, 0x0CFF, 289),  # Kannada
        _block(0x0D00, 0x0D7F, 228),  # Malayalam
        _block(0x0D80, 0x0DFF, 382),  # Sinhala
        _block(0x0E00, 0x0E7F, 373),  # Thai
        _block(0x0E80, 0x0EFF, 1650),  # Lao
        _block(0x0F00, 0x0FFF, 1500),  # Tibetan
    ),
    b"e": (
        _block(0x1000, 0x107F, 476),  # Burmese
        _block(0x1080, 0x10FF, 229),  # Georgian
        _block(0x1200, 0x139F, 1600),  # Ethiopic
        _block(0x1780, 0x17FF, 176),  # Khmer
        _block(0x1800, 0x18AF, 2500),  # Mongolian
    ),
    b"v": (_leads(0xC7, 0xCC, 1700),),  # phonetic letters and combining marks; what comes before is also Vietnamese
    b"p": (_leads(0xB0, 0xBF, 1400, b"\xe2"),),  # Glagolitic, Coptic, Tifinagh, radicals
    b"k": (_leads(0x80, 0xAF, 2500, b"\xea"),),  # Yi, Lisu, Vai and others before Hangul
    b"f": (_leads(0xEE, 0xEE, 2700), _leads(0x80, 0xAE, 2700, b"\xef"), _leads(0xAF, 0xB7, 1800, b"\xef")),
    # private use, presentation forms
    b"o": (
        _leads(0x87, 0x87, 600, b"\xf0\x9f"),  # letters of flags
        _leads(0x90, 0x9E, 1500, b"\xf0"),  # ancient scripts, letters of mathematics
        _leads(0xA0, 0xBF, 1500, b"\xf0"),  # rare Han
        _leads(0xF1, 0xF4, 1500),  # tags, private use
    ),
}
"""Classes whose characters differ: weights by what their UTF-8 begins with, added to those of ``_OTHER``."""

_UMLAUTS: Final = tuple(letter.encode() for letter in "äöüå")
_LONG_WORD: Final = b"llllllll"
_LONG_COMPOUND: Final = 1912
"""A stretch of eight letters, where umlauts and the letters of class ``x`` show a language that builds long words."""

_PIECE: Final = 500_000
"""Characters handed over at once; the package refuses a million."""


class BpeOpenai:
    """Counts with ``bpe-openai``, whose vocabulary comes with the package: nothing is downloaded."""

    __slots__ = ("_encoding",)

    name = "o200k"

    def __init__(self) -> None:
        """Load the vocabulary (about 0.2 s). Raises ``InputError`` when the extra is not installed."""
        try:
            package: Any = importlib.import_module("bpe_openai")
        except ImportError:
            raise InputError(
                "the tokenizer `o200k` needs the extra: `pip install 'costlens-policy[tokenizer]'`"
            ) from None
        self._encoding = package.get_encoding("o200k_base")

    def __getnewargs__(self) -> tuple[()]:
        """Return what makes it again when a plan is saved and loaded: nothing."""
        return ()

    def count(self, text: str) -> int:
        """Return the number of tokens. Text that looks like a special token counts as text."""
        if len(text) <= _PIECE:
            return len(self._encoding.encode_ordinary(text))
        pieces = (text[start : start + _PIECE] for start in range(0, len(text), _PIECE))
        return sum(len(self._encoding.encode_ordinary(piece)) for piece in pieces)


ESTIMATE: Final = BuiltinEstimate()
"""The tokenizer that is always there."""


def tokenizer_named(name: str) -> Tokenizer:
    """Return a tokenizer by its name: ``estimate`` or ``o200k``.

    Raises ``InputError`` for another name, and for one whose extra is not installed: no other takes its place.
    """
    if name == BuiltinEstimate.name:
        return ESTIMATE
    if name == BpeOpenai.name:
        return BpeOpenai()
    raise InputError(f"unknown tokenizer `{name}`; known are `estimate` and `o200k`")
