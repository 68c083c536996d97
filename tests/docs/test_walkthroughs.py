"""The tutorial, the guide to fitting and the page about agents do what they say."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.walkthrough import walk

TUTORIAL = ROOT / "docs" / "tutorial.md"
FITTING = ROOT / "docs" / "fit.md"
AGENTS = ROOT / "docs" / "agents.md"
MEASURED = ROOT / "examples" / "measured-quality"


def test_the_tutorial(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    _follow(TUTORIAL, tmp_path, request)


def test_the_guide_to_fitting(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    for name in ("answers.csv", "newer.csv", "catalogue.yaml"):
        shutil.copy(MEASURED / name, tmp_path)
    _follow(FITTING, tmp_path, request)


def test_the_allowance_of_agents(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    _follow(AGENTS, tmp_path, request)


def _follow(page: Path, folder: Path, request: pytest.FixtureRequest) -> None:
    document = page.read_text(encoding="utf-8")
    if request.config.getoption("--update-golden"):
        page.write_text(walk(document, folder, update=True), encoding="utf-8")
    else:
        walk(document, folder)
