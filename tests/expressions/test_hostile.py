"""What crashes or stalls other engines gets a clean error or the right answer here, in bounded memory."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Final

import pytest

from tests.conftest import ROOT
from tests.expressions.hostile_cases import CASES

_SECONDS: Final = 600
"""Only so that a case without an end does not hold up the suite for good; nothing is measured."""
_MEGABYTES: Final = 1024

_CHILD: Final = """
import resource, sys
limit = int(sys.argv[1]) * 1024 * 1024
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
from tests.expressions.hostile_cases import main
main()
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no resource limits")


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Any]:
    """Evaluate all cases in one process that may use only so much memory; what it did not reach is missing."""
    command = [sys.executable, "-c", _CHILD, str(_MEGABYTES)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=_SECONDS, check=False)
    assert done.returncode == 0, done.stdout[-500:].decode() + done.stderr[-2_000:].decode()
    return dict(json.loads(line) for line in done.stdout.splitlines())


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_case(outcomes: dict[str, Any], name: str) -> None:
    assert outcomes[name] == CASES[name].expected


def test_memory_stays_bounded(outcomes: dict[str, Any]) -> None:
    assert outcomes["peak"] < 700 * 1024, "KiB"
