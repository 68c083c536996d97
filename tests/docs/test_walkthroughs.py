"""The tutorial, the guide to fitting and the pages about signals, agents, carry-over and holds do what they say."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.walkthrough import walk

TUTORIAL = ROOT / "docs" / "tutorial.md"
FITTING = ROOT / "docs" / "fit.md"
SIGNALS = ROOT / "docs" / "signals.md"
AGENTS = ROOT / "docs" / "agents.md"
CARRY_OVER = ROOT / "docs" / "carry-over.md"
HOLDS = ROOT / "docs" / "holds.md"
MEASURED = ROOT / "examples" / "measured-quality"
PROMPTS = ROOT / "examples" / "learned-signal" / "prompts.csv"


def test_the_tutorial(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    _follow(TUTORIAL, tmp_path, request)


def test_the_guide_to_fitting(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    for name in ("answers.csv", "newer.csv", "catalogue.yaml"):
        shutil.copy(MEASURED / name, tmp_path)
    _follow(FITTING, tmp_path, request)


def test_a_signal_is_learned(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    shutil.copy(PROMPTS, tmp_path)
    _follow(SIGNALS, tmp_path, request, "## Learn one from your prompts\n")


def test_the_allowance_of_agents(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    _follow(AGENTS, tmp_path, request)


def test_a_team_with_carry_over(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    _follow(CARRY_OVER, tmp_path, request)


def test_holds_of_agents(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    _follow(HOLDS, tmp_path, request)


def _follow(page: Path, folder: Path, request: pytest.FixtureRequest, heading: str = "") -> None:
    """Follow a page, or its section under a heading."""
    document = page.read_text(encoding="utf-8")
    start = document.index(heading)
    end = document.index("\n## ", start + 1) if heading else len(document)
    section = document[start:end]
    if request.config.getoption("--update-golden"):
        page.write_text(document[:start] + walk(section, folder, update=True) + document[end:], encoding="utf-8")
    else:
        walk(section, folder)
