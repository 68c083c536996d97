"""The policy set that comes with the package: the same as the one in `policies/`, and there without a checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from costlens_policy.advise.advice import own_policy_set
from costlens_policy.cli.app import app
from tests.conftest import ROOT

PUBLISHED = ROOT / "policies" / "advice"
EXAMPLE = ROOT / "examples" / "advise"
ASIDE = ("advice_test.yaml", "invariants.yaml")


def copy_example(folder: Path) -> None:
    """Copy the example into a folder; it names no policy set."""
    for name in ("catalogue.yaml", "ticket-triage.yaml"):
        shutil.copy(EXAMPLE / name, folder)


def test_it_is_the_one_in_policies() -> None:
    with own_policy_set() as folder:
        packaged = {path.name: path.read_bytes() for path in folder.iterdir()}
    published = {path.name: path.read_bytes() for path in PUBLISHED.iterdir() if path.name not in ASIDE}
    assert packaged == published


def test_it_recommends_where_no_other_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    copy_example(tmp_path)
    monkeypatch.chdir(tmp_path)
    alone = CliRunner().invoke(app, ["advise", "ticket-triage.yaml", "--on", "2026-11-02"])
    assert alone.exit_code == 0, alone.output
    assert "recommendation: fine-tuned" in alone.stdout
    named = CliRunner().invoke(
        app, ["advise", "ticket-triage.yaml", "--on", "2026-11-02", "--policy-set", str(PUBLISHED)]
    )
    assert named.stdout == alone.stdout


@pytest.mark.skipif(not os.environ.get("COSTLENS_SOAK"), reason="builds a wheel, with what pip fetches to build it")
def test_a_wheel_has_it(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "costlens_policy", source / "costlens_policy")
    options = ("--quiet", "--no-deps", "--wheel-dir", str(tmp_path))
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(source)], check=True, timeout=600)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    copy_example(tmp_path)
    command = [sys.executable, "-P", "-m", "costlens_policy", "advise", "ticket-triage.yaml", "--on", "2026-11-02"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    shown = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert "recommendation: fine-tuned" in shown.stdout, shown.stderr
