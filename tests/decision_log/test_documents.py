"""docs/decision-log.md does what it says, and other commands read the log."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import ROOT
from tests.docs.walkthrough import run_command, walk
from tests.guard.company import write_company

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
