"""The plugin of pytest, run by pytest itself in a project of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

SUITE = """
apiVersion: costlens-policy/v1
kind: Suite
metadata: {name: s, version: "1"}
policy_set: policy-set.yaml
now: 2026-06-01T12:00:00Z
cases:
  - name: the default serves
    request: {prompt: Hello}
    expect: {model: nano}
  - name: another is expected
    request: {prompt: Hello}
    expect: {model: mini}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with a policy set and a suite, of which one case fails."""
    from tests.guard.company import write_company

    write_company(tmp_path / "policies", "routes: []")
    (tmp_path / "policies" / "company_test.yaml").write_text(SUITE, encoding="utf-8")
    (tmp_path / "policies" / "load_test.yaml").write_text("kind: SomethingElse\n", encoding="utf-8")
    (tmp_path / "test_code.py").write_text("def test_code(): pass\n", encoding="utf-8")
    return tmp_path


def run_pytest(folder: Path, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-p", "costlens_policy.integrations.pytest_plugin", *arguments]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", "--rootdir", str(folder), "-c", "/dev/null", str(folder)],
        capture_output=True,
        text=True,
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        check=False,
    )
    return done.returncode, done.stdout


def test_each_case_is_a_test(project: Path) -> None:
    code, output = run_pytest(project, "-v", "--junit-xml", "junit.xml")
    assert code == 1
    assert "policies/company_test.yaml::the default serves PASSED" in output
    assert "policies/company_test.yaml::another is expected FAILED" in output
    assert "1 failed, 2 passed" in output
    assert "failed: another is expected" in output
    assert "decided: allow, nano, by `default`" in output
    assert "company_test.yaml:11:" in output
    assert "Traceback" not in output
    assert "another is expected" in (project / "junit.xml").read_text(encoding="utf-8")


def test_cases_are_selected_like_tests(project: Path) -> None:
    code, output = run_pytest(project, "-k", "serves")
    assert (code, "1 passed, 2 deselected" in output) == (0, True)


def test_a_suite_that_cannot_run_is_an_error(project: Path) -> None:
    suite = project / "policies" / "company_test.yaml"
    suite.write_text(SUITE.replace("expect: {model: mini}", "expect: {modle: mini}"), encoding="utf-8")
    code, output = run_pytest(project)
    assert code == 2
    assert "did you mean `model`" in output
    assert "Traceback" not in output


def test_coverage_that_a_suite_demands(project: Path) -> None:
    shutil.copytree(project / "policies", project / "more")
    (project / "more" / "company_test.yaml").write_text(
        SUITE.replace("now:", "coverage: 100\nnow:").replace("{model: mini}", "{model: nano}"), encoding="utf-8"
    )
    policy = project / "more" / "p.yaml"
    policy.write_text(
        policy.read_text(encoding="utf-8").replace(
            "routes: []", "on_error: skip\nroutes: [{id: r, when: request.prompt == 'x', model: mini}]"
        ),
        encoding="utf-8",
    )
    code, output = run_pytest(project, "more")
    assert code == 1, output
    assert "company_test.yaml::coverage" in output
