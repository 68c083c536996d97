"""What a call is charged on a budget that counts tokens by their kinds, however much is known of them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from costlens_policy import Guard
from tests.guard.company import REQUEST

POLICY = """
budgets:
  - {id: b, hard_limit_tokens: 100000, count: %s, window: {lifetime: true}}
"""
USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 50,
    "prompt_tokens_details": {"cached_tokens": 400, "audio_tokens": 10},
    "completion_tokens_details": {"reasoning_tokens": 20},
}


@pytest.fixture
def charged(company):
    """Return a function that settles one call on `large`, and gives what was held and what was charged."""

    def charge(count: str, *arguments: Any, **options: Any) -> tuple[Decimal, Decimal]:
        guard = Guard(company(POLICY % count, models="large"), "memory:", alert_sinks=[])
        with guard.call(REQUEST) as call:
            (before,) = guard.spend()
            call.settle(*arguments, **options)
        (after,) = guard.spend()
        assert after.held == 0
        return before.held, after.used

    return charge


@pytest.mark.parametrize(
    ("count", "held", "used"),
    [
        ("{input: 1, cached_input: 0.1, output: 6}", "1600", "940"),
        ("{output: 1}", "100", "50"),
        ("{reasoning: 1}", "100", "20"),
        ("{cached_input: 1}", "1000", "400"),
        ("{input: 1}", "1000", "1000"),
        ("{input_audio: 0.25}", "0", "2.5"),
        ("{input: 1, output: 1}", "1100", "1050"),
        ("{input: 0.000001, output: 999}", "99900.001", "49950.001"),
    ],
)
def test_reported_tokens_count_by_their_kinds(charged, count, held, used):
    assert charged(count, USAGE) == (Decimal(held), Decimal(used))


@pytest.mark.parametrize("count", ["{reasoning: 1}", "{output_image: 2, output: 1}", "{cached_input: 1, output: 0.5}"])
def test_what_nobody_reported_counts_as_the_heaviest_up_to_the_hold(charged, count):
    held, used = charged(count, output_text="word " * 20)
    assert 0 < used < held
    held, used = charged(count, output_text="word " * 5000)
    assert used > held
    held, used = charged(count, None)
    assert used == held


def test_tokens_of_no_known_kind_count_as_the_heaviest(charged):
    assert charged("{output: 1, input_image: 7}", {**USAGE, "holographic_tokens": 3})[1] == 50 + 3 * 7


def test_tokens_of_further_models_count(charged):
    usage = {
        "input_tokens": 1000,
        "output_tokens": 50,
        "iterations": [
            {"type": "message", "input_tokens": 1000, "output_tokens": 50},
            {"type": "advisor_message", "model": "mini", "input_tokens": 200, "output_tokens": 30},
        ],
    }
    assert charged("{output: 2}", usage)[1] == 2 * 50 + 2 * 30


def test_what_a_request_rules_out_is_not_charged_where_nobody_reported_the_kinds(company):
    policy = POLICY % "{input: 1, cache_write_1h: 3, input_audio: 50, output: 10}"
    guard = Guard(company(policy, models="large"), "memory:", alert_sinks=[])
    with guard.call(REQUEST) as call:
        (before,) = guard.spend()
        call.settle(output_text="word " * 20)
    (after,) = guard.spend()
    assert before.held == 1000 * 1 + 100 * 10
    assert after.used == 1000 + 10 * call.charged.usage.output


@pytest.mark.parametrize("count", ["{reasoning: 1}", "{output: 1, reasoning: 5}"])
@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 1000, "completion_tokens": 100},
        {"input_tokens": 1000, "output_tokens": 100},
        {"prompt_tokens": 1000, "completion_tokens": 100, "completion_tokens_details": {"reasoning_tokens": None}},
    ],
)
def test_output_counts_as_reasoning_where_nobody_says_how_much_was(charged, count, usage):
    held, used = charged(count, usage)
    assert used == held
    assert charged(count, usage) == (held, used)  # as read the second time


def test_output_is_no_reasoning_where_that_is_counted_apart(charged):
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "completion_tokens_details": {"reasoning_tokens": 0}}
    assert charged("{output: 1, reasoning: 5}", usage) == (500, 100)
    gemini = {"promptTokenCount": 1000, "candidatesTokenCount": 100, "totalTokenCount": 1100}
    assert charged("{output: 1, reasoning: 5}", gemini) == (500, 100)


def test_a_model_that_cannot_reason_did_not(company):
    policies = company(POLICY % "{output: 1, reasoning: 5}", models="nano")
    guard = Guard(policies, "memory:", alert_sinks=[])
    with guard.call(REQUEST) as call:
        call.settle({"prompt_tokens": 1000, "completion_tokens": 100})
    assert [spend.used for spend in guard.spend()] == [100]
    assert call.charged.notes == ()
