"""Redaction: where it looks, what it counts, and that doing it twice changes nothing."""

from __future__ import annotations

import base64
import json
import re
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costlens_policy.documents.rewrites import Redact
from costlens_policy.rewrites import Content, RewriteError
from costlens_policy.rewrites.personal_data import DETECTORS
from tests.rewrites.dialects import PNG, holding
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
    assert messages[1]["content"][1]["image_url"] == {"url": "https://x/[email]"}
    assert json.loads(messages[2]["tool_calls"][0]["function"]["arguments"]) == {"to": "[email]", "n": 1}
    assert messages[3] == {"role": "tool", "tool_call_id": "c1", "content": "sent to [email]"}
    assert messages[4]["refusal"] == "no [email]"
    assert [change.target for change in changes(content, redact=MAIL)] == [f"messages[{index}]" for index in range(5)]


def test_anthropic_blocks() -> None:
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [text("from a@b.org")]}
    use = {"type": "tool_use", "id": "t1", "name": "find", "input": {"a@b.org": ["c@d.org", 4111111111111111]}}
    document = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "by a@b.org"}}
    picture = {"type": "image", "source": {"type": "base64", "data": PNG}}
    content = chat(assistant([use]), user([result, document, picture]), system=[text("for a@b.org")])
    changed = rewritten(content, redact=ALL)
    assert changed.params["system"] == [text("for [email]")]
    first, second = changed.messages or ()
    assert first["content"][0]["input"] == {"[email]": ["[email]", "[credit_card]"]}
    assert first["content"][0]["name"] == "find"
    assert second["content"][0] == {**result, "content": [text("from [email]")]}
    assert second["content"][1]["source"]["data"] == "by [email]"
    assert second["content"][2] is picture


@pytest.mark.parametrize("shape", holding(""))
def test_an_address_is_taken_out_wherever_it_stands(shape: str) -> None:
    content = chat(user("hi"), holding("bob@example.com")[shape])
    before = repr(content)
    after = rewritten(content, redact=ALL)
    assert holds(before)
    assert not holds(repr(after))
    assert repr(content) == before
    assert rewritten(after, redact=ALL) is after


def holds(shown: str) -> bool:
    encoded = "Ym9iQGV4YW1wbGUuY29t"
    return "bob@" in shown or encoded in shown


@pytest.mark.parametrize("key", ["id", "tool_call_id", "role", "type", "status", "cache_control"])
def test_an_id_cannot_be_redacted(key: str) -> None:
    for message in ({**user("x"), key: "bob@example.com"}, user([{"type": "image", "file_id": "f", key: "b@x.org"}])):
        with pytest.raises(RewriteError, match=rf"messages\[0\].*{key}.* only the provider reads") as caught:
            rewritten(chat(message), redact=MAIL)
        assert caught.value.code == "CL952"
        assert "@" not in str(caught.value)


def test_parameters_are_texts_too() -> None:
    content = chat(user("x"), user="bob@example.com", metadata={"who": ["bob@example.com"]}, top_p=0.5, stop=["b"])
    after = rewritten(content, redact=MAIL).params
    assert after == {"user": "[email]", "metadata": {"who": ["[email]"]}, "top_p": 0.5, "stop": ["b"]}
    assert [change.target for change in changes(content, redact=MAIL)] == ["params.user", "params.metadata"]


@pytest.mark.parametrize(
    "arguments", ['{"a": "bob@example.com", "a": "x"}', '{"a": "bob\\u0040example.com"}', '{"a": {"b@c.org": 1}}']
)
def test_json_hides_nothing(arguments: str) -> None:
    (message,) = (
        rewritten(chat({"type": "function_call", "name": "f", "arguments": arguments}), redact=MAIL).messages or ()
    )
    assert not re.search(r"@|u0040", message["arguments"])


def test_replacing_keeps_to_words() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://x/a"}}
    content = chat({"role": "user", "name": "a", "content": [image, text("a")]}, user="a")
    after = rewritten(content, replace={"pattern": "a", "text": "b"})
    assert after.messages == ({"role": "user", "name": "a", "content": [image, text("b")]},)
    assert after.params == {"user": "a"}


@pytest.mark.parametrize(
    ("role", "message"),
    [
        ("tool", {"type": "function_call_output", "call_id": "c", "output": "a"}),
        ("assistant", {"type": "reasoning", "summary": [{"type": "summary_text", "text": "a"}]}),
        ("assistant", {"role": "model", "parts": [{"text": "a"}]}),
        ("tool", {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"x": "a"}}}]}),
        ("tool", {"role": "user", "content": [{"toolResult": {"toolUseId": "t", "content": [{"text": "a"}]}}]}),
        ("user", {"role": "USER", "message": "a"}),
    ],
)
def test_whose_texts_they_are(role: str, message: dict[str, Any]) -> None:
    for meant in ("system", "user", "assistant", "tool"):
        after = rewritten(chat(message), replace={"pattern": "^a$", "text": "b", "roles": [meant]})
        assert (after.messages != (message,)) == (meant == role)


def test_a_text_file_stays_a_file() -> None:
    encoded = base64.b64encode(b"a,bob@example.com\n" * 20).decode()
    part = {"type": "file", "file": {"filename": "a.csv", "file_data": f"data:text/csv;base64,{encoded}"}}
    after, (change,) = step(redact=ALL).apply(Content(None, ({"role": "user", "content": [part]},), {}), ())
    data = json.loads(json.dumps(after.messages))[0]["content"][0]["file"]["file_data"]
    head, _, body = data.partition(",")
    assert head == "data:text/csv;base64"
    assert base64.b64decode(body) == b"a,[email]\n" * 20
    assert change.counts == (("email", 20),)


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
    ["a@b.org", 1, {"role": "user", "content": 5}, user([7]), {"type": "function_call_output", "output": 7}],
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


VALUES = {
    "email": "bob@example.com",
    "phone": "+49 30 1234567",
    "credit_card": "4111 1111 1111 1111",
    "iban": "DE89 3704 0044 0532 0130 00",
    "us_ssn": "123-45-6789",
    "ipv4": "192.168.0.1",
    "ipv6": "2001:db8::8a2e:370:7334",
    "url_credentials": "https://user:secret@host",
    "api_key": "sk-abcdefghij0123456789",
}
INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\xad\u034f\u180e\u2063\u061c\ufe0f\u0301\x08\x7f\U000e0041"
around = st.text("xyz .,\u00e9\u4e2d\uff21\u200b", max_size=8)


def disguised(value: str) -> st.SearchStrategy[str]:
    """Return a value with full-width forms and signs that cannot be seen, at random."""
    each = st.tuples(st.booleans(), st.sampled_from(["", "", *INVISIBLE]))
    return st.lists(each, min_size=len(value), max_size=len(value)).map(lambda how: _disguised(value, how))


def _disguised(value: str, how: list[tuple[bool, str]]) -> str:
    pieces = [
        (chr(ord(character) + 0xFEE0) if wide and "!" <= character <= "~" else character) + sign
        for character, (wide, sign) in zip(value, how, strict=True)
    ]
    return "".join(pieces).rstrip(INVISIBLE)


@pytest.mark.parametrize("kind", VALUES)
@given(before=around, after=around, data=st.data())
@settings(max_examples=25)
def test_no_disguise_hides_a_value_and_nothing_else_changes(kind: str, before: str, after: str, data: Any) -> None:
    value = data.draw(disguised(VALUES[kind]))
    before, after = before + "\n", "\n" + after
    expected = "https://[url_credentials]@host" if kind == "url_credentials" else f"[{kind}]"
    left = rewritten(prompt(before + value + after), redact={"kinds": [kind]}).prompt or ""
    assert left.startswith(before)
    assert left.endswith(after)
    seen = left[len(before) : len(left) - len(after)].translate(dict.fromkeys(map(ord, INVISIBLE)))
    assert unicodedata.normalize("NFKC", seen) == expected


@given(
    st.lists(st.sampled_from([*PIECES, "\uff20", "%40", "\\u0040", "&#64;", "\u200b", "\ufdfa", "\xbd"]), max_size=12)
)
def test_what_is_outside_of_matches_stays_as_it_is(pieces: list[str]) -> None:
    value = "".join(pieces)
    left = rewritten(prompt(value), redact={"kinds": ["email"], "text": "\0"}).prompt or ""
    at = 0
    for piece in left.split("\0"):
        at = value.find(piece, at)
        assert at >= 0
        at += len(piece)


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
    for piece in (
        "0 ", "1234 ", "a@", "+1 ", "::", "4111 ", "4111 1111 1111 1112 ", "://a:", "(", "1.1.1.", "sk-", "030 ",
        "0123 456 ", "DE89 ", "1.2.3.4 ", "version 1.2.3.4, ", "%40", "\\u0040", "&#64;", "\uff20", "a(at)b", "\u200b",
    ):  # fmt: skip
        redact.apply(prompt(piece * (200_000 // len(piece))), ())
