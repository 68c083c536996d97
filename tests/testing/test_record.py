"""Suites of decided requests: what is kept, what is left out, and that they pass."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from costlens_policy.api import Engine, load
from costlens_policy.decision_log.entries import decision_entry
from costlens_policy.engine.mask import Mask
from costlens_policy.testing import run_suites
from costlens_policy.testing.record import record

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
POLICIES = Path(__file__).parents[2] / "policies"


def engine() -> Engine:
    return load(POLICIES / "policy-set.yaml", cache=False)


def test_what_the_rules_treat_alike_is_kept_once():
    lines = [
        json.dumps({"prompt": prompt, "task": "coding", "tier": "free"}) for prompt in ("hello", "hi", "hello you")
    ]
    found = record(engine(), lines, NOW)
    (case,) = found.cases
    assert case.request["prompt"] == "hi"
    assert case.name == "task coding, tier free: refused by tier-access/free-tier-premium-task"
    assert (found.lines, found.left_out) == (3, ())


def test_what_is_no_request_is_left_out():
    lines = ["[1]", "{", '{"modle": 1}', "", '{"request": {"prompt": "x"}, "now": "noon"}', '{"prompt": "x"}']
    found = record(engine(), lines, NOW)
    assert [number for number, _ in found.left_out] == [1, 2, 3, 5]
    assert "did you mean `model`?" in found.left_out[2][1]
    assert len(found.cases) == 1


def test_entries_of_a_log():
    deciding = engine()
    decision = deciding.decide({"prompt": "secret", "task": "classification"}, now=NOW)
    open_ = decision_entry(decision, "a", False, Mask("keep"), record=False)
    masked = decision_entry(decision, "b", False, Mask("hash", key=b"k" * 32), record=False)
    lines = [json.dumps(entry) for entry in (open_, masked, {"v": 1, "kind": "charge"})]
    found = record(deciding, lines, NOW)
    assert [case.request["prompt"] for case in found.cases] == ["secret"]
    ((number, why),) = found.left_out
    assert number == 2
    assert "masked" in why


def test_the_suite_passes(tmp_path: Path):
    requests = [
        {"request": {"prompt": "hi", "team": "ads"}, "now": "2026-11-05T12:00:00Z",
         "balances": [{"budget": "cost-caps/team-month", "key": "ads", "used": "480"}]},
        {"prompt": "hi", "tier": "premium", "task": "coding"},
        {"messages": [{"role": "user", "content": "mail a@example.com"}], "region": "eu", "data_class": "restricted"},
        {"prompt": "true", "task": "extraction", "user": "user-9", "prompt_tokens": 200000},
    ]  # fmt: skip
    found = record(engine(), map(json.dumps, requests), NOW)
    assert len(found.cases) == 4
    file = tmp_path / "recorded_test.yaml"
    for source in POLICIES.glob("*.yaml"):
        if not source.name.endswith("_test.yaml"):
            (tmp_path / source.name).write_text(source.read_text())
    file.write_text(found.written("recorded", "policy-set.yaml"))
    run = run_suites([file])
    assert not run.diagnostics
    assert [result.outcome for result in run.results] == ["passed"] * 4


def test_a_budget_may_go_by_its_own_name():
    name = next(name for name in engine().plan.budgets if "/" in name)
    row = {"request": {"prompt": "x"}, "balances": [{"budget": name.partition("/")[2], "used": 1}]}
    found = record(engine(), [json.dumps(row), json.dumps({**row, "balances": [{"budget": "nope", "used": 1}]})], NOW)
    assert [budget for budget, _ in found.cases[0].balances] == [name]
    assert found.left_out == ((2, "`nope` is no budget, or one of several policies; name it as `policy/budget`"),)


def test_characters_that_json_writes_in_two_halves_are_kept_and_single_halves_left_out():
    halves = ['{"prompt": "a\\ud800\\n"}', '{"prompt": "x", "metadata": {"\\uDC00": "y"}}']
    found = record(engine(), ['{"prompt": "\\ud83d\\ude00\\n", "task": "coding"}', *halves], NOW)
    assert [number for number, _ in found.left_out] == [2, 3]
    assert '"\U0001f600\\n"' in found.written("r", "s.yaml")
