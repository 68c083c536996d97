"""Our own functions: texts, tokens, what they cost, and sticky shares."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costlens_policy.checker.attributes import STANDARD_ATTRIBUTES, request_record
from costlens_policy.expressions import Environment, Limits, Type, analyze, parse_type
from costlens_policy.expressions.compile import compile_expression
from costlens_policy.expressions.functions.costs import Sizes
from costlens_policy.expressions.limits import RunLimits
from costlens_policy.expressions.runtime import CelError, from_python
from costlens_policy.tokens import ESTIMATE, KEY_KINDS, KeyKind, count_messages

TYPES = {"text": "string", "messages": "list(dyn)", "price": "double", "key": "string", "any": "dyn"}


def evaluate(text: str, /, **values: Any) -> Any:
    return _compiled(text)(*(values.get(name) for name in TYPES))


@cache
def _compiled(text: str) -> Callable[..., Any]:
    environment = Environment({name: parse_type(declared) for name, declared in TYPES.items()})
    analyzed = analyze(text, environment, limits=Limits(cost=10**12))
    assert analyzed.typed is not None, analyzed.problems
    return compile_expression(analyzed.typed, tuple(TYPES))


def test_tokens_of_a_text_are_the_estimate() -> None:
    text = "How many tokens does this sentence have?"
    assert evaluate("tokens(text)", text=text) == ESTIMATE.count(text) > 5
    assert evaluate("tokens('')") == 0
    assert evaluate("tokens(any)", any=text) == ESTIMATE.count(text)


def test_tokens_of_messages_are_those_of_the_conversation() -> None:
    messages = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": [{"type": "text", "text": "hi"}]},
    ]
    assert evaluate("tokens(messages)", messages=messages) == count_messages(messages, ESTIMATE).tokens
    assert evaluate("tokens(any)", any=messages) == count_messages(messages, ESTIMATE).tokens
    assert evaluate("tokens([])") > 0


def test_tokens_of_what_is_no_conversation() -> None:
    with pytest.raises(CelError) as raised:
        evaluate("tokens([{'content': {true: 1}}])")
    assert raised.value.code == "CL908"
    with pytest.raises(CelError) as raised:
        evaluate("tokens(any)", any=7)
    assert raised.value.code == "CL901"


_CALL = {"name": "look", "arguments": '{"where": "top\\u0020shelf", "rows": [7, 8.5, true]}'}
MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": [{"type": "text", "text": "what?"}, {"type": "image_url", "image_url": {"url": "x"}}]},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": _CALL}]},
    {"role": "tool", "tool_call_id": "call_1", "content": "a vase"},
    {"role": "user", "content": [{"type": "tool_result", "content": [{"type": "text", "text": "blue"}]}]},
    {"role": "user", "content": [{"type": "document", "title": "will", "source": {"type": "text", "data": "to Ann"}}]},
    {"role": "user", "parts": [{"text": "now?"}, {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}]},
    {"role": "user", "content": "bye", "novel": {"key": ["deep"]}},
]  # fmt: skip


_TEXTS = [
    "be brief", "what?", "look\nwhere\ntop shelf\nrows\n7\n8.5", "a vase", "blue", "will\nto Ann", "now?",
    "bye\nnovel\nkey\ndeep",
]  # fmt: skip


@pytest.mark.parametrize(("message", "expected"), list(zip(MESSAGES, _TEXTS, strict=True)))
def test_text_of_a_message_is_what_a_model_reads(message: dict[str, Any], expected: str) -> None:
    assert evaluate("text(any)", any=message) == expected


def test_text_of_messages_a_content_and_any_value() -> None:
    assert evaluate("text(messages)", messages=MESSAGES) == "\n".join(_TEXTS)
    contents = evaluate("messages.map(m, text(m.?content.orValue('')))", messages=MESSAGES[:3])
    assert contents == ["be brief", "what?", ""]
    assert evaluate("messages.exists(m, m.role == 'user' && text(m).contains('vase'))", messages=MESSAGES) is False
    assert evaluate("text('a') + text('') + text(null) + text(7) + text([]) + text(true)") == "a7"


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({}, ""),
        ({"prompt": "hello", "team": "growth"}, "hello"),
        (
            {"messages": MESSAGES[:2], "params": {"system": "be kind", "user": "u-1"}},
            "be kind\nbe brief\nwhat?",
        ),
        ({"params": {"system": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]}}, "one\ntwo"),
    ],
)
def test_text_of_a_request(request_: dict[str, Any], expected: str) -> None:
    environment = Environment({"request": Type("request")}, {"request": request_record(STANDARD_ATTRIBUTES, Sizes())})
    analyzed = analyze("text(request)", environment)
    assert analyzed.typed is not None
    assert analyzed.problems == ()
    assert analyzed.typed.references == {("request",)}
    assert compile_expression(analyzed.typed, ("request",))(from_python(request_)) == expected


_LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(max_size=4)
_KEYS = st.sampled_from([*KEY_KINDS, "novel"]) | st.text()
_VALUES = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3))


@settings(max_examples=200)
@given(_VALUES)
def test_any_value_has_a_text_that_can_be_searched(value: Any) -> None:
    assert evaluate("text(any).matches('^a|b$') || true", any=value) is True
    assert evaluate("text(any)", any=value).encode() is not None


_READ = [*sorted(key for key, place in KEY_KINDS.items() if place in (KeyKind.TEXT, KeyKind.PARTS)), "novel"]


@given(st.sampled_from(_READ), st.text())
def test_no_text_is_left_out(key: str, words: str) -> None:
    searchable = words.encode("utf-8", "replace").decode()
    call = {"function": {"arguments": {"a": words}}}
    for message in ({key: words}, {"content": [{key: words}]}, {"tool_calls": [call]}):
        assert searchable in evaluate("text(any)", any=message)


def test_half_of_a_surrogate_pair_does_not_stop_a_search() -> None:
    assert evaluate("text(any).matches('secret')", any={"content": "\ud800 secret"}) is True


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"a": "x", "a": "y"}', "a\nx\na\ny"),
        ("not json: secret", "not json: secret"),
        ('"\\u0073ecret"', "secret"),
        ("[" * 2_000 + '"secret"' + "]" * 2_000, "secret"),
        ("[" * 900 + '"secret"' + "]" * 900, "secret"),
    ],
)
def test_json_hides_nothing(arguments: str, expected: str) -> None:
    assert expected in evaluate("text(any)", any={"tool_calls": [{"function": {"arguments": arguments}}]})


def test_a_text_too_large_for_one_value_ends_the_evaluation() -> None:
    with pytest.raises(CelError) as raised:
        evaluate("text(messages) == ''", messages=["x" * 6_000_000] * 2)
    assert raised.value.code == "CL915"


@pytest.mark.parametrize("call", ["text(messages).size()", "tokens(messages)"])
def test_long_texts_in_lists_are_paid_for(call: str) -> None:
    """What reads the same long messages for each element of another list comes to an end."""
    environment = Environment({"messages": parse_type("list(dyn)")})
    typed = analyze(f"lists.range(50).all(i, {call} > i)", environment, limits=Limits(cost=10**12)).typed
    assert typed is not None
    evaluate_it = compile_expression(typed, ("messages",), limits=RunLimits(iterations=1_000))
    assert evaluate_it([{"role": "user", "content": "words " * 100}]) is True
    with pytest.raises(CelError) as raised:
        evaluate_it([{"role": "user", "content": "words " * 100_000}])
    assert raised.value.code == "CL914"


def test_usd_joins_counts_and_prices() -> None:
    assert evaluate("usd(2000000, price)", price=2.5) == 5.0
    assert evaluate("usd(tokens(text), price) < 0.01", text="short", price=2.5) is True


def test_a_share_is_sticky_and_as_large_as_it_says() -> None:
    keys = [f"user-{number}" for number in range(2_000)]
    inside = [key for key in keys if evaluate("sampled(key, 'canary', 10)", key=key)]
    assert 140 < len(inside) < 260
    wider = {key for key in keys if evaluate("sampled(key, 'canary', 12.5)", key=key)}
    assert set(inside) < wider
    other = {key for key in keys if evaluate("sampled(key, 'another', 10)", key=key)}
    assert other != set(inside)


@pytest.mark.parametrize(
    "percent",
    ["0", "0.0", "0.001", "0.005", "0.01", "0.015", "0.07", "0.29", "33.3", "57.99", "99.995", "100", "100.0"],
)
def test_a_share_counts_buckets(percent: str) -> None:
    for number in range(300):
        key = f"k{number}"
        bucket = evaluate("hash(key)", key=key)
        assert evaluate(f"sampled(key, {percent})", key=key) == (bucket < Decimal(percent) * 100)


@pytest.mark.parametrize("percent", ["-1", "100.5", "101", "double('NaN')"])
def test_a_share_lies_between_0_and_100(percent: str) -> None:
    with pytest.raises(CelError) as raised:
        evaluate(f"sampled('a', {percent})")
    assert raised.value.code == "CL908"
