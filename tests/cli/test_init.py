"""The starter repository is right from the first minute."""

from __future__ import annotations

from pathlib import Path

import pytest

from costlens_policy import __version__
from costlens_policy.cli.starter import starter_files


def test_writes_everything_and_says_what_is_next(run, tmp_path: Path):
    result = run("init", tmp_path / "new")
    assert result.exit_code == 0
    written = {str(path.relative_to(tmp_path / "new")) for path in (tmp_path / "new").rglob("*") if path.is_file()}
    assert written == set(starter_files())
    assert "costlens-policy check ." in result.stdout
    assert f"cd {tmp_path / 'new'}" in result.stdout


def test_into_the_present_folder(run, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("init")
    assert result.exit_code == 0
    assert "cd " not in result.stdout
    assert (tmp_path / "policy-set.yaml").exists()


def test_replaces_nothing(run, starter: Path):
    (starter / "catalogue.yaml").write_text("mine")
    for path in ("policy-set.yaml", "README.md"):
        (starter / path).unlink()
    result = run("init", starter)
    assert result.exit_code == 6
    assert "error: nothing was written" in result.stderr
    assert "catalogue.yaml" in result.stderr
    assert "`--force`" in result.stderr
    assert (starter / "catalogue.yaml").read_text() == "mine"
    assert not (starter / "policy-set.yaml").exists()


def test_force_replaces(run, starter: Path):
    (starter / "catalogue.yaml").write_text("mine")
    assert run("init", starter, "--force").exit_code == 0
    assert (starter / "catalogue.yaml").read_text() == starter_files()["catalogue.yaml"]


def test_a_file_in_the_way(run, tmp_path: Path):
    (tmp_path / "file").write_text("x")
    result = run("init", tmp_path / "file")
    assert result.exit_code == 6
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", [["check", "--strict"], ["fmt", "--check"], ["test", "--min-coverage", "100"]])
def test_the_starter_passes(run, starter: Path, monkeypatch, command):
    monkeypatch.chdir(starter)
    result = run(*command, ".")
    assert result.exit_code == 0, result.output


def test_the_starter_decides_its_request(run, starter: Path, monkeypatch):
    monkeypatch.chdir(starter)
    result = run("eval", ".", "--request", "request.yaml", "--explain")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("allow  gpt-5-nano\n")
    assert "Always respond concisely" in result.stdout
    assert "ada@example.com" not in result.stdout.split("prompt, rewritten")[1].split("+ ")[1].splitlines()[0]


def test_every_document_names_its_schema(starter: Path):
    for path in starter.rglob("*.yaml"):
        text = path.read_text()
        if "apiVersion" not in text:
            continue
        line = text.splitlines()[0]
        assert line.startswith("# yaml-language-server: $schema=")
        assert (path.parent / line.partition("=")[2]).resolve().exists(), path


def test_requirements_name_this_version(starter: Path):
    assert (starter / "requirements.txt").read_text() == f"costlens-policy=={__version__}\n"


def test_the_readme_has_no_placeholders(starter: Path):
    text = (starter / "README.md").read_text()
    assert "$$" not in text
    assert "$ costlens-policy check ." in text
