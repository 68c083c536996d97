"""Each example that has policies passes the strict check, and its suites cover every rule."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from costlens_policy.cli.app import app
from costlens_policy.testing import render, run_suites
from tests.conftest import ROOT

EXAMPLES: Final = sorted({path.parent for path in (ROOT / "examples").rglob("*_test.yaml")})


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_passes_the_strict_check_and_its_suites_cover_all_of_it(example: Path) -> None:
    checked = CliRunner().invoke(app, ["check", "--strict", str(example)])
    assert checked.exit_code == 0, checked.output
    run = run_suites([example], min_coverage=100)
    assert run.exit_code == 0, render(run, "pretty", color=False)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_says_what_it_shows(example: Path) -> None:
    assert (example / "README.md").read_text(encoding="utf-8").startswith("# ")


def test_the_index_has_every_example() -> None:
    index = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    for example in (ROOT / "examples").iterdir():
        assert not example.is_dir() or f"]({example.name})" in index, example.name
