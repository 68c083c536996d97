"""examples/guarded-service runs, and keeps to its limit."""

from __future__ import annotations

import re
import runpy
from decimal import Decimal

from costlens_policy.testing import run_suites
from tests.conftest import ROOT

FOLDER = ROOT / "examples" / "guarded-service"


def test_it_runs_and_keeps_to_its_limit(capsys):
    runpy.run_path(str(FOLDER / "service.py"), run_name="__main__")
    printed = capsys.readouterr().out
    for outcome in ("house-large", "house-small", "denied by spend/team-day"):
        assert re.search(rf"^support +{outcome} ", printed, re.MULTILINE)
    used = re.findall(r"used \$([0-9.]+) of \$0.25", printed)
    assert len(used) == 2
    assert all(Decimal(amount) <= Decimal("0.25") for amount in used)
    alerts = [line for line in printed.splitlines() if line.startswith("alert ")]
    assert sorted(alerts) == [
        "alert    sales: half of the day's money is spent",
        "alert    support: half of the day's money is spent",
        "alert    support: the small model takes over for today",
    ]


def test_its_suite_passes():
    assert run_suites([FOLDER]).exit_code == 0
