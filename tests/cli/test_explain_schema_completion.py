"""The commands that only tell something."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from costlens_policy.diagnostics.codes import CODES
from costlens_policy.schema import schema_texts
from tests.cli.conftest import PROGRAM

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("word", ["CL008", "cl008", "duplicate-key"])
def test_explain_prints_the_page(run, word):
    result = run("explain", word)
    assert result.exit_code == 0
    assert result.stdout == (ROOT / "docs" / "codes" / "CL008.md").read_text()


def test_explain_in_json(run):
    page = json.loads(run("explain", "CL008", "--format", "json").stdout)
    assert page["name"] == "duplicate-key"
    assert page["page"].startswith("# CL008")


def test_explain_lists_all_codes(run):
    lines = run("explain").stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(CODES)
    listed = json.loads(run("explain", "--format", "json").stdout)
    assert [item["code"] for item in listed] == list(CODES)


@pytest.mark.parametrize("code", CODES)
def test_every_code_can_be_explained(run, code):
    result = run("explain", code)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"# {code}: ")


def test_schema_prints_one(run):
    assert run("schema", "policy").stdout == schema_texts()["policy.v1.json"]


def test_schema_lists_all(run):
    assert run("schema").stdout.split() == [name.partition(".")[0] for name in schema_texts()]


def test_schema_writes(run, tmp_path: Path):
    result = run("schema", "--write", tmp_path / "new" / "schemas")
    assert result.exit_code == 0
    written = {path.name: path.read_text() for path in (tmp_path / "new" / "schemas").iterdir()}
    assert written == schema_texts()


def test_schema_writes_one(run, outside_git: Path):
    assert run("schema", "suite", "--write", outside_git).exit_code == 0
    assert [path.name for path in outside_git.iterdir()] == ["suite.v1.json"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_schema_without_permission(run, tmp_path: Path):
    tmp_path.chmod(0o500)
    result = run("schema", "--write", tmp_path / "schemas")
    assert result.exit_code == 6
    assert "permission denied" in result.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(run, shell):
    result = run("completion", shell)
    assert result.exit_code == 0
    assert "_COSTLENS_POLICY_COMPLETE" in result.stdout
    assert "costlens-policy" in result.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_accepts_the_script(run):
    subprocess.run(["bash", "-n"], input=run("completion", "bash").stdout.encode(), check=True, timeout=60)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("costlens-policy ch", "check"),
        ("costlens-policy explain CL00", "CL008"),
        ("costlens-policy schema pol", "policy-set"),
        ("costlens-policy catalogue ", "list"),
        ("costlens-policy check --for", "--format"),
    ],
)
def test_completes(words, expected):
    env = os.environ | {
        "_COSTLENS_POLICY_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1),
    }  # fmt: skip
    done = subprocess.run([*PROGRAM], capture_output=True, env=env, timeout=60, check=False)
    assert f"plain,{expected}" in done.stdout.decode().split()


def test_python_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "costlens_policy", "--version"], capture_output=True, timeout=60, check=True
    )
    assert done.stdout.startswith(b"costlens-policy ")
