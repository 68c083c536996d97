"""What stands where in a message, in the dialects of all providers, and how many tokens images, sound and files are.

The table of places serves counting and rewriting. It holds the keys of OpenAI (chat and the items of its Responses
API), Anthropic, Gemini, Bedrock, Cohere, Mistral and Ollama. What stands under any other key is taken for text. The
figures of media are those of providers' documents, at the upper end; all of them are estimates.
"""

from __future__ import annotations

import binascii
import math
import re
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Any, Final

__all__ = [
    "AUDIO_TOKENS", "FILE_TOKENS", "IMAGE_TOKENS", "KEY_KINDS", "MEDIA_TYPES", "PAGE_TOKENS", "PAYLOADS", "REFERENCES",
    "KeyKind", "bytes_tokens", "data_tokens", "is_data", "media_kind", "media_of_key", "text_in_data",
    "with_text_in_data",
]  # fmt: skip


class KeyKind(Enum):
    """What a key holds."""

    MARK = auto()
    """Speaks to the provider, such as an id: no words of a person. Free of charge where it is short."""
    TEXT = auto()
    """A text, or any JSON, which the model reads."""
    JSON = auto()
    """A text that is JSON itself, or the JSON as it is: the arguments of a tool."""
    PARTS = auto()
    """A text, a part, or a list of parts."""
    CALLS = auto()
    """A tool call or a result, or a list of them."""
    ENTRY = auto()
    """An object with keys of this table."""
    SEALED = auto()
    """Text that only the provider can read."""
    MEDIA = auto()
    """An image, a clip or a file."""


def _rows(place: KeyKind, keys: str) -> dict[str, KeyKind]:
    return dict.fromkeys(keys.split(), place)


_KINDS_OF_KEYS: Final[Mapping[str, str]] = {
    "image": "image", "images": "image", "image_url": "image", "imageUrl": "image", "input_image": "image",
    "audio": "audio", "input_audio": "audio", "audio_url": "audio", "video": "video", "video_url": "video",
    "file": "file", "file_data": "file", "file_url": "file", "fileData": "file", "document": "file",
    "document_url": "file", "inlineData": "file", "inline_data": "file", "source": "file",
}  # fmt: skip

KEY_KINDS: Final[Mapping[str, KeyKind]] = {
    **_rows(
        KeyKind.MARK,
        "role type id status index tool_call_id tool_use_id call_id toolUseId item_id response_id approval_request_id "
        "container_id cache_control cachePoint cache_point media_type mimeType mime_type mediaType format detail "
        "is_error isError prefix object created created_at file_id",
    ),
    **_rows(
        KeyKind.TEXT,
        "text name refusal reasoning reasoning_content thinking message tool_plan tool_name transcript code title "
        "context query queries error logs stdout stderr filename document_name displayName json data",
    ),
    **_rows(KeyKind.JSON, "arguments input args response"),
    **_rows(KeyKind.PARTS, "content parts output outputs results summary tool_results"),
    **_rows(
        KeyKind.CALLS, "tool_calls function_call functionCall functionResponse function_response toolUse toolResult"
    ),
    **_rows(
        KeyKind.ENTRY,
        "function custom action reasoningContent reasoningText guardContent executableCode codeExecutionResult",
    ),
    **_rows(
        KeyKind.SEALED, "signature encrypted_content thoughtSignature thought_signature redactedContent encrypted_index"
    ),
    **dict.fromkeys(_KINDS_OF_KEYS, KeyKind.MEDIA),
}
"""What stands under each key that is known."""

MEDIA_TYPES: Final[Mapping[str, str]] = {
    "image": "image", "image_url": "image", "input_image": "image", "image_file": "image",
    "computer_screenshot": "image", "image_generation_call": "image",
    "audio": "audio", "input_audio": "audio", "audio_url": "audio", "output_audio": "audio",
    "video": "video", "video_url": "video", "input_video": "video",
    "file": "file", "input_file": "file", "document_url": "file", "media": "file", "container_upload": "file",
    "item_reference": "file",
}  # fmt: skip
"""Types of parts and items that are not text, by kind. An item that is only referred to may be as large as a file."""

PAYLOADS: Final = frozenset(
    {
        *_KINDS_OF_KEYS, "data", "bytes", "url", "uri", "fileUri", "file_uri", "result", "b64_json", "base64", "blob",
        "partial_image_b64",
    }
)  # fmt: skip
"""Keys inside of media under which their bytes stand, in base64."""

_WRITTEN: Final = frozenset({"text", "content"})


def media_kind(item: Mapping[Any, Any]) -> str | None:
    """Return ``image``, ``audio``, ``video`` or ``file`` for a part or item of a type that is not text, else None."""
    kind = item.get("type")
    return MEDIA_TYPES.get(kind) if type(kind) is str else None


def media_of_key(key: str, value: Any) -> str | None:
    """Return the kind of media under a key of ``KeyKind.MEDIA``; None for an object whose texts are written out.

    Those are documents of Anthropic, Bedrock and Cohere that have a text or a list of parts.
    """
    if not isinstance(value, Mapping):
        if key == "source" and isinstance(value, str):
            return None  # where a search result of Anthropic was found
        return _KINDS_OF_KEYS[key]
    if (type(kind := value.get("type")) is str and kind in _WRITTEN) or not _WRITTEN.isdisjoint(value):
        return None
    if key == "document" and ("source" in value or isinstance(value.get("data"), str | Mapping)):
        return None
    mime = next((value[name] for name in ("mimeType", "mime_type", "media_type", "mediaType") if name in value), "")
    family = str(mime).partition("/")[0]
    return family if family in ("image", "audio", "video") else _KINDS_OF_KEYS[key]


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
    """Return whether a text is bytes in base64: a ``data:`` URL anywhere, inside of media also without its head."""
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
