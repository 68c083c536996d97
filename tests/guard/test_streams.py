"""Streamed responses of every shape, whole and broken off."""

from __future__ import annotations

from copy import deepcopy
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.guard.company import REQUEST, TEAM

CHAT = [
    {"choices": [{"delta": {"content": "one "}}], "usage": None},
    {"choices": [{"delta": {"content": "two"}}]},
    {"choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 50}},
]
RESPONSES = [
    {"type": "response.created", "response": {"usage": None}},
    {"type": "response.output_text.delta", "delta": "one two"},
    {
        "type": "response.completed",
        "response": {"usage": {"input_tokens": 1000, "output_tokens": 50, "total_tokens": 1050}},
    },
]
ANTHROPIC = [
    {"type": "message_start", "message": {"usage": {"input_tokens": 1000, "output_tokens": 1}}},
    {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "one two"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 50}},
    {"type": "message_stop"},
]
GEMINI = [
    {
        "candidates": [{"content": {"parts": [{"text": "one two"}]}}],
        "usage_metadata": {"prompt_token_count": 1000, "candidates_token_count": 20},
    },
    {"candidates": [], "usage_metadata": {"prompt_token_count": 1000, "candidates_token_count": 50}},
]
BEDROCK = [
    {"contentBlockDelta": {"delta": {"text": "one two"}}},
    {"metadata": {"usage": {"inputTokens": 1000, "outputTokens": 50}}},
]
ALL = {"chat": CHAT, "responses": RESPONSES, "anthropic": ANTHROPIC, "gemini": GEMINI, "bedrock": BEDROCK}


@pytest.mark.parametrize("shape", ALL)
def test_the_usage_that_came_with_it_is_charged(guard_of, shape):
    guard = guard_of(TEAM)
    with guard.call(REQUEST) as call:
        assert list(call.stream(ALL[shape])) == ALL[shape]
    assert (call.charged.basis, call.charged.cost) == ("reported", Decimal("0.0011"))


@pytest.mark.parametrize("shape", ["chat", "responses", "anthropic"])
def test_the_service_tier_that_came_with_it(guard_of, shape):
    holders = {"chat": lambda chunk: chunk, "responses": lambda chunk: chunk.get("response", {})}
    holders["anthropic"] = lambda chunk: chunk.get("message", {}).get("usage", {})
    chunks = deepcopy(ALL[shape])
    for chunk in chunks:
        holders[shape](chunk)["service_tier"] = "priority"
    with guard_of(TEAM, models="mini").call(REQUEST) as call:
        list(call.stream(chunks))
    assert call.charged.cost == Decimal("0.0048")


@pytest.mark.parametrize("shape", ["chat", "responses", "anthropic", "bedrock"])
def test_without_usage_the_text_is_counted(guard_of, shape):
    guard = guard_of(TEAM)
    with guard.call(REQUEST) as call:
        for _ in call.stream([chunk for chunk in ALL[shape] if "one" in str(chunk) or "two" in str(chunk)]):
            pass
    assert call.charged.basis == "estimated"
    assert call.charged.usage.output == call.decision.plan.tokenizer.count("one two")
    assert call.charged.usage.input == 1000


def test_left_before_the_end(guard_of):
    guard = guard_of(TEAM)
    with guard.call(REQUEST) as call:
        for _ in call.stream(CHAT):
            break
    assert call.charged.basis == "estimated"


@pytest.mark.parametrize(("on_exception", "basis"), [("release", "estimated"), ("charge_hold", "assumed")])
def test_broken_off(guard_of, on_exception, basis):
    def broken():
        yield CHAT[0]
        raise ConnectionResetError

    guard = guard_of(TEAM, on_exception=on_exception)
    with pytest.raises(ConnectionResetError), guard.call(REQUEST) as call:
        list(call.stream(broken()))
    assert call.charged.basis == basis


def test_one_that_never_began_is_given_back(guard_of):
    guard = guard_of(TEAM)
    with guard.call(REQUEST) as call:
        list(call.stream([]))
    assert call.charged is None
    assert guard.spend()[0].held == 0


def test_the_lease_is_extended_on_the_way(guard_of, clock):
    def slow():
        for _ in range(10):
            clock.move(seconds=40)
            yield CHAT[0]
        yield CHAT[-1]

    guard = guard_of(TEAM)
    with guard.call(REQUEST, lease=timedelta(seconds=60)) as call:
        list(call.stream(slow()))
    assert not call.charged.late
