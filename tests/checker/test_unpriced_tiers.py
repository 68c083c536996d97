"""CL455 against decisions: a warning where, and only where, a budget in US dollars excludes a model for its tier."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from costlens_policy import load
from costlens_policy.checker import check_all

SET = """
apiVersion: costlens-policy/v1
kind: PolicySet
metadata: {name: company, version: "1"}
policies: [routing.yaml]
catalogues: [catalogue.yaml]
defaults: {access: allow, route: {model: other}, max_output_tokens: 100}
"""
CATALOGUE = """
apiVersion: costlens-policy/v1
kind: Catalogue
metadata: {name: models, version: "1"}
models:
  tiered:
    provider: openai
    prices:
      - usd_per_million_tokens: {input: 1, output: 4}
        service_tiers: {priority: {usd_per_million_tokens: {input: 2}}}
  plain: {provider: anthropic, prices: [{usd_per_million_tokens: {input: 5, output: 25}}]}
  other: {provider: google, prices: [{usd_per_million_tokens: {input: 1, output: 2}}]}
"""
POLICY = """
apiVersion: costlens-policy/v1
kind: Policy
metadata: {{name: routing, version: "1"}}
routes: [{{id: r, when: request.?task.orValue("") == "t", {target}{apply}}}]
budgets: [{{id: b, hard_limit_usd: 100, window: {{calendar: month}}}}]
{more}
"""


@pytest.mark.parametrize("tier", ["priority", "ultra", "flex", "batch", "auto", "default"])
@pytest.mark.parametrize("model", ["tiered", "plain"])
@pytest.mark.parametrize("way", ["route", "rewrite", "choice"])
def test_the_warning_and_the_decision_are_one(tmp_path, tier, model, way):
    change = f"[{{set_params: {{service_tier: {tier}}}}}]"
    target = (
        f"choose: {{among: model.name == '{model}', minimize: estimate.cost_usd}}"
        if way == "choice"
        else f"model: {model}"
    )
    more = f"rewrites: [{{id: w, when: model.name == '{model}', apply: {change}}}]" if way == "rewrite" else ""
    apply = "" if way == "rewrite" else f", apply: {change}"
    (tmp_path / "set.yaml").write_text(SET)
    (tmp_path / "catalogue.yaml").write_text(CATALOGUE)
    (tmp_path / "routing.yaml").write_text(POLICY.format(target=target, apply=apply, more=more))
    found = [item for item in check_all([tmp_path]).diagnostics if item.code == "CL455"]
    decision = load(tmp_path, cache=False).decide(
        {"task": "t", "prompt": "hello"}, now=datetime(2026, 11, 1, tzinfo=UTC)
    )
    excluded = not decision.allowed and any("no price for this service tier" in text for text in decision.reasons)
    assert bool(found) is excluded, (found, decision.reasons)
