"""What holds of every decision, whatever the policies, the request and the balances."""

from __future__ import annotations

import copy
import json
import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from costlens_policy import Balance, Decision, Engine, PolicyError, RequestError, load
from costlens_policy.compiler.rules import AccessStep
from costlens_policy.engine.context import Context
from costlens_policy.engine.record import RuleOutcome, outcomes_of
from costlens_policy.engine.states import balance_of
from costlens_policy.expressions.runtime import CelError
from costlens_policy.schema import schema_texts
from tests.engine.conftest import CATALOGUE, HEAD, POLICY_SET
from tests.engine.generated import balances, budget_texts, policy_texts, requests

NOW: Final = datetime(2026, 5, 1, 9, tzinfo=UTC)
_VALIDATOR: Final = Draft202012Validator(json.loads(schema_texts()["decision.v1.json"]))
_SET: Final = POLICY_SET % {
    "files": "p0.yaml", "attributes": "  tags: {type: list(string), default: []}", "access": "allow",
    "route": "{models: [mini, nano]}", "fallbacks": 2, "more": "",
}  # fmt: skip
# Half of the requests and policies are refused, which is the right of those that look at them.
_CHECKS: Final = [HealthCheck.too_slow, HealthCheck.filter_too_much]
QUICK: Final = settings(max_examples=60, deadline=None, suppress_health_check=_CHECKS)


@lru_cache(maxsize=512)
def _loaded(text: str) -> Engine | None:
    """Return the engine of one policy, None where the checker refuses the policy: that is its right."""
    folder = Path(tempfile.mkdtemp())
    try:
        (folder / "catalogue.yaml").write_text(CATALOGUE, encoding="utf-8")
        (folder / "policy-set.yaml").write_text(_SET, encoding="utf-8")
        (folder / "p0.yaml").write_text(HEAD % "p0" + text, encoding="utf-8")
        return load(folder)
    except PolicyError:
        return None
    finally:
        shutil.rmtree(folder)


def engine_with(policy: Mapping[str, Any]) -> Engine:
    # JSON is YAML, line by line.
    engine = _loaded("".join(f"{key}: {json.dumps(value)}\n" for key, value in policy.items()))
    assume(engine is not None)
    assert engine is not None
    return engine


def decided(engine: Engine, request: dict[str, Any], states: dict[tuple[str, str], Balance]) -> Decision:
    """Decide, or leave the example alone where the request is not acceptable. Nothing else may be raised."""
    try:
        known = {key: state for key, state in states.items() if key[0] in engine.plan.budgets}
        return engine.decide(request, balances=known, now=NOW)
    except RequestError:
        assume(False)
        raise


@given(policy_texts(), budget_texts(), requests(), balances())
@QUICK
def test_decisions_are_sound(
    policy: dict[str, Any], budgets: list[Any], request: dict[str, Any], states: dict[tuple[str, str], Balance]
) -> None:
    engine = engine_with({**policy, "budgets": budgets})
    before = copy.deepcopy(request)
    decision = decided(engine, request, states)
    assert repr(request) == repr(before), "a request is never changed"
    assert decision.reasons, "a decision has its reasons"
    given = decision.to_dict()
    assert not list(_VALIDATOR.iter_errors(given))
    text = json.dumps(given, allow_nan=False)
    assert json.dumps(decided(engine, request, states).to_dict()) == text, "deciding is deterministic"
    if decision.allowed:
        _holds_what_it_promises(decision)
        protecting = {
            rule.id
            for layer in engine.plan.layers
            for rule in layer.rewrites
            if any(step.refuses for step in rule.steps)
        }
        assert not protecting & {failure.rule for failure in decision.errors}, "what protects is never skipped"
    else:
        assert decision.model is None
        assert decision.rule


@given(policy_texts(), budget_texts(), requests(), balances())
@QUICK
def test_the_record_blames_whom_the_errors_blame(
    policy: dict[str, Any], budgets: list[Any], request: dict[str, Any], states: dict[tuple[str, str], Balance]
) -> None:
    decision = decided(engine_with({**policy, "budgets": budgets}), request, states)
    outcomes = outcomes_of(decision)
    for error in decision.errors:
        assert outcomes.get(error.rule) is not RuleOutcome.NOT_REACHED
        assert error.span is not None or error.code.startswith("CL95")  # a rewrite that cannot be carried out


@given(policy_texts(), budget_texts(), requests(), balances())
@QUICK
def test_a_decision_can_be_made_again_from_its_own_json(
    policy: dict[str, Any], budgets: list[Any], request: dict[str, Any], states: dict[tuple[str, str], Balance]
) -> None:
    engine = engine_with({**policy, "budgets": budgets})
    first = decided(engine, request, states).to_dict()
    read = {(item["budget"], item["key"]): balance_of(item) for item in first["balances_read"]}
    again = json.loads(json.dumps(first["request"]))
    assert engine.decide(again, balances=read, now=NOW).to_dict() == first


@given(
    st.lists(st.sampled_from(["nano", "mini", "large"]), min_size=1, max_size=3, unique=True),
    budget_texts(),
    requests(),
    balances(),
)
@QUICK
def test_one_budget_less_never_denies_more(
    models: list[str], budgets: list[Any], request: dict[str, Any], states: dict[tuple[str, str], Balance]
) -> None:
    # With `skip`, for a budget that fails under `deny` refuses, and its absence does not.
    for threshold in (threshold for budget in budgets for threshold in budget.get("thresholds", ())):
        threshold.pop("downgrade", None)  # which also adds candidates
    policy = {"on_error": "skip", "routes": [{"id": "r", "models": models}]}
    full = decided(engine_with({**policy, "budgets": budgets}), request, states)
    for index in range(len(budgets)):
        less = decided(engine_with({**policy, "budgets": budgets[:index] + budgets[index + 1 :]}), request, states)
        if full.allowed:
            assert less.allowed


@given(policy_texts(), budget_texts(), requests(), balances())
@QUICK
def test_rules_about_models_and_terms_of_routes_bind_every_candidate(
    policy: dict[str, Any], budgets: list[Any], request: dict[str, Any], states: dict[tuple[str, str], Balance]
) -> None:
    """Whatever puts a model among the candidates: what serves, or stands by, is refused by no rule, asked by itself."""
    engine = engine_with({**policy, "budgets": budgets})
    decision = decided(engine, request, states)
    models = [] if decision.model is None else [decision.model, *decision.fallbacks]
    context = Context(engine.plan, dict(decision.request), decision.balances_read, decision.now)
    for layer, step in engine.plan.stages.access_by_model:
        assert [name for name in models if _refuses(context, layer, step, name)] == []
    route = next((item for item in policy["routes"] if f"p0/{item['id']}" == decision.rule), None)
    named = ["mini", "nano"] if route is None else route.get("models")
    if named is not None and "downgrades" not in (route or {}).get("waive_terms_for", ()):
        assert set(models) <= {"mini" if name == "mini-latest" else name for name in named}


def _refuses(context: Context, layer: int, step: AccessStep, name: str) -> bool:
    view = context.priced_model(name).view
    try:
        holds = step.when is None or context.evaluate(step.when, layer, view)
    except CelError:
        return context.plan.layers[layer].on_error == "deny"
    if not holds or not step.denies:
        return False
    try:
        admitted = step.only is not None and context.evaluate(step.only, layer, view)
    except CelError:
        admitted = False
    return not admitted and name not in step.only_models


def _holds_what_it_promises(decision: Decision) -> None:
    plan, model = decision.plan, decision.plan.catalogue.find(decision.model or "")
    assert model is not None, "unknown models are not admitted"
    assert decision.estimate is not None
    estimate, request = decision.estimate, decision.request
    excluded = {item.model for item in decision.excluded}
    assert not excluded & {decision.model, *decision.fallbacks}
    assert len({decision.model, *decision.fallbacks}) == 1 + len(decision.fallbacks) <= 1 + plan.defaults.max_fallbacks
    assert [call.model for call in decision.fallback_calls] == list(decision.fallbacks)
    limit = decision.params["max_output_tokens"]
    assert estimate.output_tokens == limit * estimate.completions
    if model.context_window is not None:
        assert estimate.prompt_tokens + limit <= model.context_window
    if model.max_output_tokens is not None:
        assert limit <= model.max_output_tokens
    assert estimate.cost is not None
    if "cost_budget" in request:
        assert estimate.cost <= Decimal(repr(request["cost_budget"]))
    for seen in decision.balances:
        assert seen.used + seen.held + seen.call <= seen.limit
