"""What budgets hold for a call: the dearest kind of every token, for the model and its fallbacks."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from costlens_policy import Balance, PolicyError
from costlens_policy.catalogue import Model, Rates
from costlens_policy.catalogue.service_tiers import asked_multiples, multiple_of
from costlens_policy.engine.candidate import TokenKinds
from costlens_policy.engine.request import needs_of

NOW = datetime(2026, 4, 1, tzinfo=UTC)
CLAUDE, OTHER = Model("claude-haiku", provider="anthropic"), Model("gpt", provider="openai")


def _rates(**prices: int) -> Rates:
    return Rates({name: Decimal(price) for name, price in ({"input": 2, "output": 10} | prices).items()})


def _worst(model: Model, rates: Rates, request: dict, params: dict | None = None) -> Decimal | None:
    kinds = TokenKinds(request, needs_of(request))
    return kinds.worst_cost(model, [rates], params or {}, 1_000_000, 1_000_000)


MARKED = {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {"type": "e"}}]}]}
FOR_AN_HOUR = {"tools": [{"name": "t", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]}


@pytest.mark.parametrize(
    ("model", "request_", "params", "cost"),
    [
        (CLAUDE, {"prompt": "x"}, {}, 12),
        (CLAUDE, MARKED, {}, 13),
        (CLAUDE, FOR_AN_HOUR, {}, 14),
        (CLAUDE, {"prompt": "x"}, {"cache_control": {"type": "ephemeral"}}, 13),
        (OTHER, {"prompt": "x"}, {}, 13),
        (OTHER, FOR_AN_HOUR, {}, 14),
    ],
)
def test_cache_writes(model, request_, params, cost):
    assert _worst(model, _rates(cache_write=3, cache_write_1h=4), request_, params) == cost


def test_a_cheap_cache_write_changes_nothing():
    assert _worst(OTHER, _rates(), MARKED) == 12


def test_reasoning_and_sounds():
    assert _worst(OTHER, _rates(reasoning=20), {"prompt": "x"}) == 22
    assert _worst(OTHER, _rates(input_audio=30, output_audio=40), {"modalities": ["audio", "audio_output"]}) == 70
    assert _worst(OTHER, _rates(input_audio=30, output_audio=40), {"modalities": ["text"]}) == 12


def test_images_that_nobody_asked_for():
    assert _worst(OTHER, _rates(output_image=30), {"prompt": "x"}) == 32
    assert not _rates(output_image=30).is_plain
    assert _rates(output_image=9).is_plain


def test_the_dearest_of_the_rates_that_a_call_may_have():
    kinds = TokenKinds({}, frozenset())
    assert kinds.worst_cost(OTHER, [_rates(), _rates(output=30)], {}, 1_000_000, 1_000_000) == 32
    assert kinds.worst_cost(OTHER, [], {}, 1_000_000, 1_000_000) is None


@pytest.mark.parametrize(
    ("params", "model"), [({}, "nano"), ({"service_tier": "flex"}, "mini"), ({"service_tier": "auto"}, "nano")]
)
def test_a_choice_compares_the_prices_of_the_tier(company, params, model):
    engine = company("routes: [{id: r, choose: {models: [nano, mini], minimize: estimate.cost_usd}}]")
    assert engine.decide({"prompt": "x", "prompt_tokens": 1000, "params": params}, now=NOW).model == model


def test_amounts_are_rounded_up_to_femto_dollars():
    rates = Rates({"input": Decimal("0.00000000015"), "output": Decimal(0)})
    kinds = TokenKinds({}, frozenset())
    assert kinds.worst_cost(OTHER, [rates], {}, 1, 0) == Decimal("1e-15")


BUDGET = """
routes: [{id: r, models: [nano, mini]}]
budgets:
  - {id: b, hard_limit_usd: 1, window: {lifetime: true}}
  - {id: small, when: 'model.name == "nano"', hard_limit_tokens: 5000, window: {lifetime: true}}
  - {id: each, hard_limit_usd: 1, window: {per_call: true}}
"""
REQUEST = {"prompt": "x", "prompt_tokens": 1000, "max_output_tokens": 100}


def test_holds_are_the_most_that_the_model_or_a_fallback_may_add(company):
    decision = company(BUDGET).decide(REQUEST, now=NOW)
    assert {(line.budget, line.call) for line in decision.holds} == {
        ("p0/b", Decimal("0.0028")),
        ("p0/small", Decimal(1100)),
    }
    assert [line.budget for line in decision.fallback_calls[0].balances] == ["p0/b", "p0/each"]


def test_a_limit_changed_by_hand(company):
    engine = company(BUDGET)
    key = ("p0/b", "")
    assert not engine.decide(REQUEST, balances={key: Balance(used=Decimal(1))}, now=NOW).allowed
    topped = engine.decide(REQUEST, balances={key: Balance(Decimal(1), topup=Decimal("0.5"))}, now=NOW)
    assert next(line.limit for line in topped.balances if line.budget == "p0/b") == Decimal("1.5")
    assert topped.allowed
    assert not engine.decide(REQUEST, balances={key: Balance(override=Decimal("0.001"))}, now=NOW).allowed


def test_a_fixed_span_has_no_effect_outside_of_it(company):
    budget = "budgets: [{id: b, hard_limit_usd: 0, window: {starts_at: '2026-04-02T00:00:00Z', ends_at: '%s'}}]"
    engine = company(budget % "2026-04-03T00:00:00Z")
    assert engine.decide(REQUEST, now=NOW).allowed
    assert not engine.decide(REQUEST, now=datetime(2026, 4, 2, tzinfo=UTC)).allowed


@pytest.mark.parametrize(
    ("terms", "problem"), [("unreachable: allow", "needs `allowance_usd`"), ("allowance_usd: 5", "has no effect")]
)
def test_terms_of_the_ledger(company, terms, problem):
    assert company("", more="ledger: {unreachable: allow, allowance_usd: 5}").plan.defaults.allowance_usd == 5
    with pytest.raises(PolicyError, match=problem):
        company("", more=f"ledger: {{{terms}}}")


@pytest.mark.parametrize(
    ("model", "params", "multiple"),
    [
        ("claude-opus-4-6", {"speed": "fast"}, "6"),
        ("claude-opus-4-8", {"speed": "fast"}, "2"),
        ("claude-opus-4-6", {"speed": "fast", "inference_geo": "us"}, "6.6"),
        ("claude-opus-4-6", {"speed": "standard", "inference_geo": "global"}, "1"),
        ("claude-opus-4-1", {"inference_geo": "us"}, "1"),
        ("gpt-5", {"speed": "warp"}, "6"),
        ("nova-pro", {"performanceConfig": {"latency": "optimized"}}, "1.25"),
        ("nova-pro", {"performanceConfigLatency": "standard"}, "1"),
    ],
)
def test_what_a_request_asks_for_multiplies_what_is_held(model, params, multiple):
    assert multiple_of(Model(model), *asked_multiples(params))[0] == Decimal(multiple)


def test_most_requests_leave_it_open():
    assert asked_multiples({"temperature": 1}) is None
    assert asked_multiples({"speed": None}) is None
