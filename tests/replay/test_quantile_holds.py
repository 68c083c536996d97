"""Replay with budgets that hold a quantile: what the replayed calls have cost decides what is held."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from costlens_policy import Engine
from costlens_policy.replay.columns.step import Job
from costlens_policy.replay.files import replay_files
from costlens_policy.replay.result import Result
from costlens_policy.replay.settings import Settings
from costlens_policy.replay.traffic.mapping import ColumnMapping
from tests.guard.company import write_company

POLICY = """
budgets:
  - {id: daily, hard_limit_usd: 0.0155, hold: %s, window: {calendar: day}}
"""
COLUMNS = ("time", "model", "prompt_tokens", "output_tokens", "request.task", "request.max_output_tokens")
CALLS = 12
"""Each may cost $0.003 at most, and costs $0.0012."""


def replayed(engine: Engine, folder: Path) -> Result:
    rows = [f"2026-05-10T10:{minute:02}:00Z,nano,1000,100,coding,1000" for minute in range(CALLS)]
    (folder / "log.csv").write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
    mapping = ColumnMapping("log", {name: name for name in COLUMNS})
    return replay_files(engine.plan, [str(folder / "log.csv")], mapping, Settings(cache=False))


@pytest.mark.parametrize(
    ("hold", "allowed"),
    [
        ("worst_case", 11),  # $0.0132 used, and no room for $0.003 of the twelfth
        ("{quantile: 0.9, cases: 9}", 12),  # after nine calls, $0.0012 are held
        ("{quantile: 0.9, cases: 12}", 11),
    ],
)
def test_what_calls_came_to_is_held(hold: str, allowed: int, tmp_path: Path) -> None:
    result = replayed(write_company(tmp_path / "policies", POLICY % hold), tmp_path)
    assert result.cost == allowed * Decimal("0.0012")
    assert any("`p/daily`: the quantile is that of the replayed calls" in note for note in result.notes) == (
        "{" in hold
    )


def test_columns_refuse_it_by_name(tmp_path: Path) -> None:
    plan = write_company(tmp_path / "policies", POLICY % "{quantile: 0.9, cases: 9}").plan
    with pytest.raises(ValueError, match="`p/daily` holds a quantile, and is replayed row by row"):
        Job(plan, Settings())
