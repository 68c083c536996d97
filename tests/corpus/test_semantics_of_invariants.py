"""Sentences of docs/semantics.md about invariants. A test is named after its sentence."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from costlens_policy.proof import Holds, Refuted, Vacuous, prove
from costlens_policy.proof.verdicts import Verdict

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
_HEAD = 'apiVersion: costlens-policy/v1\nkind: {}\nmetadata: {{name: main, version: "1"}}\n'
_MODELS = (
    "models:\n"
    "  small: {provider: acme, regions: [eu], context_window: 1000,"
    " prices: [{usd_per_million_tokens: {input: 1, output: 1}}]}\n"
    "  large: {provider: acme, prices: [{usd_per_million_tokens: {input: 10, output: 10}}]}\n"
    "  free: {provider: acme}\n"
)
_ROUTE = "{models: [small, large]}"
_PLAIN = (
    "!has(request.params) && !has(request.modalities) && !has(request.messages) && !has(request.tools)"
    " && !has(request.response_format) && !has(request.cost_budget) && !has(request.latency_budget_ms)"
    " && request.?max_output_tokens.orValue(1) > 0"
)


def _of(folder: Path, invariant: str, policy: str = "", route: str = _ROUTE) -> Verdict:
    files = {
        "catalogue": _HEAD.format("Catalogue") + _MODELS,
        "policy-set": _HEAD.format("PolicySet")
        + "policies: [main.yaml]\ncatalogues: [catalogue.yaml]\nadmit: {unpriced_models: true}\n"
        + f"defaults: {{access: allow, route: {route}, max_output_tokens: 100}}\n",
        "main": _HEAD.format("Policy") + "on_error: deny\n" + policy,
        "invariants": _HEAD.format("Invariants")
        + "policy_set: policy-set.yaml\ninvariants:\n  - id: promise\n    title: a promise\n"
        + "".join(f"    {_folded(line)}\n" for line in invariant.split("\n")),
    }
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    found = prove([folder], now=NOW)
    assert not found.broken, found.diagnostics
    (proof,) = found.proofs
    return proof.verdict


def _folded(line: str) -> str:
    """Return a key with its condition as YAML takes any condition."""
    return line.replace(": ", ": >-\n      ", 1) if line.startswith(("when", "always", "never")) else line


def _deny(when: str) -> str:
    return f"access:\n  - {{id: no, when: '{when}', effect: deny, reason: no}}\n"


def test_s_inv_1_every_request_time_and_state_but_not_where_when_fails(tmp_path: Path) -> None:
    evening = _of(tmp_path, "effect: allow", _deny("now.getHours() == 23"))
    assert isinstance(evening, Refuted)
    month = "budgets:\n  - {id: month, hard_limit_usd: 1, window: {calendar: month}}\n"
    assert isinstance(_of(tmp_path, f"when: {_PLAIN}\neffect: allow", month), Refuted)
    room = f"when: {_PLAIN} && has(estimate.cost_usd) && estimate.cost_usd < 0.001"
    assert isinstance(_of(tmp_path, f'{room} && budgets["main/month"].left > 0.5\neffect: allow', month), Holds)
    assert isinstance(_of(tmp_path, 'when: request.user == "x"\neffect: deny', _deny('request.user == "x"')), Holds)


def test_s_inv_2_models_that_serve_and_fallbacks_also_of_thresholds(tmp_path: Path) -> None:
    always = "always: has(model.regions)"
    assert isinstance(_of(tmp_path, always, route="{model: small}"), Holds)
    assert isinstance(_of(tmp_path, always), Refuted)
    assert isinstance(_of(tmp_path, 'never: model.regions.exists(region, region == "us")'), Refuted)  # fails for one
    month = (
        "routes:\n  - {id: all, model: small, waive_terms_for: [downgrades]}\n"
        "budgets:\n  - id: month\n    hard_limit_usd: 1\n    window: {calendar: month}\n"
        "    thresholds: [{at_ratio: 0.5, downgrade: {models: [large]}}]\n"
    )
    assert isinstance(_of(tmp_path, always, month), Refuted)


def test_s_inv_3_a_refusal_breaks_nothing_else(tmp_path: Path) -> None:
    denied = _deny("has(request.user)") + "routes:\n  - {id: one, when: has(request.team), model: large}\n"
    for claim in ("always: model.name.size() > 9", "routed_by: [main/one]", "max_cost_usd: 0.000001"):
        assert isinstance(_of(tmp_path, f"when: has(request.user)\n{claim}", denied), Holds), claim
    assert isinstance(_of(tmp_path, "when: has(request.user)\neffect: allow", denied), Refuted)


def test_s_inv_4_estimates_of_calls_and_of_requests(tmp_path: Path) -> None:
    cheap = "when: has(estimate.cost_usd) && estimate.cost_usd < 0.0005"
    assert isinstance(_of(tmp_path, f"{cheap}\nmax_cost_usd: 0.0006"), Holds | Refuted)
    denied = _deny("request.?prompt_tokens.orValue(0) < 10")
    refuted = _of(tmp_path, f"{cheap}\neffect: allow", denied)
    assert isinstance(refuted, Refuted)
    assert refuted.witness.decision.rule == "main/no"
    assert isinstance(_of(tmp_path, f"{cheap} && {_PLAIN}\neffect: allow"), Holds)
    assert not isinstance(_of(tmp_path, f"{cheap}\neffect: deny", route="{model: free}"), Refuted)  # it has no price


def test_s_inv_5_rewrites_of_all_calls(tmp_path: Path) -> None:
    rule = "rewrites:\n  - {{id: r, when: '{}', apply: [{{redact: {{kinds: [email]}}}}]}}\n"
    assert isinstance(_of(tmp_path, "rewritten_by: [main/r]", rule.format("true")), Holds)
    assert isinstance(_of(tmp_path, "rewritten_by: [main/r]", rule.format("has(model.regions)")), Refuted)


def test_s_inv_6_costs_that_nobody_knows(tmp_path: Path) -> None:
    when = f"when: {_PLAIN} && request.?prompt_tokens.orValue(1000) < 500 && !has(request.max_output_tokens)"
    assert isinstance(_of(tmp_path, f"{when}\nmax_cost_usd: 0.006"), Holds)
    assert isinstance(_of(tmp_path, f"{when}\nmax_cost_usd: 0.005"), Refuted)
    assert isinstance(_of(tmp_path, f"{when}\nmax_cost_usd: 10.0", route="{model: free}"), Refuted)


def test_s_inv_7_what_no_request_meets(tmp_path: Path) -> None:
    nobody = 'when: request.?user.orValue("") == "a" && request.?user.orValue("") == "b"'
    assert isinstance(_of(tmp_path, f"{nobody}\neffect: allow"), Vacuous)
