"""What stands under which key of a message, in the dialects of all providers: the one table of counting and rewriting.

It holds the keys of OpenAI (chat and the items of its Responses API), Anthropic, Gemini, Bedrock, Cohere, Mistral and
Ollama. What stands under any other key is taken for text.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, Final

__all__ = ["MEDIA_TYPES", "PAYLOADS", "PLACES", "Place", "media_kind", "media_of_key"]


class Place(Enum):
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


def _rows(place: Place, keys: str) -> dict[str, Place]:
    return dict.fromkeys(keys.split(), place)


_KINDS_OF_KEYS: Final[Mapping[str, str]] = {
    "image": "image", "images": "image", "image_url": "image", "imageUrl": "image", "input_image": "image",
    "audio": "audio", "input_audio": "audio", "audio_url": "audio", "video": "video", "video_url": "video",
    "file": "file", "file_data": "file", "file_url": "file", "fileData": "file", "document": "file",
    "document_url": "file", "inlineData": "file", "inline_data": "file", "source": "file",
}  # fmt: skip

PLACES: Final[Mapping[str, Place]] = {
    **_rows(
        Place.MARK,
        "role type id status index tool_call_id tool_use_id call_id toolUseId item_id response_id approval_request_id "
        "container_id cache_control cachePoint cache_point media_type mimeType mime_type mediaType format detail "
        "is_error isError prefix object created created_at file_id",
    ),
    **_rows(
        Place.TEXT,
        "text name refusal reasoning reasoning_content thinking message tool_plan tool_name transcript code title "
        "context query queries error logs stdout stderr filename document_name displayName json data",
    ),
    **_rows(Place.JSON, "arguments input args response"),
    **_rows(Place.PARTS, "content parts output outputs results summary tool_results"),
    **_rows(Place.CALLS, "tool_calls function_call functionCall functionResponse function_response toolUse toolResult"),
    **_rows(
        Place.ENTRY,
        "function custom action reasoningContent reasoningText guardContent executableCode codeExecutionResult",
    ),
    **_rows(
        Place.SEALED, "signature encrypted_content thoughtSignature thought_signature redactedContent encrypted_index"
    ),
    **dict.fromkeys(_KINDS_OF_KEYS, Place.MEDIA),
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
    """Return the kind of media under a key of ``Place.MEDIA``; None where it is an object whose texts are written out.

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
