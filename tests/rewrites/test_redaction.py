"""Redaction: where it looks, what it counts, and that doing it twice changes nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.documents.rewrites import Redact
from costlens_policy.rewrites import RewriteError
from costlens_policy.rewrites.personal_data import DETECTORS
from tests.rewrites.making import assistant, changes, chat, prompt, rewritten, step, system, text, user

ALL = {"kinds": list(DETECTORS)}
MAIL = {"kinds": ["email"]}

PIECES = [
    "bob@example.com", "+49 30 1234567", "030 1234567", "(212) 555-0123", "4111 1111 1111 1111", "123-45-6789",
    "DE89370400440532013000", "192.168.0.1", "fe80::1", "::1", "http://u:p@h/", "sk-abcdefghij0123456789", "Bearer ",
    "2024-01-31", "0", "1", "12", "3456", " ", "-", ".", ":", "@", "+", "(", ")", "/", "a", "com", "\n", "\\n", "é",
    "中", "\ud800", "[email]",
]  # fmt: skip
texts = st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=12).map("".join))


def test_the_kinds_are_those_of_the_document() -> None:
    schema = Redact.model_json_schema()["properties"]["kinds"]["items"]
    assert sorted(schema["enum"]) == sorted(DETECTORS)


def test_replacements_are_counted_by_kind() -> None:
    (change,) = changes(prompt("a@b.org, c@d.org or 192.168.0.1"), redact=ALL)
    assert (change.operation, change.target) == ("redact", "prompt")
    assert change.counts == (("email", 2), ("ipv4", 1))
    assert change.detail == "2 email, 1 ipv4 replaced"


def test_the_change_does_not_tell_what_was_taken_away() -> None:
    assert "bob" not in repr(changes(prompt("bob@example.com"), redact=ALL))


def test_a_label_of_ones_own() -> None:
    label = {"kinds": ["email", "ipv4"], "text": "<{{kind}} removed>"}
    assert rewritten(prompt("a@b.org"), redact=label).prompt == "<email removed>"


def test_a_label_that_is_itself_an_address_is_put_once() -> None:
    content = rewritten(prompt("bob@example.com"), redact={"kinds": ["email"], "text": "privacy@example.org"})
    assert content.prompt == "privacy@example.org"
    assert changes(content, redact={"kinds": ["email"], "text": "privacy@example.org"}) == ()


def test_nothing_found_gives_the_same_object() -> None:
    content = chat(system("be brief"), user([text("hello")]), tools=[])
    assert rewritten(content, redact=ALL) is content
    assert changes(content, redact=ALL) == ()


def test_every_place_of_a_conversation() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "mail", "arguments": '{"to": "a@b.org", "n": 1}'}}
    content = chat(
        system("ask admin@b.org"),
        user([text("I am a@b.org"), {"type": "image_url", "image_url": {"url": "https://x/a@b.org"}}]),
        assistant(None, tool_calls=[call]),
        {"role": "tool", "tool_call_id": "c1", "content": "sent to a@b.org"},
        assistant("done", refusal="no a@b.org"),
    )
    messages = rewritten(content, redact=MAIL).messages or ()
    assert messages[0]["content"] == "ask [email]"
    assert messages[1]["content"][0] == text("I am [email]")
    assert messages[1]["content"][1] is content.messages[1]["content"][1]  # type: ignore[index]
    assert json.loads(messages[2]["tool_calls"][0]["function"]["arguments"]) == {"to": "[email]", "n": 1}
    assert messages[3] == {"role": "tool", "tool_call_id": "c1", "content": "sent to [email]"}
    assert messages[4]["refusal"] == "no [email]"
    assert [change.target for change in changes(content, redact=MAIL)] == [f"messages[{index}]" for index in range(5)]


def test_anthropic_blocks() -> None:
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [text("from a@b.org")]}
    use = {"type": "tool_use", "id": "t1", "name": "find", "input": {"a@b.org": ["c@d.org", 4111111111111111]}}
    document = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "by a@b.org"}}
    picture = {"type": "image", "source": {"type": "base64", "data": "a@b.org"}}
    content = chat(assistant([use]), user([result, document, picture]), system=[text("for a@b.org")])
    changed = rewritten(content, redact=ALL)
    assert changed.params["system"] == [text("for [email]")]
    first, second = changed.messages or ()
    assert first["content"][0]["input"] == {"[email]": ["[email]", "[credit_card]"]}
    assert first["content"][0]["name"] == "find"
    assert second["content"][0] == {**result, "content": [text("from [email]")]}
    assert second["content"][1]["source"]["data"] == "by [email]"
    assert second["content"][2] is picture


def test_two_keys_that_become_the_same_are_both_kept() -> None:
    use = {"type": "tool_use", "id": "t1", "name": "x", "input": {"a@b.org": 1, "c@d.org": 2}}
    (message,) = rewritten(chat(assistant([use])), redact=MAIL).messages or ()
    assert message["content"][0]["input"] == {"[email]": 1, "[email] 2": 2}


def test_thinking_that_cannot_be_changed_is_dropped() -> None:
    thinking = {"type": "thinking", "thinking": "he is a@b.org", "signature": "s"}
    kept = {"type": "thinking", "thinking": "he is nobody", "signature": "s"}
    (message,) = rewritten(chat(assistant([thinking, kept, text("hi")])), redact=MAIL).messages or ()
    assert message["content"] == [kept, text("hi")]


def test_arguments_that_are_not_json_are_redacted_as_text() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "mail", "arguments": '{"to": "a@b.org"'}}
    (message,) = rewritten(chat(assistant(None, tool_calls=[call])), redact=MAIL).messages or ()
    assert message["tool_calls"][0]["function"]["arguments"] == '{"to": "[email]"'


@pytest.mark.parametrize(
    "message",
    ["a@b.org", 1, {"role": "user", "content": {"text": "a@b.org"}}, {"role": "user", "content": 5}, user([7])],
)
def test_a_shape_in_which_texts_cannot_be_found_is_an_error(message: Any) -> None:
    with pytest.raises(RewriteError, match=r"messages\[0\]") as caught:
        rewritten(chat(message), redact=MAIL)
    assert caught.value.code == "CL952"
    assert "a@b.org" not in str(caught.value)


@pytest.mark.parametrize("message", [{}, {"role": "user"}, {"content": None}, user([]), user([None]), user("")])
def test_a_message_without_text_is_left_alone(message: Any) -> None:
    content = chat(message)
    assert rewritten(content, redact=ALL) is content


def test_nesting_without_end_is_an_error() -> None:
    value: Any = "a@b.org"
    for _ in range(5000):
        value = [value]
    with pytest.raises(RewriteError, match="nested too deeply"):
        rewritten(chat(assistant([{"type": "tool_use", "input": value}])), redact=MAIL)


@given(texts)
def test_redacting_twice_is_redacting_once(value: str) -> None:
    once = rewritten(prompt(value), redact=ALL)
    assert rewritten(once, redact=ALL) is once


@given(texts, st.sampled_from(sorted(DETECTORS)))
def test_nothing_that_is_personal_data_is_left(value: str, kind: str) -> None:
    left = rewritten(prompt(value), redact=ALL).prompt or ""
    data = left.encode("utf-8", "surrogatepass")
    assert not [found for detector in DETECTORS[kind] for found in detector.find(data.replace(b"\\n", b"  "))]


@given(texts)
def test_with_other_labels_as_well(value: str) -> None:
    redact = {"kinds": list(DETECTORS), "text": "x"}
    once = rewritten(prompt(value), redact=redact)
    assert rewritten(once, redact=redact) is once


def test_long_hostile_texts_take_time_in_proportion() -> None:
    redact = step(redact=ALL)
    for piece in ("0 ", "1234 ", "a@", "+1 ", "::", "4111 1111 1111 1112 ", "://a:", "(", "1.1.1.", "sk-"):
        redact.apply(prompt(piece * (200_000 // len(piece))), ())
