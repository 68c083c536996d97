"""Images, audio, video and files: how they are told from text, and how many tokens they count as.

The figures are those of providers' documents, at the upper end; all of them are estimates.
"""

from __future__ import annotations

import binascii
import math
import re
from collections.abc import Callable, Mapping
from typing import Final

__all__ = [
    "AUDIO_TOKENS", "FILE_TOKENS", "IMAGE_TOKENS", "PAGE_TOKENS", "REFERENCES", "bytes_tokens", "data_tokens",
    "is_data", "text_in_data", "with_text_in_data",
]  # fmt: skip

IMAGE_TOKENS: Final = 1600
"""An image of any size: Anthropic's largest in the usual resolution, above OpenAI's in high detail (1,445)."""
AUDIO_TOKENS: Final = 600
"""A clip of a minute with OpenAI, and the least that any counts as."""
FILE_TOKENS: Final = 1500
"""A file that cannot be seen here, and the least for a film."""
PAGE_TOKENS: Final = 3000
"""A page of a PDF file: the upper end of what Anthropic says."""

REFERENCES: Final[Mapping[str, int]] = {
    "image": IMAGE_TOKENS, "audio": AUDIO_TOKENS, "video": FILE_TOKENS, "file": FILE_TOKENS,
}  # fmt: skip
"""What each kind counts as where only an id or an address is given, and the least otherwise."""

_BYTES_FOR_TOKEN: Final = 100
"""Of compressed sound at 24 kbit/s with Gemini's 32 tokens a second; film has more bytes."""
_BYTES_FOR_TOKEN_OF_WAVES: Final = 500
_BYTES_OF_PAGE: Final = 30_000
_BYTES_OF_HIDDEN_PAGE: Final = 3_000
"""Fewest bytes for a page, where pages can be seen in the file and where they are compressed."""

_DATA_URL: Final = re.compile(r"data:([\w.+-]*/[\w.+-]*)?[^,]{0,200}?;base64,", re.IGNORECASE)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_\-\r\n]*={0,3}[\r\n]*")
_SHORTEST: Final = 60
"""Characters of base64 without a head; a shorter text may be a word."""
_PAGES: Final = re.compile(rb"/Type\s*/Page\b(?!s)")
_PAGE_COUNT: Final = re.compile(rb"/Count\s+(\d{1,6})\b")
_URL_SAFE: Final = str.maketrans("-_", "+/")
_IMAGES: Final = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*")
"""How files of images begin: PNG, JPEG, GIF, WebP, BMP, TIFF. HEIC and AVIF have ``ftyp`` after four bytes."""


def is_data(text: str, *, in_media: bool) -> bool:
    """Say whether a text is bytes in base64: a ``data:`` URL anywhere, inside of media also without its head."""
    head = _DATA_URL.match(text)
    if head is None and (not in_media or len(text) < _SHORTEST):
        return False
    return _BASE64.fullmatch(text, 0 if head is None else head.end()) is not None


def data_tokens(text: str, kind: str, count: Callable[[str], int]) -> int:
    """Return the tokens of bytes in base64. Those of no known form are counted as the text that they are."""
    head = _DATA_URL.match(text)
    family = ((head and head[1]) or "").partition("/")[0].lower()
    data = _decoded(text)
    if data is None:
        return count(text)
    return bytes_tokens(data, family if family in REFERENCES else kind if not family else "file", count)


def bytes_tokens(data: bytes, kind: str, count: Callable[[str], int]) -> int:
    """Return the tokens of a file by its bytes."""
    if kind in ("audio", "video") and (text := _as_text(data)) is not None:
        return max(REFERENCES[kind], count(text))  # no clip is text, so this is none
    if kind == "audio":
        return max(AUDIO_TOKENS, len(data) // (_BYTES_FOR_TOKEN_OF_WAVES if data[:4] == b"RIFF" else _BYTES_FOR_TOKEN))
    if kind == "video":
        return max(FILE_TOKENS, len(data) // _BYTES_FOR_TOKEN)
    if (text := _as_text(data)) is not None:
        return count(text)
    if data.startswith(_IMAGES) or data[4:8] == b"ftyp":
        return IMAGE_TOKENS
    if data.startswith(b"%PDF"):
        return PAGE_TOKENS * _pages(data)
    return count(binascii.b2a_base64(data, newline=False).decode())


def text_in_data(text: str) -> str | None:
    """Return the text that is written in base64, or None where the bytes are none."""
    data = _decoded(text)
    return None if data is None else _as_text(data)


def with_text_in_data(text: str, inner: str) -> str:
    """Return bytes in base64, with their head, that hold another text."""
    head = _DATA_URL.match(text)
    written = binascii.b2a_base64(inner.encode("utf-8", "surrogatepass"), newline=False).decode()
    return (head[0] if head else "") + written


def _decoded(text: str) -> bytes | None:
    head = _DATA_URL.match(text)
    body = text[head.end() :] if head else text
    if not _BASE64.fullmatch(body):
        return None
    body = body.translate(_URL_SAFE).rstrip("=\r\n")
    try:
        return binascii.a2b_base64(body + "=" * (-len(body) % 4))
    except ValueError:
        return None


def _as_text(data: bytes) -> str | None:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _pages(pdf: bytes) -> int:
    """Return the pages of a PDF file: those that can be seen, and no fewer than its size makes likely."""
    seen = max(len(_PAGES.findall(pdf)), *(int(found) for found in _PAGE_COUNT.findall(pdf)), 0)
    return max(seen, math.ceil(len(pdf) / (_BYTES_OF_PAGE if seen else _BYTES_OF_HIDDEN_PAGE)))
