"""Long tool results, shortened."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.rewrites import Content, RewriteError
from costlens_policy.tokens import ESTIMATE
from tests.rewrites.making import IMAGE, changes, chat, prompt, rewritten, text, user

LINES = "".join(f"line {number} of the log\n" for number in range(500))


def shortened(content: Content, limit: int, **more: Any) -> Content:
    return rewritten(content, shorten_tool_output={"max_tokens": limit, **more})


def tool(content: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": "c", "content": content}


def test_the_middle_goes() -> None:
    (message,) = shortened(chat(tool(LINES)), 100).messages or ()
    kept = message["content"]
    assert ESTIMATE.count(kept) <= 100
    head, tail = kept.split("\n[… ", 1)
    assert LINES.startswith(head)
    assert LINES.endswith(tail.split("tokens cut …]\n", 1)[1])
    assert ESTIMATE.count(head) == pytest.approx(45, abs=6)


def test_the_marker_says_how_much() -> None:
    content = shortened(chat(tool(LINES)), 100, marker="<{{ tokens }}>")
    kept = (content.messages or ())[0]["content"]
    head, rest = kept.split("<")
    number, tail = rest.split(">")
    assert int(number) == ESTIMATE.count(LINES) - ESTIMATE.count(head) - ESTIMATE.count(tail)


def test_the_change_gives_tokens_only() -> None:
    (change,) = changes(chat(user("x"), tool(LINES)), shorten_tool_output={"max_tokens": 100})
    assert change.target == "messages[1]"
    assert change.detail.startswith(f"{ESTIMATE.count(LINES)} tokens before, ")


def test_anthropic_results_and_their_parts() -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": [text(LINES), IMAGE, text("short")]}
    plain = {"type": "tool_result", "tool_use_id": "u", "content": LINES}
    (message,) = shortened(chat(user([text(LINES), result, plain])), 200).messages or ()
    first, second, third = message["content"]
    assert first == text(LINES)
    assert second["content"][1] is IMAGE
    assert ESTIMATE.count(second["content"][0]["text"]) <= 200
    assert ESTIMATE.count(third["content"]) <= 200


@pytest.mark.parametrize(
    "content",
    [
        chat(tool("short")),
        chat(user(LINES)),
        chat(tool(None), tool([]), {}, None, tool({"x": 1}), user([None, {"type": "tool_result"}])),
        prompt(LINES),
    ],
)
def test_all_else_is_the_same_object(content: Content) -> None:
    assert shortened(content, 100) is content


def test_a_marker_longer_than_the_result_is_not_put() -> None:
    content = chat(tool("a few words here"))
    assert shortened(content, 1, marker="x" * 50) is content


@given(st.text(max_size=2000), st.integers(1, 60))
def test_shortening_twice_is_shortening_once(value: str, limit: int) -> None:
    once = shortened(chat(tool(value)), limit, marker="~{{ tokens }}~")
    kept = (once.messages or ())[0]["content"]
    assert len(kept) <= len(value)
    if ESTIMATE.count(kept) <= limit:
        assert shortened(once, limit, marker="~{{ tokens }}~") is once


@pytest.mark.parametrize(
    "message",
    [
        {"type": "function_call_output", "call_id": "c", "output": LINES},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": LINES}]},
        {"type": "mcp_call", "name": "f", "arguments": "{}", "output": LINES},
        user([{"toolResult": {"toolUseId": "t", "content": [{"text": LINES}]}}]),
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"result": LINES}}}]},
        {"type": "shell_call_output", "call_id": "c", "output": [{"stdout": LINES, "outcome": {"type": "exit"}}]},
        user([{"toolResult": {"toolUseId": "t", "content": [{"json": {"rows": [{"body": LINES}]}}]}}]),
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"a": {"b": [LINES]}}}}]},
        {"role": "tool", "tool_call_id": "c", "content": {"found": {"body": LINES}}},
        user([{"type": "bash_code_execution_tool_result", "content": {"type": "bash_result", "stdout": LINES}}]),
        user([{"type": "mcp_tool_result", "tool_use_id": "t", "content": [text(LINES)]}]),
    ],
)
def test_results_in_every_dialect(message: dict[str, Any]) -> None:
    content = shortened(chat(message), 100)
    (kept,) = content.messages or ()
    assert len(str(kept)) < len(LINES) / 10
    assert kept.keys() == message.keys()
    (change,) = changes(chat(message), shorten_tool_output={"max_tokens": 100})
    assert change.detail.startswith(f"{ESTIMATE.count(LINES)} tokens before")
    assert shortened(content, 100) is content


@pytest.mark.parametrize(
    "message",
    [
        {"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": "data:," + LINES}},
        {"type": "function_call_output", "output": [{"type": "input_image", "image_url": LINES}]},
        user([{"toolResult": {"content": [{"image": {"format": "png", "source": {"bytes": LINES}}}]}}]),
        user([{"type": "web_search_tool_result", "content": [{"type": "web_search_result", "url": LINES}]}]),
        {"role": "tool", "content": {"id": LINES, "signature": LINES}},
    ],
)
def test_what_is_not_a_text_stays_whole(message: dict[str, Any]) -> None:
    content = chat(message)
    assert shortened(content, 100) is content


def test_a_result_nested_without_end_is_refused() -> None:
    nested: Any = LINES
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(RewriteError, match="nested too deeply"):
        shortened(chat(tool(nested)), 100)


def test_from_a_trigger_to_a_target() -> None:
    size = ESTIMATE.count(LINES)
    content = chat(tool(LINES), tool(LINES * 2), user([{"type": "tool_result", "content": [text(LINES), text(LINES)]}]))
    first, second, third = shortened(content, 100, above_tokens=size).messages or ()
    assert first["content"] == LINES
    assert ESTIMATE.count(second["content"]) <= 100
    assert sum(ESTIMATE.count(part["text"]) for part in third["content"][0]["content"]) <= 100
    assert shortened(content, 100, above_tokens=3 * size) is content


def test_the_trigger_is_not_below_the_target() -> None:
    with pytest.raises(ValueError, match="`above_tokens` must be at least `max_tokens`"):
        shortened(chat(), 100, above_tokens=99)
