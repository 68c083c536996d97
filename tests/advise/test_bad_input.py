"""Bad workloads: each problem has a code, a place and a sentence; no traceback, no half answer."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from costlens_policy.cli.app import app
from tests.conftest import ROOT

EXAMPLE = ROOT / "examples" / "advise"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("catalogue.yaml", "ticket-triage.yaml"):
        shutil.copy(EXAMPLE / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def advise(folder: Path, old: str, new: str) -> Result:
    path = folder / "ticket-triage.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return CliRunner().invoke(app, ["advise", "ticket-triage.yaml", "--on", "2026-11-02"])


VOLUME = "{low: 400000, base: 700000, high: 1000000}"
GROWTH = "{low: 0, base: 0.02, high: 0.05}"
EXAMPLES = "{low: 2000, base: 4000, high: 8000}"


@pytest.mark.parametrize(
    ("old", "new", "code", "words"),
    [
        (VOLUME, "0", "CL108", "per_month"),
        (VOLUME, "-5", "CL108", "per_month"),
        (VOLUME, "{low: 0, base: 1, high: 2}", "CL108", "low"),
        (VOLUME, "1.5", "CL105", "per_month"),
        (VOLUME, "{low: 400000, base: 300000, high: 1000000}", "CL111", "`low` must be at most `base`"),
        (VOLUME, "{low: 400000, base: 700000, high: 600000}", "CL111", "`high` must be at least `base`"),
        (VOLUME, "{low: 400000, base: 700000}", "CL104", "high"),
        (VOLUME, "many", "CL105", "per_month"),
        (GROWTH, "-1.01", "CL108", "growth_per_month"),
        (GROWTH, "{low: -2, base: 0, high: 0}", "CL108", "low"),
        (GROWTH, ".nan", "CL016", ""),
        ("tokens: 5200", "tokens: 0", "CL108", "tokens"),
        ("examples: 3400", "examples: 4400", "CL111", "must fit into `tokens`"),
        ("share: 0.9", "share: 90", "CL108", "share"),
        ("usd_each: 0.40", "usd_each: -0.40", "CL108", "usd_each"),
        ("every_months: 6", "every_months: 0", "CL108", "every_months"),
        (EXAMPLES, EXAMPLES + "\n    lables: 3", "CL103", "lables"),
        ("current: {model: large}", "current: {model: larg}", "CL208", "did you mean `large`?"),
        ("  model: triage", "  model: unheard-of", "CL208", "the catalogue has no model `unheard-of`"),
        ("  scope: narrow", "  scope: wide", "CL106", "scope"),
        ("catalogue: catalogue.yaml", "catalogue: catalog.yaml", "CL203", "did you mean `catalogue.yaml`?"),
        ("catalogue: catalogue.yaml", "catalogue: ../../../x.yaml", "CL204", "is outside the repository"),
        ("catalogue: catalogue.yaml", "catalogue: ticket-triage.yaml", "CL205", "contains no catalogue"),
        ("kind: Workload", "kind: Worklod", "CL102", "did you mean `Workload`?"),
        (
            "  retraining:",
            "  training: {usd: 5, epochs: 3}\n  retraining:",
            "CL111",
            "`usd` is the whole cost",
        ),
        (
            "  retraining:",
            "  training: {tokens_per_example: 900}\n  retraining:",
            "CL111",
            "needs `usd_per_million_tokens`",
        ),
    ],
)
def test_problem(folder: Path, old: str, new: str, code: str, words: str) -> None:
    result = advise(folder, old, new)
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    assert f"error[{code}]" in result.stderr
    assert words in result.stderr
    assert "ticket-triage.yaml:" in result.stderr  # the place


def test_every_problem_is_told_at_once(folder: Path) -> None:
    (folder / "ticket-triage.yaml").write_text((folder / "ticket-triage.yaml").read_text().replace(VOLUME, "0"))
    result = advise(folder, "share: 0.9", "share: 90")
    assert result.stderr.count("error[") == 2


def test_unknown_models_are_told_together(folder: Path) -> None:
    (folder / "ticket-triage.yaml").write_text(
        (folder / "ticket-triage.yaml").read_text().replace("small: {model: small}", "small: {model: smal}")
    )
    result = advise(folder, "current: {model: large}", "current: {model: larg}")
    assert result.stderr.count("error[CL208]") == 2


def test_a_model_without_a_price(folder: Path) -> None:
    path = folder / "catalogue.yaml"
    path.write_text(path.read_text() + "  free: {provider: acme, prices: []}\n")
    result = advise(folder, "current: {model: large}", "current: {model: free}")
    assert result.exit_code == 1
    assert "error[CL409]: `free` has no price on 2026-11-02" in result.stderr


def test_a_hybrid_needs_a_trained_model(folder: Path) -> None:
    path = folder / "ticket-triage.yaml"
    text = path.read_text()
    start, end = text.index("fine_tuned:"), text.index("hybrid:")
    path.write_text(text[:start] + text[end:])
    result = CliRunner().invoke(app, ["advise", "ticket-triage.yaml"])
    assert "`hybrid` needs `fine_tuned`" in result.stderr


def test_files_that_are_no_workload(folder: Path) -> None:
    for path, code, words in (
        ("missing.yaml", 6, "there is no file"),
        ("catalogue.yaml", 1, "contains no workload"),
        (".", 6, "is a folder"),
    ):
        result = CliRunner().invoke(app, ["advise", path])
        assert (result.exit_code, result.stdout) == (code, ""), (path, result.output)
        assert words in result.stderr


def test_a_policy_set_that_is_not_for_advice(folder: Path) -> None:
    result = CliRunner().invoke(app, ["advise", "ticket-triage.yaml", "--policy-set", str(ROOT / "policies")])
    assert result.exit_code == 1
    assert "does not accept the facts of a workload" in result.stderr


@pytest.mark.parametrize("horizon", ["0mo", "121mo", "11y", "12", "-3mo", "soon", "1.5y"])
def test_horizons(folder: Path, horizon: str) -> None:
    result = CliRunner().invoke(app, ["advise", "ticket-triage.yaml", "--horizon", horizon])
    assert result.exit_code == 2
    assert "write it as 12mo or 2y" in result.stderr


@pytest.mark.parametrize(
    "changes",
    [{GROWTH: "10"}, {"share: 0.9": f"share: 0.{'3' * 55}", "{low: 0.5, base: 0.8, high: 0.95}": f"0.{'7' * 55}"}],
)
def test_sums_that_cannot_be_kept_exactly_are_refused(folder: Path, changes: dict[str, str]) -> None:
    path = folder / "ticket-triage.yaml"
    for old, new in changes.items():
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
    result = CliRunner().invoke(app, ["advise", "ticket-triage.yaml", "--horizon", "10y"])
    assert result.stdout == ""
    assert "too many digits to be exact" in result.stderr
    assert "internal error" not in result.stderr
