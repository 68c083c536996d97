"""docs/decision-log.md does what it says, and other commands read the log."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

from costlens_policy import Guard, load
from costlens_policy.decision_log import DecisionLog
from tests.conftest import ROOT
from tests.docs.walkthrough import run_command, walk
from tests.guard.company import REQUEST, TEAM, Clock, write_company

PAGE = ROOT / "docs" / "decision-log.md"


def test_the_page(tmp_path: Path) -> None:
    write_company(tmp_path / "policies", "routes: []")
    walk(PAGE.read_text(encoding="utf-8"), tmp_path)
    report = run_command("costlens-policy report --traffic decisions.jsonl --prices policies --by team", tmp_path)
    assert "$0.00002" in report
    assert "red" in report
    replayed = run_command("costlens-policy replay policies --traffic decisions.jsonl", tmp_path)
    assert "decision-log" in replayed
    assert "skipped" not in replayed


def test_totals_of_a_sample_are_said_to_be_those(tmp_path: Path) -> None:
    write_company(tmp_path / "policies", "routes: []")
    log = DecisionLog(tmp_path / "log.jsonl", sample=0.5)
    engine = load(tmp_path / "policies", log=log)
    for _ in range(40):
        engine.decide(REQUEST)
    log.close()
    for command in ("replay policies", "report --prices policies", "diff policies policies"):
        shown = run_command(f"costlens-policy {command} --traffic log.jsonl", tmp_path)
        assert shown.count("`log.jsonl` is a sample (`sample`): totals are those of the rows that it has") == 1, command


def test_charges_without_a_usage_count_with_their_cost(tmp_path: Path) -> None:
    write_company(tmp_path / "policies", TEAM)
    with (
        DecisionLog(tmp_path / "log.jsonl") as log,
        Guard(load(tmp_path / "policies"), log=log, clock=Clock(), alert_sinks=[]) as guard,
    ):
        guard.call(REQUEST, id="a").settle({"prompt_tokens": 1000, "completion_tokens": 50})
        guard.call(REQUEST, id="b").settle()
        guard.call(REQUEST, id="c")
        guard.settle("c")
        used = guard.spend()[0].used
    assert used == Decimal("0.0035")
    with open(tmp_path / "log.jsonl", encoding="utf-8") as stream:
        charges = [entry for entry in map(json.loads, stream) if entry["kind"] == "charge"]
    assert [charge.get("assumed") for charge in charges] == [None, *[{"prompt": 1000, "output": 100}] * 2]
    assert [charge["tokens"] for charge in charges[1:]] == [{}, {}], "nobody reported any"
    noted = "2 rows have a charge at its worst, since no usage was reported"
    report = run_command("costlens-policy report --traffic log.jsonl --prices policies --by team", tmp_path)
    assert "$0.0035" in report
    for shown in (
        report,
        run_command("costlens-policy replay policies --traffic log.jsonl", tmp_path),
        run_command("costlens-policy diff policies policies --traffic log.jsonl", tmp_path),
    ):
        assert "3 " in shown
        assert noted in " ".join(shown.split())
        assert "skipped" not in shown
        assert "duplicate" not in shown


def test_a_charge_of_which_the_log_has_the_cost_alone(tmp_path: Path) -> None:
    entry = {
        "kind": "charge", "id": "a", "now": "2026-05-10T12:00:00Z", "model": "nano", "basis": "assumed",
        "cost_usd": "0.25", "tokens": {}, "usage": {}, "request": {"team": "red"}, "policy_digest": "x",
        "catalogue_digest": "y",
    }  # fmt: skip
    usual = entry | {"id": "b", "cost_usd": "0.5", "tokens": {"prompt": 10, "output": 5}}
    (tmp_path / "log.jsonl").write_text(f"{json.dumps(usual)}\n{json.dumps(entry)}\n", encoding="utf-8")
    report = run_command("costlens-policy report --traffic log.jsonl --by team", tmp_path)
    assert "$0.75" in report
    assert "1 rows have a cost and no tokens; their cost counts" in " ".join(report.split())
