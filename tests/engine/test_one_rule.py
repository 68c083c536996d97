"""One rule about models binds whatever serves: an auditor who reads it need not read any other rule of the set."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import product
from pathlib import Path
from textwrap import dedent
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from costlens_policy import Balance, Engine, PolicyError, RequestError, load
from tests.conftest import ROOT
from tests.engine.conftest import CATALOGUE, HEAD, POLICY_SET
from tests.engine.generated import balances, budget_texts, policy_texts, requests

NOW: Final = datetime(2026, 5, 1, 9, tzinfo=UTC)
RULE: Final = """\
on_error: deny
access:
  - {id: only-inside, when: request.data_class == "restricted", only: "!model.external", reason: it stays in-house}
"""
_INSIDE: Final = {"mini"}
_MODELS: Final = CATALOGUE.replace("  mini:\n", "  mini:\n    external: false\n")
_SET: Final = {
    "attributes": "  data_class: {type: string, default: restricted, trusted: true}", "access": "allow",
    "route": "{models: [nano, mini-latest, mini]}", "fallbacks": 5,
    "more": "admit: {unpriced_models: true, unknown_models: true, deprecated_models: true}",
}  # fmt: skip


@lru_cache(maxsize=512)
def _loaded(others: str, place: str) -> Engine | None:
    """Return a set with the rule before or behind all others, None where these are no valid policy."""
    folder = Path(tempfile.mkdtemp())
    files = "rule.yaml, p0.yaml" if place == "first" else "p0.yaml, rule.yaml"
    try:
        (folder / "catalogue.yaml").write_text(_MODELS, encoding="utf-8")
        (folder / "policy-set.yaml").write_text(POLICY_SET % {**_SET, "files": files}, encoding="utf-8")
        (folder / "rule.yaml").write_text(HEAD % "rule" + RULE, encoding="utf-8")
        (folder / "p0.yaml").write_text(HEAD % "p0" + others, encoding="utf-8")
        return load(folder, cache=False)
    except PolicyError:
        return None
    finally:
        shutil.rmtree(folder)


def _serving(engine: Engine, request: Mapping[str, Any], states: Mapping[tuple[str, str], Balance]) -> set[str]:
    """Return every model that may serve a request, by the list of models and by the decision."""
    decision = engine.decide(request, balances=states, now=NOW)
    may_serve = engine.models(request, balances=states, now=NOW).may_serve
    return {*may_serve, *decision.fallbacks, *(() if decision.model is None else (decision.model,))}


@given(policy_texts(), budget_texts(), requests(), balances(), st.sampled_from(["first", "last"]))
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_other_rule_goes_round_it(
    policy: dict[str, Any],
    budgets: list[Any],
    request: dict[str, Any],
    states: dict[tuple[str, str], Balance],
    place: str,
) -> None:
    others = "".join(f"{key}: {json.dumps(value)}\n" for key, value in {**policy, "budgets": budgets}.items())
    engine = _loaded(others, place)
    assume(engine is not None)
    assert engine is not None
    known = {key: state for key, state in states.items() if key[0] in engine.plan.budgets}
    with suppress(RequestError):  # nothing is decided then, so nothing serves
        assert _serving(engine, request, known) <= _INSIDE


EVASIONS: Final = {
    "access": """\
        access:
          - {id: all, effect: allow, reason: so}
          - {id: external, when: model.external, effect: allow, reason: so}""",
    "route": "routes: [{id: r, models: [large, nano], fallbacks: [mini, nobody]}]",
    "what the caller asks for": "routes: [{id: r, model_from: request.model, fallbacks: [large]}]",
    "choice": """\
        routes:
          - id: r
            choose: {maximize: "1.0", on_none: best}
            fallbacks: [large]
            waive_terms_for: [fallbacks]""",
    "way out": """\
        routes:
          - id: r
            choose: {models: [nano], minimize: "1.0", limits: {max_cost_usd: 0}, on_none: {model: large}}""",
    "split": """\
        routes:
          - id: r
            split: {targets: [{model: nano, weight: 1}, {choose: {minimize: "1.0"}, weight: 9}]}""",
    "downgrade": """\
        budgets:
          - id: month
            hard_limit_usd: 1
            window: {calendar: month}
            thresholds: [{at_ratio: 0.0001, downgrade: {exclude: "!model.external", models: [nano, large, nobody]}}]
        routes: [{id: r, model: mini, waive_terms_for: [downgrades]}]""",
    "a budget in shadow": """\
        budgets: [{id: month, hard_limit_usd: 0, window: {calendar: month}, shadow: true}]
        routes: [{id: r, models: [large]}]""",
}  # fmt: skip
"""A policy for each way in which a model may come to serve."""


@pytest.mark.parametrize("place", ["first", "last"])
@pytest.mark.parametrize("way", EVASIONS)
def test_no_way_of_adding_a_model_goes_round_it(way: str, place: str) -> None:
    engine = _loaded("on_error: skip\n" + dedent(EVASIONS[way]), place)
    assert engine is not None
    for name, used in product((*_spellings("large", "acme"), "nobody", "mini-latest"), ("0.1", "0.5", "0.9")):
        states = {("p0/month", ""): Balance(used=Decimal(used))} if "budgets" in EVASIONS[way] else {}
        request = {"prompt": "Hello.", "model": name, "user": name}
        assert _serving(engine, request, states) <= _INSIDE
        assert not _serving(engine, {**request, "data_class": "public"}, states) <= _INSIDE


def _spellings(name: str, provider: str) -> Iterator[str]:
    """Yield names by which a caller may mean a model."""
    yield from (name, name.upper(), f" {name}", f"{name}-latest", f"{name}-2026-01-01")
    yield from (f"{provider}/{name}", f"proxy/{name}")


@pytest.fixture(scope="module")
def reference() -> Engine:
    return load(ROOT / "policies")


_STATES: Final = [Decimal(amount) for amount in ("0", "130", "355", "410", "455", "499.998", "500", "1000")]
_TASKS: Final = ("general", "chat", "extraction", "coding", "summarization", "legal-review")


def test_restricted_data_stays_in_house_under_the_reference_policies(reference: Engine) -> None:
    """Over all models of the catalogue in all spellings, all tasks and tiers, and all states of the budget."""
    models = list(reference.plan.catalogue)
    inside = {model.name for model in models if not model.external}
    names = [name for model in models for name in (*_spellings(model.name, model.provider or ""), *model.aliases)]
    assert 0 < len(inside) < len(models)
    assert len(names) > 70
    for at, (used, task, tier) in enumerate(product(_STATES, _TASKS, ("free", "standard", "premium"))):
        states = {("cost-caps/team-month", "claims"): Balance(used=used)}
        request = {"task": task, "tier": tier, "team": "claims", "user": "ann", "prompt": "Hello."}
        restricted = {**request, "data_class": "restricted"}
        assert set(reference.models(restricted, balances=states, now=NOW).may_serve) <= inside
        for name in names[at % 5 :: 5]:
            assert _decided(reference, {**restricted, "model": name}, states) <= inside
    assert not set(reference.models({**request, "tier": "premium"}, now=NOW).may_serve) <= inside


def _decided(engine: Engine, request: Mapping[str, Any], states: Mapping[tuple[str, str], Balance]) -> set[str]:
    decision = engine.decide(request, balances=states, now=NOW)
    return {*decision.fallbacks, *(() if decision.model is None else (decision.model,))}


def test_an_auditor_reads_it_in_one_screen() -> None:
    policy = (ROOT / "policies" / "restricted-data.yaml").read_text(encoding="utf-8")
    assert len(policy.splitlines()) <= 24
    assert policy[policy.index("apiVersion") :] in (ROOT / "docs" / "auditing.md").read_text(encoding="utf-8")
