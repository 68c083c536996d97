"""A plan that was saved and loaded decides as the one it was made of, to the byte."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
from hypothesis import assume, given, settings

from costlens_policy import Balance, Decision, Engine, PolicyError, load
from costlens_policy.compiler import Plan
from costlens_policy.saving.encoding import encode
from costlens_policy.testing import run_suites
from tests.conftest import ROOT
from tests.engine.conftest import CATALOGUE, HEAD, POLICY_SET
from tests.engine.generated import balances, budget_texts, policy_texts, requests
from tests.saving.plans import answer, reloaded

NOW: Final = datetime(2026, 5, 1, 9, tzinfo=UTC)
_PLACES: Final = ("policies", "examples", "tests/corpus/semantics")
_SETS: Final = sorted(
    str(path.relative_to(ROOT))
    for place in _PLACES
    for path in (ROOT / place).rglob("*.yaml")
    if "kind: PolicySet" in path.read_text(encoding="utf-8").splitlines()
)
_GENERATED_SET: Final = POLICY_SET % {
    "files": "p0.yaml", "attributes": "  tags: {type: list(string), default: []}", "access": "allow",
    "route": "{models: [mini, nano]}", "fallbacks": 2, "more": "",
}  # fmt: skip


@pytest.mark.parametrize("path", _SETS)
def test_nothing_is_lost(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    plan = load(path).plan
    again = reloaded(plan)
    assert encode(reloaded(again)) == encode(again)
    assert (again.policy_digest, again.catalogue_digest) == (plan.policy_digest, plan.catalogue_digest)
    assert again.catalogue == plan.catalogue
    assert again.attributes == plan.attributes
    assert {id: step.terms for id, (_, step) in again.budgets.items()} == {
        id: step.terms for id, (_, step) in plan.budgets.items()
    }


@pytest.mark.parametrize("place", _PLACES)
def test_every_case_of_every_suite_is_decided_equally(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Suites with their cases, times and balances are requests that were thought about."""
    decide = Engine.decide
    twins: dict[int, tuple[Plan, Plan]] = {}
    decided: Counter[str] = Counter()

    def both(
        engine: Engine, request: Any, *, balances: Any = None, now: datetime | None = None, measured: Any = None
    ) -> Decision:
        given, twin = twins.setdefault(id(engine.plan), (engine.plan, reloaded(engine.plan)))
        with monkeypatch.context() as original:
            original.setattr(Engine, "decide", decide)
            said = [answer(plan, request, balances, now or NOW, measured) for plan in (twin, given)]
            assert said[0] == said[1]
        decided[given.name] += 1
        return decide(engine, request, balances=balances, now=now or NOW, measured=measured)

    monkeypatch.setattr(Engine, "decide", both)
    monkeypatch.chdir(ROOT)
    run = run_suites([place])
    assert not [item for item in run.diagnostics if item.is_error]
    assert decided.total() >= sum(len(suite.cases) for suite in run.suites) > 10


@settings(max_examples=80)
@given(policy_texts(), budget_texts(), requests(), balances())
def test_whatever_the_policies_are(
    policy: dict[str, Any], budgets: list[Any], request: dict[str, Any], states: dict[tuple[str, str], Balance]
) -> None:
    plan = _plan({**policy, "budgets": budgets})
    known = {key: state for key, state in states.items() if key[0] in plan.budgets}
    assert answer(reloaded(plan), request, known, NOW) == answer(plan, request, known, NOW)


def _plan(policy: Mapping[str, Any]) -> Plan:
    with TemporaryDirectory() as folder:
        texts = {
            "catalogue.yaml": CATALOGUE,
            "policy-set.yaml": _GENERATED_SET,
            # JSON is YAML, line by line.
            "p0.yaml": HEAD % "p0" + "".join(f"{key}: {json.dumps(value)}\n" for key, value in policy.items()),
        }
        for name, text in texts.items():
            Path(folder, name).write_text(text, encoding="utf-8")
        try:
            return load(folder).plan
        except PolicyError:  # the checker's right
            assume(False)
            raise
