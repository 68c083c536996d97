"""What the program prints: golden files, exact JSON, and a page of documentation that says the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from costlens_policy import load
from costlens_policy.cli.app import app
from tests.conftest import ROOT

GOLDEN = Path(__file__).parent / "golden"
WORKLOAD = "examples/advise/ticket-triage.yaml"
CALLS = ("--traffic", "examples/advise/calls.jsonl", "--prices", "examples/advise/catalogue.yaml", "--on", "2026-11-02")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    monkeypatch.chdir(ROOT)
    return CliRunner().invoke(app, ["advise", WORKLOAD, "--on", "2026-11-02", *arguments])


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("year.txt", ()),
        ("two-years.txt", ("--horizon", "2y")),
        ("year.md", ("--format", "markdown")),
        ("year.json", ("--format", "json")),
    ],
)
def test_golden(
    name: str, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, golden: Callable[[Path, str], None]
) -> None:
    result = run(monkeypatch, *arguments)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    assert all(line == line.rstrip() for line in result.stdout.splitlines())
    golden(GOLDEN / name, result.stdout)


def test_json_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = json.loads(run(monkeypatch, "--format", "json").stdout)
    for strategy in answer["strategies"].values():
        paid, total, saving = strategy["paid_usd"], strategy["total_usd"], strategy["saving_usd"]
        assert paid[-1] == total["base"]
        assert Decimal(total["low"]) <= Decimal(total["base"]) <= Decimal(total["high"])
        against = Decimal(answer["strategies"][answer["compared_with"]]["total_usd"]["base"])
        assert Decimal(saving["base"]) == against - Decimal(total["base"])


def test_exported_facts_decide_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    found = json.loads(run(monkeypatch, "--format", "json").stdout)["recommendation"]
    decision = load(ROOT / "policies" / "advice").decide(found["facts"])
    assert (decision.model, decision.rule) == (found["strategy"], found["rule"])
    assert decision.policy_digest == found["policy_digest"]


def test_the_page_shows_what_the_program_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "advise.md").read_text(encoding="utf-8")
    for block in run(monkeypatch).stdout.split("\n\n"):
        assert block.strip() in page, block


@pytest.mark.parametrize(("name", "arguments"), [("calls.txt", ()), ("calls.md", ("--format", "markdown"))])
def test_recorded_calls(
    name: str, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, golden: Callable[[Path, str], None]
) -> None:
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(app, ["advise", *CALLS, *arguments])
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    golden(GOLDEN / name, result.stdout)


def test_the_page_shows_what_recorded_calls_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs" / "advise.md").read_text(encoding="utf-8")
    assert " ".join(["costlens-policy", "advise", *CALLS]) in page
    for block in CliRunner().invoke(app, ["advise", *CALLS]).stdout.split("\n\n"):
        assert block.strip() in page, block
