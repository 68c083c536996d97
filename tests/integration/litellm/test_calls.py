"""Every API through a real proxy: what is sent is what was decided, and what is charged is what was served."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from tests.integration.litellm.conftest import Gateway

HELLO = [{"role": "user", "content": "hello"}]
CHAT, COMPLETIONS, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/responses"
MESSAGES, EMBEDDINGS = "/v1/messages", "/v1/embeddings"

# What 20 tokens of a prompt and 5 of an answer cost on each model, in millionths of a dollar.
NANO, MINI, HAIKU, EMBED = 30, 80, 135, 10

CALLS: dict[str, tuple[str, dict[str, Any], int]] = {
    "chat": (CHAT, {"model": "fast", "messages": HELLO}, NANO),
    "chat, other provider": (CHAT, {"model": "claude", "messages": HELLO, "max_completion_tokens": 44}, HAIKU),
    "chat, both limits": (
        CHAT,
        {"model": "fast", "messages": HELLO, "max_tokens": 9, "max_completion_tokens": 9},
        NANO,
    ),
    "completions": (COMPLETIONS, {"model": "fast", "prompt": "hello"}, NANO),
    "responses": (RESPONSES, {"model": "fast", "input": "hello"}, NANO),
    "responses, other provider": (RESPONSES, {"model": "claude", "input": "hello", "max_output_tokens": 33}, HAIKU),
    "messages": (MESSAGES, {"model": "claude", "max_tokens": 50, "messages": HELLO}, HAIKU),
    "messages, other provider": (MESSAGES, {"model": "fast", "max_tokens": 50, "messages": HELLO}, NANO),
}


def team() -> str:
    return f"team-{uuid4().hex[:8]}"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", CALLS)
def test_a_call_is_charged_what_was_served(gateway: Gateway, name: str, stream: bool) -> None:
    path, body, cost = CALLS[name]
    who = team()
    answer = gateway.ask(path, {**body, "stream": stream}, key=f"sk-{who}")
    assert answer.status == 200, answer.body
    assert "Soon" in str(answer.body)
    if name == "completions" and stream:  # LiteLLM keeps the usage of these streams to itself
        assert gateway.settled(who) > 5 * cost
    else:
        assert gateway.settled(who) == cost


def test_embeddings_are_charged_what_was_served(gateway: Gateway) -> None:
    who = team()
    answer = gateway.ask(EMBEDDINGS, {"model": "embed", "input": ["one", "two"]}, key=f"sk-{who}")
    assert answer.status == 200, answer.body
    assert len(answer.body["data"]) == 2
    assert gateway.settled(who) == EMBED


LIMITS = {
    "chat": 100,
    "chat, other provider": 44,
    "chat, both limits": 9,
    "completions": 100,
    "responses": 100,
    "responses, other provider": 33,
    "messages": 50,
    "messages, other provider": 50,
}


@pytest.mark.parametrize("name", CALLS)
def test_the_limit_that_was_held_is_the_limit_that_is_sent(gateway: Gateway, name: str) -> None:
    path, body, _ = CALLS[name]
    before = len(gateway.served())
    gateway.ask(path, body)
    (sent,) = gateway.served()[before:]
    limits = {key: value for key, value in sent["body"].items() if "max" in key}
    assert list(limits.values()) == [LIMITS[name]], limits


@pytest.mark.parametrize("wants", [False, True])
def test_a_client_gets_the_usage_of_a_stream_only_if_it_asks(gateway: Gateway, wants: bool) -> None:
    options = {"stream_options": {"include_usage": True}} if wants else {}
    who = team()
    answer = gateway.ask(CHAT, {"model": "fast", "messages": HELLO, "stream": True, **options}, key=f"sk-{who}")
    assert ('"usage"' in answer.body) is wants
    assert gateway.settled(who) == NANO


def test_a_fallback_is_charged_as_what_it_is(gateway: Gateway) -> None:
    who = team()
    body = {"model": "fast", "messages": [{"role": "user", "content": "fail 500 on gpt-nano"}]}
    for stream in (False, True):
        answer = gateway.ask(CHAT, {**body, "stream": stream}, key=f"sk-{who}")
        assert answer.status == 200, answer.body
    assert gateway.settled(who) == 2 * MINI


@pytest.mark.parametrize("status", [400, 429, 500, 503])
def test_a_call_that_fails_costs_nothing(gateway: Gateway, status: int) -> None:
    who = team()
    body = {"model": "fast", "messages": [{"role": "user", "content": f"fail {status}"}]}
    for stream in (False, True):
        assert gateway.ask(CHAT, {**body, "stream": stream}, key=f"sk-{who}").status >= 400
    assert gateway.settled(who) == 0


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_without_a_usage_of_the_provider_the_worst_case_is_charged(gateway: Gateway, stream: bool) -> None:
    who = team()
    body = {"model": "fast", "messages": [{"role": "user", "content": "no usage"}], "stream": stream}
    assert gateway.ask(CHAT, body, key=f"sk-{who}").status == 200
    used = gateway.settled(who)
    assert used > 200  # 100 tokens at $2 a million, and the prompt as it is counted here
    assert used == used.to_integral_value() != Decimal(NANO)
