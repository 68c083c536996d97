"""Our own functions: tokens, what they cost, and sticky shares."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from costlens_policy.expressions import Environment, analyse, parse_type
from costlens_policy.expressions.compile import compile_expression
from costlens_policy.expressions.runtime import CelError
from costlens_policy.tokens import ESTIMATE, count_messages

TYPES = {"text": "string", "messages": "list(dyn)", "price": "double", "key": "string", "any": "dyn"}


def evaluate(text: str, /, **values: Any) -> Any:
    environment = Environment({name: parse_type(declared) for name, declared in TYPES.items()})
    typed = analyse(text, environment).typed
    assert typed is not None, analyse(text, environment).problems
    return compile_expression(typed, tuple(TYPES))(*(values.get(name) for name in TYPES))


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
