"""A replay in columns finds what a replay row by row finds, whatever the policies are."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from costlens_policy import load
from costlens_policy.compiler.attributes import RequestAttribute
from costlens_policy.expressions import BOOL, DOUBLE, INT, STRING
from costlens_policy.replay import Settings, replay
from costlens_policy.replay.columns.batch import SCALARS
from tests.replay.columns.traffic import facts, in_columns, random_traffic

ROOT = Path(__file__).resolve().parents[3]
ROWS = 4_000 if os.environ.get("COSTLENS_SOAK") else 600
ATTRIBUTES = {
    "team": ["a", "b", "nobody"], "user": ["u1", "u2", ""], "task": ["coding", "chat", "extraction", "summarization"],
    "max_output_tokens": [10, 1000, 8000, 9000],
}  # fmt: skip
MODELS = ("large", "small", "free-of-price")
SETTINGS = {
    "five minutes": Settings(), "no caches": Settings(cache=False),
    "an hour": Settings(cache_lifetime=timedelta(hours=1), cache_min_tokens=0),
}  # fmt: skip
TEAM_A = 'has(request.team) && request.team == "a"'
DAY = "window: {calendar: day}"
POLICIES = {
    "labels": f"routes:\n  - {{id: r, when: '{TEAM_A}', model: small, fallbacks: [large]}}\n",
    "failing": "routes:\n  - {id: r, when: 'request.team == \"a\"', model: small}\n",
    "comparisons": """
routes:
  - {id: long, when: 'request.prompt_tokens > 1024', model: large, fallbacks: [free-of-price]}
  - {id: listed, when: 'request.prompt_tokens in [5, 900]', model: small}
""",
    "arithmetic": "routes:\n  - {id: r, when: 'request.prompt_tokens * 2 < 40000', model: small}\n",
    "output": "routes:\n  - {id: r, when: 'request.?max_output_tokens.orValue(0) >= 8000', model: small}\n",
    "cheapest": """
routes:
  - id: r
    when: request.prompt_tokens > 100
    choose: {among: 'true', minimize: estimate.cost_usd, limits: {max_cost_usd: 0.3}}
    fallbacks: [free-of-price]
""",
    "by score": """
routes:
  - {id: r, choose: {among: 'model.name != "free-of-price"', minimize: estimate.cost_usd * 2.0}}
""",
    "near the best": """
routes:
  - id: r
    when: request.prompt_tokens > 100
    choose: {minimize: estimate.cost_usd, within: {quality: 0.03}, on_none: best}
    fallbacks: [free-of-price]
  - id: s
    choose:
      maximize: '(1.0 - model.quality[request.task]) * -0.5 - estimate.cost_usd'
      limits: {max_cost_usd: 0.5}
      within: {quality: 0.2}
      quality: lower_bound
      on_none: cheapest
""",
    "split": """
routes:
  - id: r
    when: has(request.user)
    split: {key: request.user, salt: s, targets: [{model: small, weight: 1}, {model: large, weight: 1}]}
""",
    "access": 'access:\n  - {id: no, effect: deny, when: \'request.?user.orValue("") == "u1"\', reason: no}\n',
    "system text": f"rewrites:\n  - {{id: sys, when: '{TEAM_A}', apply: [{{system: {{text: be short and kind}}}}]}}\n",
    "clamped": "rewrites:\n  - {id: c, apply: [{clamp_params: {max_output_tokens: {max: 500}}}]}\n",
    "applied by routes": f"""
routes:
  - id: r
    when: '{TEAM_A}'
    model: small
    apply: [{{system: {{text: be short and kind}}}}, {{set_params: {{n: 2}}}}]
  - id: s
    when: has(request.user)
    models: [large, small]
    apply: [{{clamp_params: {{max_output_tokens: {{max: 500}}}}}}]
  - id: t
    choose: {{minimize: estimate.cost_usd}}
    apply: [{{template: {{text: "{{{{ team }}}}", values: {{team: request.team}}}}}}]
""",
    "time": "routes:\n  - {id: r, when: 'now.getHours() > 12', model: small}\n",
    "balances": "routes:\n  - {id: r, when: 'budgets[\"team\"].used_ratio > 0.3', model: small}\n"
    f"budgets:\n  - {{id: team, hard_limit_usd: 30, {DAY}}}\n",
    "balances at every step": f"""
access:
  - {{id: no, effect: deny, when: 'budgets["team"].left < 10.0 && request.?user.orValue("") == "u1"', reason: no}}
rewrites:
  - id: short
    when: 'budgets["team"].used_ratio > 0.2'
    apply: [{{clamp_params: {{max_output_tokens: {{max: 500}}}}}}]
budgets:
  - {{id: team, hard_limit_usd: 30, {DAY}}}
""",
    "forecasts": f"""
routes:
  - {{id: r, when: 'budgets["team"].?exhausted_in.orValue(duration("24h")) < duration("4h")', model: small}}
budgets:
  - id: team
    hard_limit_usd: 30
    {DAY}
    thresholds:
      - at_ratio: 0.1
        downgrade:
          exclude: 'model.name == "large" && budgets["team"].?projected_ratio.orValue(0.0) > 1.5'
          models: [small]
""",
    "budgets": f"""
budgets:
  - id: team
    scope: 'request.?team.orValue("none")'
    hard_limit_usd: 9
    soft_limit_usd: 2
    {DAY}
    thresholds: [{{at_ratio: 0.5, alert: half}}]
  - {{id: day, hard_limit_usd: 12, window: {{rolling: 3h}}, thresholds: [{{at_ratio: 0.9, alert: nine tenths}}]}}
  - {{id: call, hard_limit_usd: 0.5, window: {{per_call: true}}}}
  - id: tokens
    when: has(request.user)
    scope: request.user
    hard_limit_tokens: 5000000
    window: {{calendar: month, zone: Europe/Berlin}}
  - id: seen
    hard_limit_requests: 300
    shadow: true
    thresholds: [{{at_ratio: 0.2, alert: many}}]
    window: {{calendar: week}}
""",
    "kinds of tokens": f"""
budgets:
  - id: quota
    scope: 'request.?team.orValue("none")'
    hard_limit_tokens: 400000
    soft_limit_tokens: 100000
    count: {{input: 1, cached_input: 0.1, cache_write: 1.25, output: 6, reasoning: 7.000001}}
    window: {{rolling: 1h}}
    thresholds: [{{at_ratio: 0.5, alert: half}}]
  - {{id: spoken, hard_limit_tokens: 300000, count: {{output_audio: 1}}, {DAY}}}
  - {{id: cached, hard_limit_tokens: 600000, count: {{cached_input: 1}}, {DAY}}}
  - {{id: outside, hard_limit_tokens: 20000, count: {{input_image: 0.5, output: 1}}, window: {{per_call: true}}}}
""",
    "overflow": f"""
budgets:
  - id: by-team
    scope: 'request.?team.orValue("none")'
    hard_limit_tokens: 400000
    overflow: shared
    {DAY}
    thresholds: [{{at_ratio: 0.5, alert: half}}, {{at_ratio: 1, alert: full}}]
  - {{id: shared, hard_limit_usd: 4, soft_limit_usd: 1, {DAY}}}
  - {{id: call, hard_limit_usd: 0.2, window: {{per_call: true}}, overflow: large-calls}}
  - {{id: large-calls, hard_limit_requests: 20, window: {{rolling: 3h}}}}
""",
    "from first use": """
budgets:
  - id: plan
    scope: request.user
    when: has(request.user)
    hard_limit_usd: 3
    soft_limit_usd: 1
    window: {from_first_use: 3h}
    thresholds: [{at_ratio: 0.9, alert: nearly, downgrade: {models: [small]}}]
  - {id: calls, hard_limit_requests: 40, window: {from_first_use: 90m}, thresholds: [{at_ratio: 0.5, alert: half}]}
routes:
  - {id: r, when: 'budgets["calls"].?projected_ratio.orValue(0.0) > 1.5', model: small}
""",
    "by likely cost": """
routes:
  - {id: r, choose: {among: 'model.name != "free-of-price"', minimize: estimate.likely_cost_usd}}
""",
    "what is warm": f"""
routes:
  - id: r
    when: has(request.user)
    choose:
      among: has(model.warm_tokens)
      minimize: estimate.likely_cost_usd
      on_none: {{model: small}}
budgets:
  - {{id: day, hard_limit_usd: 30, {DAY}, thresholds: [{{at_ratio: 0.5, alert: half}}]}}
""",
    "a span": """
budgets:
  - id: night
    hard_limit_usd: 3
    window: {starts_at: '2026-06-30T22:00:00Z', ends_at: '2026-07-01T06:00:00Z'}
    thresholds: [{at_ratio: 0.1, alert: it begins}]
  - {id: ever, hard_limit_requests: 700, window: {lifetime: true}}
""",
    "thresholds": f"""
routes:
  - {{id: r, when: '{TEAM_A}', model: large, fallbacks: [small]}}
budgets:
  - id: team
    scope: 'request.?team.orValue("none")'
    hard_limit_usd: 20
    {DAY}
    thresholds:
      - {{at_ratio: 0.5, alert: half, downgrade: {{models: [small]}}}}
      - {{at_ratio: 0.8, rewrite: [{{clamp_params: {{max_output_tokens: {{max: 500}}}}}}]}}
""",
    "thresholds at forecasts": f"""
budgets:
  - id: team
    scope: 'request.?team.orValue("none")'
    hard_limit_usd: 20
    {DAY}
    thresholds:
      - {{at_usd: 5, alert: five dollars}}
      - {{at_projected_ratio: 1.5, alert: too fast}}
      - {{at_exhausted_in: 4h, alert: soon gone, downgrade: {{models: [small]}}}}
""",
    "approvals": f"""
budgets:
  - id: team
    scope: 'request.?team.orValue("none")'
    hard_limit_usd: 20
    {DAY}
    thresholds: [{{at_ratio: 0.5, needs_approval: {{reason: Ann decides}}}}]
""",
    "failing thresholds": f"""
budgets:
  - id: team
    hard_limit_usd: 20
    {DAY}
    thresholds: [{{at_ratio: 0.5, downgrade: {{exclude: 'model.quality["chat"] > 0.5', models: [small]}}}}]
""",
    "limits of their own": """
budgets:
  - id: long
    when: request.prompt_tokens > 5000
    hard_limit_usd: 'has(request.team) ? 3.0 : 1.5'
    window: {calendar: day}
""",
    "budgets of models": f"""
budgets:
  - {{id: m, when: model.name == "large", scope: model.name, hard_limit_usd: 5, {DAY}}}
""",
}

ALONE = (
    "arithmetic", "by score", "time", "balances", "balances at every step", "forecasts", "thresholds",
    "thresholds at forecasts", "approvals", "failing thresholds", "budgets of models", "from first use",
    "by likely cost", "what is warm",
)  # fmt: skip
"""What these decide by differs from request to request, or a threshold does more than to alert."""


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("policy", POLICIES)
def test_what_one_finds_the_other_finds(plan_of, policy, settings):
    plan = plan_of(POLICIES[policy])
    traffic = random_traffic(7, ROWS, MODELS, ATTRIBUTES)
    expected = replay(plan, traffic, SETTINGS[settings])
    assert expected.rows
    got = in_columns(plan, traffic, tuple(ATTRIBUTES), SETTINGS[settings], size=190)
    assert facts(got) == facts(expected)


@pytest.mark.parametrize("policy", POLICIES)
def test_requests_that_are_alike_share_decisions_to_the_same_effect(plan_of, policy):
    plan = plan_of(POLICIES[policy])
    few = {"team": ["a", "b"], "max_output_tokens": [1000, 9000]}
    traffic = random_traffic(9, 2 * ROWS, MODELS[:2], few)
    expected = replay(plan, traffic, Settings())
    got = in_columns(plan, traffic, tuple(few), Settings(), size=800, written=False)
    assert facts(got) == facts(expected)
    if policy not in ALONE:
        assert got.shared > got.rows / 2


@pytest.mark.parametrize("limit", ["hard_limit_requests: 2", "hard_limit_usd: 2"])
def test_a_request_that_an_overflow_cannot_keep_is_rejected_once_the_first_budget_is_full(plan_of, limit):
    """It may be full for a fallback only."""
    plan = plan_of(
        f"""
routes: [{{id: r, when: 'true', model: small, fallbacks: [large]}}]
budgets:
  - {{id: first, {limit}, window: {{lifetime: true}}, overflow: spare}}
  - {{id: spare, scope: request.user, hard_limit_requests: 100, window: {{lifetime: true}}}}
"""
    )
    traffic = random_traffic(3, 150, MODELS, {"user": ["u1", "a\0b", "u" * 600]}, 60_000)
    expected = replay(plan, traffic, Settings())
    problems = {item.problem for item in expected.rejects}
    assert any("NUL" in problem for problem in problems)
    assert any("512" in problem for problem in problems)
    for size in (1, 7, 150):
        assert facts(in_columns(plan, traffic, tuple(ATTRIBUTES), Settings(), size)) == facts(expected)


@pytest.mark.parametrize("seed", [21, 27, 30])
def test_a_cut_that_is_found_on_the_way_moves_no_decision_to_another_length(plan_of, seed):
    plan = plan_of(POLICIES["cheapest"])
    few = {"team": ["a", "b"], "max_output_tokens": [1000, 9000]}
    traffic = random_traffic(seed, 1200, MODELS[:2], few)
    got = in_columns(plan, traffic, tuple(few), Settings(), size=800, written=False)
    assert facts(got) == facts(replay(plan, traffic, Settings()))


@pytest.mark.parametrize("policy", ["labels", "budgets", "thresholds"])
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_the_size_of_batches_does_not_matter(plan_of, policy, size):
    plan = plan_of(POLICIES[policy])
    traffic = random_traffic(8, 100 if size == 1 else 300, MODELS, ATTRIBUTES)
    got = in_columns(plan, traffic, tuple(ATTRIBUTES), Settings(), size, written=False)
    assert facts(got) == facts(replay(plan, traffic, Settings()))


def _sets() -> list[str]:
    found = [*(ROOT / "policies").rglob("policy-set.yaml"), *(ROOT / "examples").rglob("policy-set.yaml")]
    return sorted(str(path.parent.relative_to(ROOT)) for path in found)


def _values(attribute: RequestAttribute) -> list[Any]:
    """Return values that an attribute may have, and one that it must not have."""
    plain = {STRING: ["a", "coding", "chat", ""], INT: [0, 199, 200, 5000], DOUBLE: [0.001, 0.5], BOOL: [True, False]}
    return [*attribute.values, "of old"] if attribute.values else plain[attribute.type]


@pytest.mark.parametrize("folder", _sets())
def test_policies_that_are_shipped(folder):
    plan = load(ROOT / folder).plan
    known = {
        name: ATTRIBUTES.get(name) or _values(attribute)
        for name, attribute in plan.attributes.items()
        if attribute.type in SCALARS and name not in ("prompt", "prompt_tokens", "model", "session", "response_format")
    }
    for seed, prompts in ((1, 300_000), (2, 2_000)):
        traffic = random_traffic(seed, ROWS // 2, list(plan.catalogue.models)[:6], known, prompts)
        expected = replay(plan, traffic, Settings())
        assert expected.rows + expected.rejected == ROWS // 2
        assert facts(in_columns(plan, traffic, tuple(known), Settings(), size=250, written=False)) == facts(expected)
