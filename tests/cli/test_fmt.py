"""``fmt`` through the program."""

from __future__ import annotations

from pathlib import Path

import pytest

UGLY = """\
kind: Policy
apiVersion: costlens-policy/v1
metadata: {name: a, version: "1"}
routes:
- id: one   # keep me
  model: gpt-5
"""


@pytest.fixture
def ugly(tmp_path: Path) -> Path:
    path = tmp_path / "ugly.yaml"
    path.write_text(UGLY)
    return path


def test_formats_in_place(run, ugly: Path):
    result = run("fmt", ugly)
    assert result.exit_code == 0
    assert result.stdout == f"{ugly}\n"
    assert result.stderr == "1 file formatted, 0 unchanged\n"
    text = ugly.read_text()
    assert text.startswith("apiVersion:")
    assert "# keep me" in text
    again = run("fmt", ugly)
    assert again.stdout == ""
    assert ugly.read_text() == text


def test_leaves_a_formatted_file_untouched(run, ugly: Path):
    run("fmt", ugly)
    before = ugly.stat()
    run("fmt", ugly)
    after = ugly.stat()
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)


@pytest.mark.parametrize("options", [["--check"], ["--diff"], ["--check", "--diff"]])
def test_check_and_diff_write_nothing(run, ugly: Path, options):
    result = run("fmt", *options, ugly)
    assert result.exit_code == (1 if "--check" in options else 0)
    assert ugly.read_text() == UGLY
    assert ("+++" in result.stdout) == ("--diff" in options)
    assert "1 file not formatted" in result.stderr


def test_stdin(run):
    result = run("fmt", "-", input=UGLY)
    assert result.exit_code == 0
    assert result.stdout.startswith("apiVersion:")
    assert run("fmt", "-", "--check", input=UGLY).exit_code == 1
    assert run("fmt", "-", "--check", input=result.stdout).exit_code == 0
    assert "+apiVersion" in run("fmt", "-", "--diff", input=UGLY).stdout


def test_stdin_beside_paths(run, ugly: Path):
    result = run("fmt", "-", ugly)
    assert result.exit_code == 2
    assert "`-` cannot be combined with other paths" in result.stderr


def test_stdin_with_errors(run):
    result = run("fmt", "-", input="a: 1\na: 2\n")
    assert result.exit_code == 1
    assert "error[CL008]" in result.stderr
    assert "<stdin>:2:1" in result.stderr
    assert "2 | a: 2" in result.stderr
    assert result.stdout == ""


def test_other_files_in_folders_are_left_alone(run, tmp_path: Path, ugly: Path):
    other = tmp_path / "other.yaml"
    other.write_text("b:   [1,2]\na: 1\n")
    hidden = tmp_path / ".github" / "x.yaml"
    hidden.parent.mkdir()
    hidden.write_text(UGLY)
    result = run("fmt", tmp_path)
    assert result.stdout == f"{ugly}\n"
    assert other.read_text() == "b:   [1,2]\na: 1\n"
    assert hidden.read_text() == UGLY


def test_one_bad_file_does_not_keep_the_others_from_being_formatted(run, tmp_path: Path, ugly: Path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("apiVersion: costlens-policy/v1\nkind: [\n")
    result = run("fmt", tmp_path)
    assert result.exit_code == 1
    assert "bad.yaml:" in result.stderr
    assert ugly.read_text() != UGLY
    assert bad.read_text() == "apiVersion: costlens-policy/v1\nkind: [\n"


def test_nothing_to_format(run, tmp_path: Path):
    result = run("fmt", tmp_path)
    assert result.exit_code == 3
    assert "no policy file in" in result.stderr


def test_missing_file(run, tmp_path: Path):
    (tmp_path / "policy.yaml").write_text(UGLY)
    result = run("fmt", tmp_path / "polcy.yaml")
    assert result.exit_code == 6
    assert "there is no file" in result.stderr
    assert "did you mean" in result.stderr


def test_a_link_is_written_through(run, tmp_path: Path, ugly: Path):
    link = tmp_path / "link.yaml"
    link.symlink_to(ugly)
    assert run("fmt", link).exit_code == 0
    assert link.is_symlink()
    assert ugly.read_text().startswith("apiVersion")


def test_the_same_file_twice(run, ugly: Path):
    result = run("fmt", ugly, ugly, ugly.parent)
    assert result.stdout == f"{ugly}\n"
