"""What the repository says to other programs: hooks for its users, and the releases of Python it is for."""

from __future__ import annotations

import shlex
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from click.testing import CliRunner

from costlens_policy.cli.app import app
from tests.conftest import ROOT

HOOKS: Final[list[dict[str, Any]]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))


@pytest.fixture
def starter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "policies"
    assert CliRunner().invoke(app, ["init", str(folder)]).exit_code == 0
    monkeypatch.chdir(folder)
    return folder


def _run(hook: dict[str, Any]) -> int:
    program, *arguments = shlex.split(hook["entry"]) + hook["args"]
    assert program == "costlens-policy"
    return CliRunner().invoke(app, arguments).exit_code


def test_there_is_a_hook_for_all_that_ci_does(starter: Path) -> None:
    config = yaml.safe_load((starter / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [hook["id"] for hook in HOOKS] == [hook["id"] for hook in config["repos"][0]["hooks"]]


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_a_hook_accepts_what_is_right_and_fails_on_what_is_not(hook: dict[str, Any], starter: Path) -> None:
    assert _run(hook) == 0
    policy = starter / "policies" / "routing.yaml"
    policy.write_text(policy.read_text(encoding="utf-8").replace("request.tier", "request.teir"), encoding="utf-8")
    if hook["id"] != "costlens-policy-fmt":
        assert _run(hook) != 0
    policy.write_text("apiVersion: costlens-policy/v1\nkind: Policy\nroutes: [\n", encoding="utf-8")
    assert _run(hook) != 0


def test_ci_runs_the_releases_of_python_that_the_package_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [item.rpartition(" ")[2] for item in project["classifiers"] if " :: Python :: 3." in item]
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yaml").read_text(encoding="utf-8"))
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python-version"] == named
    assert project["requires-python"] == f">={named[0]}"
