"""``test`` through the program: each exit code, each format, watching."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.cli.conftest import PROGRAM, hear_ctrl_c


@pytest.fixture
def failing(starter: Path) -> Path:
    """A starter in which one route goes elsewhere than its suite says."""
    path = starter / "policies" / "routing.yaml"
    path.write_text(
        path.read_text().replace("model: house-summarizer\n    fallbacks: [gpt-5-nano]", "model: gpt-5-nano")
    )
    return starter


def test_all_pass(run, starter: Path):
    result = run("test", starter)
    assert result.exit_code == 0
    assert "0 failed" not in result.stdout
    assert "passed" in result.stdout


def test_a_failing_case(run, failing: Path):
    result = run("test", failing)
    assert result.exit_code == 4
    assert "FAILED" in result.stdout
    assert "house-summarizer" in result.stdout


def test_coverage_below_the_threshold(run, starter: Path):
    assert run("test", starter, "--min-coverage", "100").exit_code == 0
    result = run("test", starter, "--min-coverage", "100", "--filter", "summaries")
    assert result.exit_code == 5
    assert "100 % are required" in result.stdout


def test_a_failing_case_wins_over_coverage(run, failing: Path):
    assert run("test", failing, "--min-coverage", "100").exit_code == 4


def test_an_invalid_suite(run, starter: Path):
    path = starter / "policies" / "access_test.yaml"
    path.write_text(path.read_text().replace("access/too-long", "access/too-lang"))
    result = run("test", starter)
    assert result.exit_code == 1
    assert "CL602" in result.stdout
    assert "did you mean" in result.stdout


def test_an_invalid_policy(run, starter: Path):
    path = starter / "policies" / "routing.yaml"
    path.write_text(path.read_text().replace("routes:", "routez:"))
    assert run("test", starter).exit_code == 1


def test_nothing_to_run(run, tmp_path: Path, starter: Path):
    result = run("test", tmp_path / "starter" / "schemas")
    assert result.exit_code == 3
    assert "nothing to run" in result.output
    assert run("test", starter, "--filter", "no such case").exit_code == 3


def test_missing_path(run, starter: Path):
    result = run("test", starter / "nope_test.yaml")
    assert result.exit_code == 6
    assert "there is no file" in result.output


def test_filter(run, starter: Path):
    result = run("test", starter, "--filter", "paying")
    assert result.exit_code == 0
    assert "paying customers" in result.stdout
    assert "summaries stay" not in result.stdout


def test_json(run, failing: Path):
    result = run("test", failing, "--format", "json")
    assert result.exit_code == 4
    assert json.loads(result.stdout)


def test_tap(run, failing: Path):
    lines = run("test", failing, "--format", "tap").stdout.splitlines()
    assert any(line.startswith("not ok ") for line in lines)
    assert any(line.startswith("1..") for line in lines)


def test_github(run, failing: Path):
    assert "::error " in run("test", failing, "--format", "github").stdout


def test_junit_beside_the_report(run, failing: Path, tmp_path: Path):
    result = run("test", failing, "--junit", tmp_path / "reports" / "tests.xml")
    assert result.exit_code == 4
    assert "FAILED" in result.stdout
    root = ET.parse(tmp_path / "reports" / "tests.xml").getroot()
    assert root.findall(".//failure")


@pytest.mark.parametrize("option", ["--junit", "--lcov", "--cobertura", "--html"])
def test_reports_never_overwrite_what_is_read(run, starter: Path, option: str):
    before = {path: path.read_bytes() for path in starter.rglob("*") if path.is_file()}
    for path in before:
        if path.suffix in (".yaml", ".json"):
            result = run("test", starter, option, path)
            assert (result.exit_code, "must name a file of its own" in result.stderr) == (6, True), path
    assert {path: path.read_bytes() for path in before} == before


def test_junit_that_cannot_be_written(run, starter: Path):
    result = run("test", starter, "--junit", starter)
    assert result.exit_code == 6
    assert "cannot be written: is a directory" in result.stderr


def test_coverage_table(run, starter: Path):
    result = run("test", starter, "--coverage")
    assert "rules of starter" in result.stdout
    row = next(line for line in result.stdout.splitlines() if line.startswith("routing/routine"))
    assert "yes" in row


def test_coverage_table_in_another_format(run, starter: Path):
    result = run("test", starter, "--coverage", "--format", "tap")
    assert result.exit_code == 2
    assert "`--coverage` needs `--format pretty` or `--format json`" in result.stderr


def test_what_is_not_covered_is_listed_with_a_request(run, starter: Path):
    result = run("test", starter, "--coverage")
    listed = [line for line in result.stdout.splitlines() if "not covered: " in line]
    assert len(listed) == len([line for line in result.stdout.splitlines() if line.startswith("    covered by {")])


def leave_one_case(starter: Path) -> Path:
    """Replace the suites by one with a single case; return its file."""
    for file in starter.rglob("*_test.yaml"):
        file.unlink()
    (policy_set,) = starter.rglob("policy-set.yaml")
    suite = policy_set.parent / "one_test.yaml"
    suite.write_text(
        'apiVersion: costlens-policy/v1\nkind: Suite\nmetadata: {name: one, version: "1"}\n'
        "policy_set: policy-set.yaml\nnow: 2026-11-02T12:00:00Z\n"
        "cases: [{name: a, request: {prompt: hello}, expect: {errors: []}}]\n"
    )
    return suite


def test_suggested_cases_are_a_suite_that_passes(run, starter: Path):
    target = leave_one_case(starter).parent / "missing_test.yaml"
    result = run("test", starter, "--suggest", "-o", target)
    assert result.stdout == ""
    assert " would cover " in result.stderr
    assert run("test", starter, "--min-coverage", "rules=100,conditions=100,mcdc=100").exit_code == 0
    assert run("test", starter, "--suggest").stderr.startswith("nothing is missing")


def test_cases_are_suggested_where_there_is_no_suite(run, starter: Path):
    for suite in starter.rglob("*_test.yaml"):
        suite.unlink()
    target = starter / "first_test.yaml"
    result = run("test", starter, "--suggest", "-o", target)
    assert (result.exit_code, result.stdout) == (0, "")
    assert " would cover " in result.stderr
    assert run("test", starter, "--min-coverage", "rules=100").exit_code == 0
    empty = starter / "empty"
    empty.mkdir()
    assert run("test", empty, "--suggest").exit_code == 3


def test_a_folder_that_is_missing_is_refused_before_anything_runs(run, starter: Path):
    result = run("test", starter, "--suggest", "-o", starter / "nothing" / "x_test.yaml")
    assert result.exit_code == 2
    assert "its folder does not exist" in result.stderr


def test_suggestions_are_printed_alone(run, starter: Path):
    leave_one_case(starter)
    result = run("test", starter, "--suggest")
    assert result.stdout.startswith("apiVersion: costlens-policy/v1\nkind: Suite\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--suggest", "--watch"], "goes with neither"),
        (["--suggest", "--format", "json"], "goes with neither"),
        (["-o", "x.yaml"], "`--output` needs `--suggest`"),
        (["--min-coverage", "mcdd=1"], "unknown measure `mcdd`; did you mean `mcdc`?"),
    ],
)
def test_options_of_coverage_that_do_not_fit(run, starter: Path, arguments: list[str], message: str):
    result = run("test", starter, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_coverage_is_written_to_files(run, starter: Path, tmp_path: Path):
    files = {name: tmp_path / f"coverage.{name}" for name in ("lcov", "cobertura", "html")}
    options = [item for name, file in files.items() for item in (f"--{name}", file)]
    assert run("test", starter, *options).exit_code == 0
    begins = {name: file.read_text().partition("\n")[0] for name, file in files.items()}
    assert begins == {
        "lcov": "TN:policies",
        "cobertura": '<?xml version="1.0" encoding="UTF-8"?>',
        "html": "<!DOCTYPE html>",
    }


def test_watch_runs_again_after_a_change_and_ends_with_ctrl_c(starter: Path):
    env = os.environ | {"PYTHONUNBUFFERED": "1"}
    running = subprocess.Popen(
        [*PROGRAM, "test", str(starter), "--watch"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=env,
        preexec_fn=hear_ctrl_c,
    )
    assert running.stderr is not None
    try:
        assert running.stderr.readline() == b"watching for changes; Ctrl-C stops\n"
        path = starter / "policies" / "routing.yaml"
        path.write_text(path.read_text() + "# changed\n")
        assert b"routing.yaml` changed" in running.stderr.readline()
        assert running.stderr.readline() == b"watching for changes; Ctrl-C stops\n"
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 130
    finally:
        running.kill()
        running.communicate(timeout=60)


def test_mutants(run, starter: Path):
    result = run("test", starter, "--mutate", "--no-cache", "--rule", "*/on_error")
    assert result.exit_code == 0
    assert "mutation score" in result.stdout
    _forget_the_length_of_answers(starter)
    result = run(
        "test", starter, "--mutate", "--no-cache", "--rule", "default", "--min-score", "100", "--format", "json"
    )
    assert json.loads(result.stdout)["exit_code"] == result.exit_code == 5


def _forget_the_length_of_answers(starter: Path) -> None:
    suite = starter / "policies" / "routing_test.yaml"
    suite.write_text(suite.read_text().replace("      params: {max_output_tokens: 1024}\n", ""))


def test_cases_that_kill(run, starter: Path, tmp_path: Path):
    _forget_the_length_of_answers(starter)
    target = starter / "policies" / "more_test.yaml"
    score = ("test", starter, "--mutate", "--no-cache", "--rule", "default")
    before = json.loads(run(*score, "--format", "json").stdout)["counts"]["killed"]
    assert run(*score, "--suggest", "-o", target).exit_code == 0
    assert run("test", starter).exit_code == 0
    assert json.loads(run(*score, "--format", "json").stdout)["counts"]["killed"] > before


def test_recorded_requests(run, starter: Path, tmp_path: Path):
    log = tmp_path / "requests.jsonl"
    log.write_text('{"prompt": "hi"}\n[]\n')
    result = run("test", starter, "--record", log)
    assert result.exit_code == 2
    assert "kind: Suite" in result.stdout
    assert "line 2 is left out" in result.stderr
    assert run("test", starter, "--record", tmp_path / "none").exit_code == 6
    log.write_text("")
    assert run("test", starter, "--record", log).exit_code == 3


def test_random_requests(run, starter: Path):
    result = run("test", starter, "--fuzz", "--runs", "20", "--seed", "5")
    assert result.exit_code == 0
    assert "20 requests with seed 5" in result.stdout
    assert json.loads(run("test", starter, "--fuzz", "--runs", "5", "--format", "json").stdout)["tried"] == 5


@pytest.mark.parametrize(
    "options",
    [
        ("--mutate", "--fuzz"),
        ("--seed", "1"),
        ("--min-score", "5"),
        ("--mutate", "--watch"),
        ("--fuzz", "--suggest"),
        ("--mutate", "--format", "tap"),
        ("--record", "-", "--format", "json"),
        ("--mutate", "--suggest", "--format", "json"),
        ("--mutate", "--suggest", "-o", "no/such/folder/a_test.yaml"),
        ("--mutate", "-o", "x"),
    ],
)
def test_options_that_do_not_fit(run, starter: Path, options: tuple[str, ...]):
    assert run("test", starter, *options).exit_code == 2
