"""What a request needs of a model: capabilities that follow from its tools, parts, modalities and answer format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from costlens_policy.expressions import Value

__all__ = ["needs_of"]

_MODALITIES: Final = {"image": "vision", "audio": "audio_input", "audio_output": "audio_output", "file": "file_input"}
_PARTS: Final = {
    "image": "vision", "image_url": "vision", "input_image": "vision", "audio": "audio_input",
    "input_audio": "audio_input", "file": "file_input", "input_file": "file_input",
}  # fmt: skip
"""Types of message parts in the shapes of OpenAI and Anthropic, and what a model that reads them can do."""

_ASKING: Final = frozenset({"messages", "tools", "modalities", "response_format"})
_NONE: Final[frozenset[str]] = frozenset()


def needs_of(request: Mapping[str, Value]) -> frozenset[str]:
    """Return the capabilities that the request needs: tools, modalities beyond text, a structured answer.

    What is not known is a need that no model meets, never one that is passed over.
    """
    if _ASKING.isdisjoint(request):
        return _NONE  # a bare prompt, as most requests are
    needs = {_MODALITIES.get(item, item) for item in request.get("modalities", ()) if item != "text"}
    needs.update(_PARTS[part] for part in _parts(request.get("messages", ())) if part in _PARTS)
    if request.get("tools"):
        needs.add("tools")
    form = request.get("response_format")
    kind = form.get("type") if isinstance(form, dict) else form
    if form is not None and kind != "text":
        needs.add("json_mode" if kind == "json_object" else "json_schema")
    return frozenset(needs)


def _parts(messages: Iterable[Any]) -> Iterator[str]:
    """Yield the types of all parts of messages whose content is a list."""
    for message in messages:
        content = message.get("content") if isinstance(message, dict) else None
        for part in content if isinstance(content, list) else ():
            kind = part.get("type") if isinstance(part, dict) else None
            if isinstance(kind, str):
                yield kind
