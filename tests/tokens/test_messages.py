"""Tokens of conversations."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.errors import RequestError
from costlens_policy.tokens import ESTIMATE, IMAGE_TOKENS, MESSAGE_TOKENS, REPLY_TOKENS, count_messages

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
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 9999}},
        {"type": "image", "source": {"type": "base64", "data": "A" * 9999}},
    ],
)
def test_an_image_is_a_constant_and_makes_the_count_an_estimate(part: dict[str, Any]) -> None:
    counted = count_messages([{"role": "user", "content": [part]}], Named())
    assert counted.tokens == REPLY_TOKENS + MESSAGE_TOKENS + IMAGE_TOKENS
    assert counted.basis == "estimate"


def test_odd_shapes_are_counted_as_json() -> None:
    assert tokens(None) == 0
    assert tokens(5, [1, 2], {"role": "user", "content": {"a": 1}}) == 1 + 2 + 2
    assert tokens({"role": "user", "content": [{"type": []}, 7, {"type": "new", "x": "y"}]}) == 2 + 1 + 4


def test_nesting_without_end_is_an_error() -> None:
    loop: dict[str, Any] = {}
    loop["content"] = loop
    with pytest.raises(RequestError, match="nested without end"):
        count_messages([loop], ESTIMATE)


@given(st.lists(st.dictionaries(st.sampled_from(["role", "content", "tool_calls"]), st.text()), max_size=5))
def test_every_message_adds(messages: list[dict[str, str]]) -> None:
    total = count_messages(messages, ESTIMATE).tokens
    assert total >= REPLY_TOKENS + len(messages) * MESSAGE_TOKENS
