"""Which models may serve a request, and what keeps each other one from it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given

from costlens_policy import Balance
from tests.engine.conftest import Write, company
from tests.engine.generated import balances, budget_texts, policy_texts, requests
from tests.engine.test_properties import NOW, QUICK, decided, engine_with

__all__ = ["company"]

POLICY = """on_error: deny
access:
  - {id: small-only, when: request.user == "outsider", only_models: [nano, mini], reason: unpicked get small models}
routes:
  - {id: named, when: request.task == "named", models: [large, mini], waive_terms_for: [downgrades]}
budgets:
  - id: day
    when: request.task == "named"
    hard_limit_usd: 1
    window: {calendar: day}
    thresholds: [{at_ratio: 0.5, downgrade: {exclude: model.name == "mini", models: [nano]}}]
"""


def test_every_model_is_told_once(company: Write) -> None:
    engine = company(POLICY, route="{model: large}")
    models = engine.models({"task": "named", "user": "outsider", "prompt": "x"}, now=NOW)
    assert models.may_serve == ("mini",)
    told = {item.model: item.reason for item in models.excluded}
    assert set(told) == set(engine.plan.catalogue.models) - {"mini"}
    assert "unpicked get small models" in told["large"]
    assert told["nano"] == "neither route `p0/named` nor a threshold names it"


def test_what_a_threshold_adds_may_serve(company: Write) -> None:
    engine = company(POLICY, route="{model: large}")
    spent = {("p0/day", ""): Balance(Decimal("0.6"))}
    models = engine.models({"task": "named", "prompt": "x"}, balances=spent, now=NOW)
    assert models.may_serve == ("large", "nano")


def test_a_claim_is_believed_no_more_than_by_a_decision(company: Write) -> None:
    engine = company(POLICY, route="{model: nano}", more="prompt_tokens: verified\n")
    request = {"prompt": "Which clause limits liability? " * 4000, "prompt_tokens": 1}
    assert engine.decide(request, now=NOW).model is None
    assert engine.models(request, now=NOW).may_serve == ()


def test_arguments_are_examined_as_for_a_decision(company: Write) -> None:
    engine = company(POLICY, route="{model: nano}")
    with pytest.raises(ValueError, match="needs a time zone"):
        engine.models({"prompt": "x"}, now=NOW.replace(tzinfo=None))
    with pytest.raises(ValueError, match="there is no budget"):
        engine.models({"prompt": "x"}, balances={("p0/dya", ""): Balance()}, now=NOW)


def test_a_denied_request_has_no_models(company: Write) -> None:
    engine = company("on_error: deny\naccess: [{id: d, when: request.task == 'x', effect: deny, reason: no}]\n")
    models = engine.models({"task": "x", "prompt": "x"}, now=NOW)
    assert models.may_serve == ()
    assert {item.by for item in models.excluded} == {"p0/d"}


@given(policy_texts(), budget_texts(), requests(), balances())
@QUICK
def test_a_decision_takes_the_first_of_them(policy, budgets, request_, states) -> None:
    engine = engine_with({**policy, "budgets": budgets})
    decision = decided(engine, request_, states)
    known = {key: state for key, state in states.items() if key[0] in engine.plan.budget_ids}
    models = engine.models(request_, balances=known, now=NOW)
    serving = () if decision.model is None else (decision.model, *decision.fallbacks)
    assert models.may_serve[: len(serving)] == serving
    assert bool(models.may_serve) == decision.allowed
    names = [*models.may_serve, *(item.model for item in models.excluded)]
    assert len(set(names)) == len(names)


def test_a_demand_that_fails_says_so(company: Write) -> None:
    engine = company("""on_error: skip
access: [{id: europe, only: 'model.regions.exists(region, region == "eu")', reason: data stays in Europe}]
""")
    decision = engine.decide({"prompt": "x"}, now=NOW)
    assert decision.effect == "deny"
    assert all(
        "which failed (there is no `regions`): data stays in Europe" in item.reason for item in decision.excluded
    )
    assert {failure.rule for failure in decision.errors} == {"p0/europe"}
