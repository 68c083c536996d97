"""The examples pass the strict check; their suites, and those of the reference policies, cover all that can be."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from costlens_policy.cli.app import app
from costlens_policy.testing import render, run_suites
from tests.conftest import ROOT

EXAMPLES: Final = ROOT / "examples"
FOLDERS: Final = sorted(path for path in EXAMPLES.iterdir() if path.is_dir())


def test_the_examples_pass_the_strict_check() -> None:
    checked = CliRunner().invoke(app, ["check", "--strict", str(EXAMPLES)])
    assert checked.exit_code == 0, checked.output


POLICIES: Final = ROOT / "policies"
UNCOVERED: Final = {
    "decisions/sensitive-stays-inside only false": "its route names models inside alone; the rule binds all others",
}
"""What no case covers, and why nothing can: rules that hold whatever others may add."""


@pytest.mark.parametrize("folder", [EXAMPLES, POLICIES], ids=["examples", "policies"])
def test_the_suites_cover_every_item(folder: Path) -> None:
    """Each rule, outcome of a condition, operand that decides, model, share, overflow and downgrade."""
    run = run_suites([folder], min_coverage={"rules": 100, "mcdc": 100, "models": 100, "shares": 100})
    assert run.exit_code == 0, render(run, "pretty", color=False)
    missing = {item.name for coverage in run.coverage for item in coverage.items if not item.covered}
    assert missing <= UNCOVERED.keys()


def test_every_example_with_policies_has_a_suite_and_says_what_it_shows() -> None:
    for policy_set in EXAMPLES.glob("*/policy-set.yaml"):
        assert list(policy_set.parent.glob("*_test.yaml")), policy_set.parent.name
        assert (policy_set.parent / "README.md").read_text(encoding="utf-8").startswith("# ")


def test_the_index_has_every_example() -> None:
    index = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for example in FOLDERS:
        assert f"]({example.name})" in index, example.name
