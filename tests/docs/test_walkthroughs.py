"""The tutorial does what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.walkthrough import walk

TUTORIAL = ROOT / "docs" / "tutorial.md"


def test_the_tutorial(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    document = TUTORIAL.read_text(encoding="utf-8")
    if request.config.getoption("--update-golden"):
        TUTORIAL.write_text(walk(document, tmp_path, update=True), encoding="utf-8")
    else:
        walk(document, tmp_path)
