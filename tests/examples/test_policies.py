"""The examples pass the strict check, and their suites cover every rule."""

from __future__ import annotations

from typing import Final

from click.testing import CliRunner

from costlens_policy.cli.app import app
from costlens_policy.testing import render, run_suites
from tests.conftest import ROOT

EXAMPLES: Final = ROOT / "examples"
FOLDERS: Final = sorted(path for path in EXAMPLES.iterdir() if path.is_dir())


def test_the_examples_pass_the_strict_check() -> None:
    checked = CliRunner().invoke(app, ["check", "--strict", str(EXAMPLES)])
    assert checked.exit_code == 0, checked.output


def test_the_suites_of_the_examples_cover_every_rule() -> None:
    run = run_suites([EXAMPLES], min_coverage=100)
    assert run.exit_code == 0, render(run, "pretty", color=False)


def test_every_example_with_policies_has_a_suite_and_says_what_it_shows() -> None:
    for policy_set in EXAMPLES.glob("*/policy-set.yaml"):
        assert list(policy_set.parent.glob("*_test.yaml")), policy_set.parent.name
        assert (policy_set.parent / "README.md").read_text(encoding="utf-8").startswith("# ")


def test_the_index_has_every_example() -> None:
    index = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for example in FOLDERS:
        assert f"]({example.name})" in index, example.name
