"""Thousands of rules in one policy: compiled, and decided by the right one, in bounded memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import ROOT
from tests.engine.hostile_policies import RULES, write

_SECONDS: Final = 600
"""Only so that a policy set without an end does not hold up the suite for good; nothing is measured."""
_MEGABYTES: Final = 1024


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no resource limits")
def test_thousands_of_rules(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.engine.hostile_policies", str(write(tmp_path)), str(_MEGABYTES)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=_SECONDS, check=False)
    assert done.returncode == 0, done.stderr[-2_000:].decode()
    assert json.loads(done.stdout) == [
        "large policy/r-0",
        f"large policy/r-{RULES - 3}",
        f"large policy/r-{RULES - 2}",
        f"large policy/r-{RULES - 1}",
        "small default",
        "deny",
    ]
