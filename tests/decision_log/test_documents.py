"""docs/decision-log.md does what it says, and other commands read the log."""

from __future__ import annotations

from pathlib import Path

from costlens_policy import load
from costlens_policy.decision_log import DecisionLog
from tests.conftest import ROOT
from tests.docs.walkthrough import run_command, walk
from tests.guard.company import REQUEST, write_company

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
