"""The starter repository is right from the first minute."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from costlens_policy import __version__
from costlens_policy.cli.commands.init import installed_origin, starter_files


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


def test_requirements_name_where_this_program_came_from(run, tmp_path: Path):
    result = run("init", tmp_path)
    checkout = Path(__file__).resolve().parents[2]
    assert (tmp_path / "requirements.txt").read_text() == f"costlens-policy @ {checkout.as_uri()}\n"
    assert "which only this machine has" in result.stderr
    assert "`init --force --install SPEC`" in result.stderr


@pytest.mark.parametrize(
    ("told", "checkout", "line"),
    [
        (None, False, f"costlens-policy=={__version__}"),
        ("not JSON", False, f"costlens-policy=={__version__}"),
        (
            '{"url": "https://git.example.com/c", "vcs_info": {"vcs": "git", "commit_id": "abc"}}',
            False,
            "costlens-policy @ git+https://git.example.com/c@abc",
        ),
        (
            '{"url": "https://example.com/c.whl", "archive_info": {}}',
            False,
            "costlens-policy @ https://example.com/c.whl",
        ),
        ('{"url": "file:///a/c.whl", "archive_info": {}}', False, "costlens-policy @ file:///a/c.whl"),
        ('{"url": "file:///a/elsewhere", "dir_info": {}}', True, "costlens-policy @ file://"),
    ],
)
def test_the_installer_notes_the_origin(tmp_path: Path, monkeypatch, told, checkout, line):
    (tmp_path / "costlens_policy").mkdir()
    if checkout:
        (tmp_path / "pyproject.toml").touch()
    monkeypatch.setattr("costlens_policy.__file__", str(tmp_path / "costlens_policy" / "__init__.py"))
    monkeypatch.setattr("importlib.metadata.distribution", lambda _: SimpleNamespace(read_text=lambda _: told))
    assert installed_origin().requirement.startswith(line)


@pytest.mark.parametrize(
    ("spec", "line"),
    [
        ("0.2.0", "costlens-policy==0.2.0"),
        ("1.0rc1", "costlens-policy==1.0rc1"),
        ("costlens-policy>=0.2,<1", "costlens-policy>=0.2,<1"),
        ("costlens-policy[redis]==1", "costlens-policy[redis]==1"),
        ("git+https://git.example.com/c@v1", "costlens-policy @ git+https://git.example.com/c@v1"),
        ("git+ssh://git@example.com/c", "costlens-policy @ git+ssh://git@example.com/c"),
        ("https://example.com/c-1-py3-none-any.whl", "costlens-policy @ https://example.com/c-1-py3-none-any.whl"),
        ("vendor/c.whl", "./vendor/c.whl"),
    ],
)
def test_an_origin_can_be_chosen(run, tmp_path: Path, monkeypatch, spec, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / "c.whl").touch()
    result = run("init", ".", "--install", spec)
    assert result.exit_code == 0
    assert (tmp_path / "requirements.txt").read_text() == f"{line}\n"
    assert "no other machine" not in result.stderr


def test_a_path_of_this_machine_is_told(run, tmp_path: Path):
    (tmp_path / "c.whl").touch()
    result = run("init", tmp_path / "new", "--install", tmp_path / "c.whl")
    assert (tmp_path / "new" / "requirements.txt").read_text() == f"costlens-policy @ {(tmp_path / 'c.whl').as_uri()}\n"
    assert "which only this machine has" in result.stderr


@pytest.mark.parametrize("spec", ["nowhere", "../nowhere", "", "other-package==1"])
def test_an_origin_that_is_none_is_refused(run, tmp_path: Path, monkeypatch, spec):
    monkeypatch.chdir(tmp_path)
    result = run("init", "new", "--install", spec)
    assert result.exit_code == 6
    assert not (tmp_path / "new").exists()


def test_warnings_stop_what_the_starter_runs():
    files = starter_files()
    for name in (".github/workflows/policies.yml", ".pre-commit-config.yaml"):
        (line,) = (line for line in files[name].splitlines() if "costlens-policy check" in line)
        assert "--strict" in line


def test_the_readme_has_no_placeholders(starter: Path):
    text = (starter / "README.md").read_text()
    assert "$$" not in text
    assert "$ costlens-policy check ." in text
