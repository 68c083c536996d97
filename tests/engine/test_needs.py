"""What the media of a request need of a model, in the shapes of all providers."""

from __future__ import annotations

from typing import Any

import pytest

from costlens_policy.engine.request import needs_of
from tests.rewrites.dialects import PDF, PNG


def user(*parts: Any) -> list[Any]:
    return [{"role": "user", "content": list(parts)}]


IMAGE = {"type": "image", "source": {"type": "base64", "data": PNG}}
VISION: list[list[Any]] = [
    user({"type": "image_url", "image_url": {"url": "https://a"}}),
    user({"type": "input_image", "image_url": "https://a"}),
    user(IMAGE),
    user({"type": "tool_result", "tool_use_id": "t", "content": [IMAGE]}),
    user({"inlineData": {"mimeType": "image/png", "data": PNG}}),
    [{"role": "user", "parts": [{"fileData": {"mimeType": "image/png", "fileUri": "gs://a"}}]}],
    user({"image": {"format": "png", "source": {"bytes": b"x"}}}),
    user({"toolResult": {"toolUseId": "t", "content": [{"image": {"format": "png", "source": {"bytes": b"x"}}}]}}),
    [{"role": "user", "content": "x", "images": [PNG]}],
    [{"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image", "image_url": "https://a"}]}],
    [{"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot", "file_id": "f"}}],
]
NOTHING: list[list[Any]] = [
    [{"role": "user", "content": "image"}],
    user("image", {"type": "text", "text": "image"}, {"type": []}, 7, None),
    user({"type": "tool_use", "id": "t", "name": "run", "input": {"image": "nginx", "type": "image"}}),
    [{"type": "function_call", "name": "run", "arguments": {"image": "nginx"}}],
    [{"role": "user", "content": "x", "images": [], "unknown": {"image": "x"}}],
    user({"type": "document", "source": {"type": "base64", "data": PDF}}),
    user({"image_url": {"type": []}})[:0],
]


@pytest.mark.parametrize("messages", VISION)
def test_an_image_needs_a_model_that_sees(messages: list[Any]) -> None:
    assert needs_of({"messages": messages}) == {"vision"}


@pytest.mark.parametrize("messages", NOTHING)
def test_what_is_no_media_needs_nothing(messages: list[Any]) -> None:
    assert needs_of({"messages": messages}) == frozenset()


def test_sounds_and_files() -> None:
    assert needs_of({"messages": user({"type": "input_audio", "input_audio": {"data": PNG}})}) == {"audio_input"}
    assert needs_of({"messages": user({"inlineData": {"mimeType": "audio/wav", "data": PNG}})}) == {"audio_input"}
    assert needs_of({"messages": user({"type": "file", "file": {"file_id": "f"}})}) == {"file_input"}
