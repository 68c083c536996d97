"""What a suite cannot show of a quota: what calls burn once their usage is known, by their kinds of tokens."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from costlens_policy import load
from costlens_policy.guard import Guard
from tests.conftest import ROOT

REQUEST: Final = {"prompt": "hello", "prompt_tokens": 4000, "max_output_tokens": 1000, "headers": {"x-client": "acme"}}


def usage(cached: int, output: int) -> dict[str, Any]:
    return {
        "model": "gpt-5",
        "usage": {
            "prompt_tokens": 4000,
            "completion_tokens": output,
            "total_tokens": 4000 + output,
            "prompt_tokens_details": {"cached_tokens": cached},
        },
    }


def test_a_cached_token_burns_a_tenth_and_one_of_output_six_times() -> None:
    guard = Guard(load(ROOT / "examples" / "envoy-token-quota", cache=False), "memory:", alert_sinks=[])
    with guard.call(REQUEST) as call:
        assert {balance.budget: balance.call for balance in call.decision.balances}["quota/gpt-5-hour"] == 10_000
        call.settle(usage(cached=3001, output=200))
    used = {balance.budget: balance.used for balance in guard.decide(REQUEST).balances}
    assert used["quota/gpt-5-hour"] == Decimal("2499.1")


def test_the_reserve_of_a_client_begins_where_the_quota_ends_and_then_the_second_backend_serves() -> None:
    guard = Guard(load(ROOT / "examples" / "envoy-token-quota", cache=False), "memory:", alert_sinks=[])
    served = []
    for _ in range(122):
        with guard.call(REQUEST) as call:
            served.append(call.decision.model)
            call.settle(usage(cached=0, output=1000) | {"model": call.decision.model})
    assert served == ["gpt-5"] * 120 + ["bedrock-claude"] * 2
    assert guard.decide(REQUEST | {"headers": {}}).model == "bedrock-claude"
