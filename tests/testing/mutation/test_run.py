"""Mutation testing as a whole: verdicts, proofs, requests that kill, what is kept between runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from costlens_policy.documents.suite import Expectation
from costlens_policy.engine.decide import decide
from costlens_policy.testing.compare import compare
from costlens_policy.testing.expected import everything_expected
from costlens_policy.testing.mutation.bench import benches_of
from costlens_policy.testing.mutation.formats import render_json, render_text
from costlens_policy.testing.mutation.results import Fate, Mutation
from costlens_policy.testing.mutation.run import mutate
from costlens_policy.testing.observation import observe
from costlens_policy.testing.run import ready_suites

POLICY = """\
apiVersion: costlens-policy/v1
kind: Policy
metadata: {name: p, version: "1"}
on_error: deny
access:
  - id: no-interns
    when: request.tier == "intern" && request.size > 10
    effect: deny
    reason: too large
  - id: nobody-else
    when: request.tier == "intern" && request.tier == "staff"
    effect: deny
    reason: cannot be
routes:
  - {id: small, when: request.size < 5, model: small}
"""
SET = """\
apiVersion: costlens-policy/v1
kind: PolicySet
metadata: {name: s, version: "1"}
policies: [policy.yaml]
catalogues: [catalogue.yaml]
attributes:
  tier: {type: string, default: staff, values: [staff, intern]}
  size: {type: int, default: 7}
defaults: {access: allow, route: {model: large}, max_output_tokens: 100}
severities: {CL423: note}
"""
CATALOGUE = """\
apiVersion: costlens-policy/v1
kind: Catalogue
metadata: {name: c, version: "1"}
models:
  small: {prices: [{usd_per_million_tokens: {input: 1, output: 1}}], context_window: 1000, max_output_tokens: 200}
  large: {prices: [{usd_per_million_tokens: {input: 2, output: 2}}], context_window: 1000, max_output_tokens: 200}
"""
SUITE = """\
apiVersion: costlens-policy/v1
kind: Suite
metadata: {name: t, version: "1"}
policy_set: policy-set.yaml
defaults: {request: {prompt_tokens: 1, prompt: hi}}
cases:
  - {name: large intern, request: {tier: intern, size: 11}, expect: {effect: deny, rule: p/no-interns}}
  - {name: small, request: {size: 4}, expect: {model: small}}
  - {name: usual, expect: {model: large}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COSTLENS_POLICY_CACHE", str(tmp_path / ".cache"))
    for name, text in (("policy", POLICY), ("policy-set", SET), ("catalogue", CATALOGUE), ("a_test", SUITE)):
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def fates(run: Mutation) -> dict[tuple[str, str], Fate]:
    return {(item.mutant.rule, item.mutant.what): item.fate for each in run.sets for item in each.verdicts}


def test_verdicts(folder: Path):
    run = mutate(["."], cache=False)
    assert not run.diagnostics
    found = fates(run)
    assert found["p/no-interns", "the rule is removed"] is Fate.KILLED
    assert found["p/no-interns", '`request.tier == "intern"` is dropped'] is Fate.SURVIVED
    assert found["p/no-interns", "`10` becomes `11`"] is Fate.KILLED
    assert found["p/no-interns", "`>` becomes `>=`"] is Fate.SURVIVED
    assert found["p/nobody-else", "the rule is removed"] is Fate.EQUIVALENT
    assert found["p/nobody-else", "`&&` becomes `||`"] is Fate.KILLED
    assert found["p/on_error", "`on_error: deny` becomes `skip`"] is Fate.EQUIVALENT
    assert run.score is not None
    assert 50 < run.score < 100


def test_each_request_kills(folder: Path):
    """What is shown of a survivor is decided as shown, and fails with the change."""
    run = mutate(["."], cache=False)
    (bench,) = benches_of(ready_suites(["."]).suites)
    killed = [item for item in run.survivors if item.kill is not None]
    assert len(killed) == len(run.survivors) > 3
    for item in killed:
        assert item.kill is not None
        expect, at = Expectation.model_validate(item.kill.expect), item.kill.situation
        known = bench.tested.known
        for plan, fails in ((bench.tested.engine.plan, False), (bench.workshop.plan_of(item.mutant), True)):
            decision = decide(plan, at.request, at.balances, at.now)
            assert bool(compare(expect, observe(decision, known), known)) is fails, item.mutant


def test_the_order_does_not_depend_on_processes(folder: Path):
    one, two = (mutate(["."], cache=False, jobs=jobs) for jobs in (1, 2))
    assert one == two


def test_verdicts_are_kept_until_something_changes(folder: Path, monkeypatch: pytest.MonkeyPatch):
    first = mutate(["."])
    with monkeypatch.context() as patch:
        patch.setattr("costlens_policy.testing.mutation.pool.judge_survivors", None)
        patch.setattr("costlens_policy.testing.mutation.pool.try_cases", None)
        assert fates(mutate(["."])) == fates(first)
        assert [item.kill for item in mutate(["."]).survivors] == [item.kill for item in first.survivors]
    suite = folder / "a_test.yaml"
    suite.write_text(SUITE + "  - {name: ten, request: {tier: intern, size: 10}, expect: {effect: allow}}\n")
    assert fates(mutate(["."]))["p/no-interns", "`>` becomes `>=`"] is Fate.KILLED


def test_damaged_verdicts_are_not_used(folder: Path):
    first = mutate(["."])
    for file in (folder / ".cache" / "mutants").iterdir():
        file.write_text('{"whole": 1, "verdicts": {"x": [}}')
    assert fates(mutate(["."])) == fates(first)


def test_a_limit_of_time(folder: Path):
    run = mutate(["."], cache=False, limit=0.0, clock=iter(range(1000)).__next__)
    assert run.counts()[Fate.UNTRIED] == len(run.sets[0].verdicts)
    assert "not tried" in render_text(run)


def test_only_some_rules(folder: Path):
    run = mutate(["."], cache=False, rule="p/small")
    assert {item.mutant.rule for item in run.sets[0].verdicts} == {"p/small"}
    assert mutate(["."], cache=False, rule="p/smal").exit_code == 3


def test_without_mutants_there_is_no_score(folder: Path):
    """What was not tried is neither killed nor enough for a minimum."""
    none = mutate(["."], rule="q/*", cache=False)
    assert (none.score, none.exit_code, render_text(none)) == (None, 3, "")
    late = mutate(["."], limit=0, cache=False, min_score=1)
    assert (late.score, late.exit_code) == (None, 5)
    assert "failed: no mutant was tried, and the minimum is 1 %" in render_text(late)
    assert json.loads(render_json(late))["score"] is None


def test_a_budget_whose_overflow_is_gone_is_invalid(folder: Path):
    budgets = """\
budgets:
  - {id: day, hard_limit_usd: 1, window: {calendar: day}, overflow: reserve}
  - {id: reserve, hard_limit_usd: 1, window: {calendar: day}}
"""
    (folder / "policy.yaml").write_text(POLICY + budgets)
    full = "  - {name: full, balances: [{budget: day, used: 1}], expect: {model: large, overflowed: [p/day]}}\n"
    suite = SUITE.replace("defaults:", "now: 2026-11-02T12:00:00Z\ndefaults:") + full
    (folder / "a_test.yaml").write_text(suite)
    run = mutate(["."], rule="p/reserve", cache=False)
    assert fates(run)["p/reserve", "the rule is removed"] is Fate.INVALID


def test_messages_that_are_not_objects(folder: Path):
    """A suite can expect nothing of them, and everything of the rest."""
    (bench,) = benches_of(ready_suites(["."]).suites)
    decision = decide(bench.tested.engine.plan, {"messages": ["hello"]}, {}, bench.cases[0].case.now)
    expected = everything_expected(observe(decision, bench.tested.known), bench.tested.known)
    assert (expected["model"], "messages" in expected) == ("large", False)


def test_survivors_are_explained(folder: Path):
    text = POLICY.replace("  - id: no-interns", "  # costlens-policy: ignore[mutant] nobody minds\n  - id: no-interns")
    (folder / "policy.yaml").write_text(text)
    run = mutate(["."], cache=False)
    assert fates(run)["p/no-interns", "`>` becomes `>=`"] is Fate.EXPLAINED
    assert "nobody minds" in render_text(run)
    (folder / "policy.yaml").write_text(
        POLICY.replace("  - {id: small", "  # costlens-policy: ignore[mutant] x\n  - {id: small")
    )
    (folder / "a_test.yaml").write_text(SUITE + "  - {name: five, request: {size: 5}, expect: {model: large}}\n")
    assert [item.code for item in mutate(["."], cache=False).diagnostics] == ["CL225"]


def test_failing_cases_come_first(folder: Path):
    (folder / "a_test.yaml").write_text(SUITE.replace("model: large", "model: small"))
    run = mutate(["."], cache=False)
    assert run.exit_code == 4
    assert "1 case of the suites must pass first" in render_text(run)


def test_nothing_to_run(folder: Path):
    (folder / "a_test.yaml").unlink()
    assert mutate(["."]).exit_code == 3


def test_formats(folder: Path, golden: Callable[[Path, str], None]):
    run = mutate(["."], cache=False, min_score=99)
    assert run.exit_code == 5
    here = Path(__file__).parent / "golden"
    golden(here / "survivors.txt", render_text(run))
    golden(here / "survivors.json", render_json(run))
    assert json.loads(render_json(run))["exit_code"] == 5


BUDGETS = """\
budgets:
  - {id: main, hard_limit_usd: 100, window: {calendar: day, zone: UTC}, overflow: reserve}
  - {id: reserve, hard_limit_usd: 10, window: {calendar: day, zone: UTC}}
"""
OVERFLOWING = """\
apiVersion: costlens-policy/v1
kind: Suite
metadata: {name: t, version: "1"}
policy_set: policy-set.yaml
now: 2026-11-02T12:00:00Z
cases:
  - name: the reserve stands in
    request: {size: 7, prompt: hi}
    balances: [{budget: p/main, used: 100}]
    expect: {model: large, overflowed: [p/main]}
"""


def test_a_budget_that_another_overflows_into_cannot_go(folder: Path):
    (folder / "policy.yaml").write_text(POLICY + BUDGETS)
    (folder / "a_test.yaml").write_text(OVERFLOWING)
    run = mutate(["a_test.yaml"], jobs=1)
    gone = next(item for item in run.sets[0].verdicts if item.mutant.rule == "p/reserve" and item.mutant.kind == "rule")
    assert gone.fate is Fate.INVALID
    assert "reserve" in gone.by
