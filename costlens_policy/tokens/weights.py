"""The numbers of the built-in estimate: classes of characters, and what each feature of a text weighs.

Weights are thousandths of a token. They were fitted against o200k by non-negative least squares on the relative error:
on 5,300 pieces of English, source code, JSON, CSV, mark-up, logs, hex and base64, then, with the weights of ASCII held,
on 5,900 pieces in 42 other languages, half of them the messages of programs and half everyday prose by weight.
``python -m benchmarks.tokens`` measures the error that is left.
"""

from __future__ import annotations

import string
from typing import Final

__all__ = [
    "ASCII", "BLOCKS", "CAMEL", "CLASSES", "CLUSTER", "CONSONANTS", "IGNORED", "LETTERS", "LONG_COMPOUND", "LONG_WORD",
    "LOWER", "OTHER", "RUNS", "RUNS_BEYOND_ASCII", "UMLAUTS", "WORD",
]  # fmt: skip

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


CLASSES: Final = _classes()
"""Translates UTF-8 to one class byte per character: its first byte decides."""
IGNORED: Final = bytes(range(0x80, 0xC0)) + b"\r"
"""Bytes dropped before: the further bytes of a character, and carriage returns (one token with their line feed)."""
LETTERS: Final = bytes(ord("l") if chr(byte) in "luwxvgcyhaiekzjo" else ord(" ") for byte in range(256))
"""Translates classes once more, to letter or not."""

WORD: Final = 1059
"""A word: a run of letters with the space or sign before it."""
CAMEL: Final = 1213
"""A capital inside a word."""
LOWER: Final = b"l"
"""Class of the lower-case letters, which are left out before the following sequences are counted."""
ASCII: Final = (
    (b".", 329), (b". ", 482), (b" .", 302), (b"\n", 598), (b"\n ", 782), (b"uuuu", 505), (b"0", 472), (b"0.", 857),
    (b"0u", 1940), (b" 0", 663),
)  # fmt: skip
"""Sequences of classes that every text is searched for: a sign, a line end, an indentation, a digit …"""
OTHER: Final = (
    (b"w", 475), (b"x", 563), (b"g", 220), (b"c", 98), (b"y", 206), (b"h", 211), (b"aaaaa", 1225), (b"p", 1499),
    (b"j", 740), (b"z", 705), (b"k", 382), (b"f", 242), (b"o", 1393),
)  # fmt: skip
"""The same for texts that are not pure ASCII."""


def _run(name: str, length: int, each: int) -> tuple[bytes, int]:
    return name.encode() * length, length * each


RUNS: Final = (
    _run("l", 20, 500),
    _run("u", 16, 450),
    _run(" ", 32, 30),
)
"""Runs of one class that are longer than words of prose: no vocabulary has them, so their characters count.

Without these a text of nothing but letters, or of nothing but spaces, would be one word and hence one token.
"""
RUNS_BEYOND_ASCII: Final = (_run("g", 24, 400), _run("c", 24, 450), _run("k", 16, 1600), _run("z", 32, 900))
CONSONANTS: Final = bytes(ord("q") if chr(byte) in "bcdfghjklmnpqrstvwxz" else 0 for byte in range(256))
"""Translates UTF-8 to small consonants of ASCII and all else."""
CLUSTER: Final = (b"qqqqq", 1700)
"""Five consonants in a row: rare in words of any language, the rule in letters that mean nothing."""


def _block(first: int, last: int, weight: int) -> tuple[tuple[bytes, ...], int]:
    """Return the two leading UTF-8 bytes of the code points from ``first`` to ``last``, with their weight."""
    return tuple(chr(point).encode()[:2] for point in range(first, last + 1, 0x40)), weight


def _letters(letters: str, weight: int) -> tuple[tuple[bytes, ...], int]:
    return tuple(letter.encode() for letter in letters), weight


def _leads(first: int, last: int, weight: int, before: bytes = b"") -> tuple[tuple[bytes, ...], int]:
    """Return what UTF-8 begins with: the bytes from ``first`` to ``last``, after ``before``."""
    return tuple(before + bytes([byte]) for byte in range(first, last + 1)), weight


BLOCKS: Final[dict[bytes, tuple[tuple[tuple[bytes, ...], int], ...]]] = {
    # Letters that tell Ukrainian, Serbian and Bulgarian from Russian, and traditional from simplified Chinese:
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
"""Classes whose characters differ: weights by what their UTF-8 begins with, added to those of ``OTHER``."""

UMLAUTS: Final = tuple(letter.encode() for letter in "äöüå")
LONG_WORD: Final = b"llllllll"
LONG_COMPOUND: Final = 1912
"""A stretch of eight letters, where umlauts and the letters of class ``x`` show a language that builds long words."""
