"""The history of a conversation, trimmed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.rewrites import Content, content_tokens
from costlens_policy.rewrites.shapes import call_ids, is_anthropic, is_user_turn, last_user_turn, result_ids, role_of
from costlens_policy.tokens import ESTIMATE, TokenCounter
from tests.rewrites.making import assistant, changes, chat, prompt, rewritten, system, text, user


def trimmed(content: Content, limit: int) -> Content:
    return rewritten(content, trim_history={"max_prompt_tokens": limit})


def tokens_of(content: Content) -> int:
    return content_tokens(content, TokenCounter(ESTIMATE))


def calls(*ids: str) -> dict[str, Any]:
    listed = [{"id": item, "type": "function", "function": {"name": "f", "arguments": "{}"}} for item in ids]
    return assistant(None, tool_calls=listed)


def answer(item: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": item, "content": "the answer of the tool"}


def uses(*ids: str) -> dict[str, Any]:
    return assistant([{"type": "tool_use", "id": item, "name": "f", "input": {}} for item in ids])


def results(*ids: str, more: str = "") -> dict[str, Any]:
    parts: list[Any] = [{"type": "tool_result", "tool_use_id": item, "content": "result"} for item in ids]
    return user([*parts, text(more)] if more else parts)


LONG = chat(system("s"), user("one " * 50), assistant("1 " * 50), user("two " * 50), assistant("2"), user("three"))


def test_a_conversation_that_fits_is_the_same_object() -> None:
    assert trimmed(LONG, 10_000) is LONG
    assert trimmed(prompt("x " * 1000), 1).prompt == "x " * 1000


def test_the_oldest_go_first() -> None:
    tokens = tokens_of(LONG)
    content = trimmed(LONG, tokens - 1)
    assert content.messages == (LONG.messages or ())[:1] + (LONG.messages or ())[2:]
    (change,) = changes(LONG, trim_history={"max_prompt_tokens": tokens - 1})
    left = tokens_of(content)
    assert change.detail == f"1 of 6 messages dropped, {tokens} tokens before, {left} after"
    assert change.target == "messages"


def test_system_text_and_the_last_user_message_stay_however_small_the_limit() -> None:
    assert trimmed(LONG, 1).messages == (system("s"), user("three"))
    assert "still above 1 because the rest must stay" in changes(LONG, trim_history={"max_prompt_tokens": 1})[0].detail


def test_what_has_to_stay_is_said_even_if_nothing_goes() -> None:
    content = chat(user("x " * 100))
    assert trimmed(content, 1) is content
    assert changes(content, trim_history={"max_prompt_tokens": 1})[0].detail.startswith("0 of 1 messages dropped")


def test_a_call_and_its_results_go_together() -> None:
    content = chat(user("q"), calls("a", "b"), answer("a"), answer("b"), assistant("so"), user("next"))
    for limit in range(1, tokens_of(content)):
        kept = trimmed(content, limit).messages or ()
        assert (calls("a", "b") in kept) == (answer("a") in kept) == (answer("b") in kept)


def test_the_exchange_that_the_model_has_to_answer_stays() -> None:
    content = chat(user("q"), calls("a"), answer("a"), calls("b"), answer("b"))
    assert trimmed(content, 1).messages == (user("q"), calls("b"), answer("b"))


def test_ids_that_come_again_belong_to_the_latest_call() -> None:
    content = chat(user("q"), calls("x"), answer("x"), assistant("so"), user("n"), calls("x"), answer("x"))
    assert trimmed(content, 1).messages == (user("n"), calls("x"), answer("x"))


def test_an_anthropic_conversation_begins_with_a_user() -> None:
    content = chat(user("q1 " * 30), assistant("a1"), user("q2"), uses("t"), results("t"), assistant("a3"), user("q4"))
    tokens = tokens_of(content)
    assert (trimmed(content, tokens - 1).messages or ())[0] == user("q2")


def test_text_beside_results_keeps_the_call_and_a_user_before_it() -> None:
    content = chat(user("q1"), assistant("a1"), user("q2"), assistant("a2"), uses("t"), results("t", more="and now?"))
    assert trimmed(content, 1).messages == (user("q2"), uses("t"), results("t", more="and now?"))


def test_system_text_counts() -> None:
    content = chat(user("a " * 20), assistant("b"), user("c"), system="s " * 100)
    bare = chat(user("a " * 20), assistant("b"), user("c"))
    limit = tokens_of(bare)
    assert trimmed(bare, limit) is bare
    assert trimmed(content, limit).messages == (user("c"),)


def test_odd_messages_do_no_harm() -> None:
    content = chat(None, 5, {}, {"role": 7}, answer("nobody"), {"role": "user", "content": {"x": 1}}, [])
    assert trimmed(content, 1).messages == ([],)
    assert trimmed(chat(), 1).messages == ()
    assert trimmed(chat(system("s")), 1).messages == (system("s"),)


ids = st.sampled_from("abc")
openai = st.one_of(
    st.text(max_size=30).map(lambda value: [user(value)]),
    st.text(max_size=30).map(lambda value: [assistant(value)]),
    st.text(max_size=9).map(lambda value: [system(value)]),
    st.lists(ids, min_size=1, max_size=3, unique=True).map(lambda found: [calls(*found), *map(answer, found)]),
)
anthropic = st.one_of(
    st.text(min_size=1, max_size=30).map(lambda value: [user([text(value)]), assistant([text(value)])]),
    st.tuples(st.lists(ids, min_size=1, max_size=3, unique=True), st.sampled_from(["", "more"])).map(
        lambda pair: [uses(*pair[0]), results(*pair[0], more=pair[1])]
    ),
)


def conversations(turns: st.SearchStrategy[list[Any]]) -> st.SearchStrategy[Content]:
    return st.lists(turns, min_size=1, max_size=10).map(lambda parts: chat(user("q"), *(m for p in parts for m in p)))


def assert_well_formed(messages: tuple[Any, ...]) -> None:
    open_calls: set[str] = set()
    for message in messages:
        assert set(result_ids(message)) <= open_calls
        open_calls = set(call_ids(message)) or open_calls


@given(st.one_of(conversations(openai), conversations(anthropic)), st.integers(1, 400))
def test_trimming(content: Content, limit: int) -> None:
    before = content.messages or ()
    kept = trimmed(content, limit)
    after = kept.messages or ()
    assert_well_formed(after)
    assert trimmed(kept, limit).messages == after
    assert after[-1] is before[-1]
    assert before[last_user_turn(before) or 0] in after
    assert [m for m in after if role_of(m) == "system"] == [m for m in before if role_of(m) == "system"]
    if is_anthropic(before, {}):
        first = next(message for message in after if role_of(message) != "system")
        assert is_user_turn(first)
        assert not result_ids(first)


@pytest.mark.parametrize(
    "exchange",
    [
        [
            {"type": "reasoning", "id": "r", "summary": []},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "x"},
        ],
        [
            {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}]},
            {"role": "user", "content": [{"toolResult": {"toolUseId": "t", "content": [{"text": "x"}]}}]},
        ],
        [
            {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"x": "y"}}}]},
        ],
        [
            {"type": "mcp_approval_request", "id": "a", "name": "f", "arguments": "{}"},
            {"type": "mcp_approval_response", "approval_request_id": "a", "approve": True},
        ],
    ],
)
def test_calls_and_results_of_every_dialect_go_together(exchange: list[dict[str, Any]]) -> None:
    old = {"role": "user", "content": "word " * 50}
    content = Content(None, (old, *exchange, {"role": "user", "content": "now"}), {})
    whole = tokens_of(content)
    for limit in range(10, whole + 1):
        kept = rewritten(content, trim_history={"max_prompt_tokens": limit}).messages or ()
        assert sum(item in kept for item in exchange) in (0, len(exchange))
