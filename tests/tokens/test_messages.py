"""Tokens of conversations."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.errors import RequestError
from costlens_policy.tokens import (
    ESTIMATE,
    IMAGE_TOKENS,
    MESSAGE_TOKENS,
    REPLY_TOKENS,
    TOOLS_TOKENS,
    TokenCounter,
    count_messages,
)
from tests.rewrites.dialects import PDF, PNG, holding

LONG = "quick brown foxes " * 500
WORDS = "one two three"


class Named:
    """Counts words, so that sums are easy to see."""

    name = "words"

    def count(self, text: str) -> int:
        return len(text.split())


def tokens(*messages: Any) -> int:
    """Return what the messages have beside the marks around them."""
    counted = count_messages(messages, Named())
    assert counted.basis == "words"
    return counted.tokens - REPLY_TOKENS - len(messages) * MESSAGE_TOKENS


def test_texts_and_parts() -> None:
    assert tokens() == 0
    assert tokens({"role": "user", "content": WORDS}) == 3
    assert tokens({"role": "user", "content": [{"type": "text", "text": WORDS}, "four five"]}) == 5
    assert tokens({"role": "assistant", "content": None, "refusal": WORDS}) == 3
    assert tokens({"role": "user", "name": "ada", "content": WORDS}) == 4


def test_tool_calls_and_results() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    assert tokens({"role": "assistant", "content": None, "tool_calls": [call]}) == MESSAGE_TOKENS + 3
    assert tokens({"role": "tool", "tool_call_id": "c", "content": WORDS}) == 3
    use = {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": WORDS}]}
    assert tokens({"role": "assistant", "content": [use]}) == MESSAGE_TOKENS + 3
    assert tokens({"role": "user", "content": [result]}) == MESSAGE_TOKENS + 3


def test_documents_that_are_text() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": WORDS}
    assert tokens({"role": "user", "content": [{"type": "document", "source": source, "title": "four"}]}) == 4


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + PNG}},
        {"type": "image", "source": {"type": "base64", "data": PNG}},
        {"type": "input_image", "image_url": "data:image/png;base64," + PNG, "detail": "auto"},
        {"inlineData": {"mimeType": "image/png", "data": PNG}},
        {"image": {"format": "png", "source": {"bytes": base64.b64decode(PNG)}}},
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
    ],
)
def test_an_image_is_a_constant_and_makes_the_count_an_estimate(part: dict[str, Any]) -> None:
    counted = count_messages([{"role": "user", "content": [part]}], Named())
    assert counted.tokens == REPLY_TOKENS + MESSAGE_TOKENS + IMAGE_TOKENS
    assert counted.basis == "estimate"


def test_odd_shapes_are_counted_as_json() -> None:
    assert tokens(None) == 0
    assert tokens(5, [1, 2], {"role": "user", "content": {"a": 1}}) == 1 + 2 + 2
    assert tokens({"role": "user", "content": [{"type": []}, 7, {"type": "new", "x": "y"}]}) == 1 + 1 + 2


def test_nesting_without_end_is_an_error() -> None:
    loop: dict[str, Any] = {}
    loop["content"] = loop
    with pytest.raises(RequestError, match="nested without end"):
        count_messages([loop], ESTIMATE)


@given(st.lists(st.dictionaries(st.sampled_from(["role", "content", "tool_calls"]), st.text()), max_size=5))
def test_every_message_adds(messages: list[dict[str, str]]) -> None:
    total = count_messages(messages, ESTIMATE).tokens
    assert total >= REPLY_TOKENS + len(messages) * MESSAGE_TOKENS


@pytest.mark.parametrize("shape", holding(""))
def test_a_long_text_is_counted_wherever_it_stands(shape: str) -> None:
    counted = count_messages([holding(LONG)[shape]], ESTIMATE).tokens
    assert counted >= ESTIMATE.count(LONG)


@pytest.mark.parametrize("place", ["role", "type", "id", "call_id", "tool_call_id", "cache_control", "status"])
def test_what_speaks_to_the_provider_is_free_while_it_is_short(place: str) -> None:
    usual = tokens({"role": "user", "content": WORDS})
    assert tokens({"role": "user", "content": WORDS, place: "call_0123456789"}) == usual
    for long in (LONG, {"x": LONG}, {"x": {"y": LONG}}, [LONG]):
        assert tokens({"role": "user", "content": WORDS, place: long}) >= 1500


def size(part: dict[str, Any]) -> int:
    return count_messages([{"role": "user", "content": [part]}], ESTIMATE).tokens - REPLY_TOKENS - MESSAGE_TOKENS


def test_a_file_counts_by_its_size() -> None:
    def attached(mime: str, data: bytes) -> dict[str, Any]:
        url = f"data:{mime};base64,{base64.b64encode(data).decode()}"
        return {"type": "file", "file": {"file_data": url}}

    assert size(attached("text/plain", LONG.encode())) == ESTIMATE.count(LONG)
    assert size(attached("", LONG.encode())) == ESTIMATE.count(LONG)
    assert size(attached("application/pdf", base64.b64decode(PDF))) == 3 * 3000
    assert size(attached("application/pdf", b"%PDF-1.7" + bytes(range(256)) * 400)) >= 30 * 3000
    assert size(attached("application/zip", bytes(range(256)) * 100)) > 10_000
    assert size(attached("audio/mpeg", bytes(range(256)) * 1000)) == 2560
    assert size({"type": "file", "file": {"file_id": "file_1"}}) == 1500
    assert size({"type": "input_audio", "input_audio": {"data": "A" * 100, "format": "mp3"}}) == 600
    assert size({"type": "image", "source": {"type": "base64", "data": base64.b64encode(LONG.encode()).decode()}}) == (
        ESTIMATE.count(LONG)
    )


def test_each_image_of_a_list_counts() -> None:
    assert count_messages([{"role": "user", "content": "", "images": [PNG, PNG]}], ESTIMATE).tokens >= 2 * IMAGE_TOKENS


def test_tools_have_a_system_prompt() -> None:
    tally = TokenCounter(ESTIMATE)
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    assert tally.tools(None) == tally.tools([]) == 0
    assert tally.tools([tool]) == TOOLS_TOKENS + ESTIMATE.count(json.dumps([tool]))
    assert tally.tools([{"type": "bash_20250124", "name": "bash"}]) > TOOLS_TOKENS + 700


@pytest.mark.parametrize("kind", ["audio/mp3", "video/mp4", "image/png", "text/plain"])
def test_text_that_calls_itself_something_else_counts_as_text(kind: str) -> None:
    text = "all the words of a long text, " * 2000
    data = base64.b64encode(text.encode()).decode()
    for part in (
        {"inlineData": {"mimeType": kind, "data": data}},
        {"type": "file", "file": {"file_data": f"data:{kind};base64,{data}"}},
        {kind.partition("/")[0]: {"source": {"bytes": text.encode()}}},
    ):
        assert count_messages([{"role": "user", "content": [part]}], ESTIMATE).tokens >= ESTIMATE.count(text)
