"""What a request needs of a model: capabilities that follow from its tools, parts, modalities and answer format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from costlens_policy.expressions import Value
from costlens_policy.tokens import PLACES, Place, media_kind, media_of_key

__all__ = ["needs_of"]

_MODALITIES: Final = {"image": "vision", "audio": "audio_input", "audio_output": "audio_output", "file": "file_input"}
_MEDIA: Final = {"image": "vision", "audio": "audio_input"}
"""Kinds of media in messages, and what a model that reads them can do."""
_FILES: Final = frozenset({"file", "input_file"})
"""Types of parts with a file. Documents need nothing: each model of the providers that have them reads them."""
_INSIDE: Final = frozenset({Place.PARTS, Place.CALLS, Place.ENTRY, Place.MEDIA})
"""Places in which there may be further parts."""

_ASKING: Final = frozenset({"messages", "tools", "modalities", "response_format"})
_NONE: Final[frozenset[str]] = frozenset()


def needs_of(request: Mapping[str, Value]) -> frozenset[str]:
    """Return the capabilities that the request needs: tools, modalities beyond text, a structured answer.

    What is not known is a need that no model meets, never one that is passed over.
    """
    if _ASKING.isdisjoint(request):
        return _NONE  # a bare prompt, as most requests are
    needs = {_MODALITIES.get(item, item) for item in request.get("modalities", ()) if item != "text"}
    needs.update(_media_needs(request.get("messages", ())))
    if request.get("tools"):
        needs.add("tools")
    form = request.get("response_format")
    kind = form.get("type") if isinstance(form, dict) else form
    if form is not None and kind != "text":
        needs.add("json_mode" if kind == "json_object" else "json_schema")
    return frozenset(needs)


def _media_needs(messages: Iterable[Any]) -> Iterator[str]:
    """Yield what is needed for each image, clip and file of messages, in the shapes of all providers.

    The arguments of tools are not looked into: what they call an image may be anything.
    """
    rest = [message for message in messages if not _is_plain(message)]
    while rest:
        item = rest.pop()
        if isinstance(item, list | tuple):
            rest.extend(item)
        elif isinstance(item, Mapping):
            kind = media_kind(item)
            if kind is None:
                yield from _under_keys(item, rest)
            elif kind in _MEDIA:
                yield _MEDIA[kind]
            elif item["type"] in _FILES:
                yield "file_input"


def _under_keys(item: Mapping[Any, Any], rest: list[Any]) -> Iterator[str]:
    """Yield what the values of a message or part need by their keys; those that hold further parts join ``rest``."""
    for key, value in item.items():
        place = PLACES.get(key) if type(key) is str else None
        if place is Place.MEDIA and value and (found := media_of_key(key, value)) in _MEDIA:
            yield _MEDIA[found]
        elif place in _INSIDE:
            rest.append(value)


def _is_plain(message: Any) -> bool:
    return type(message) is dict and len(message) == 2 and type(message.get("content")) is str
