"""Each format as a golden file, and what other tools need of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from costlens_policy.testing import Run, RunFormat, render, run_suites

RunText = Callable[..., Run]
Golden = Callable[[Path, str], None]

GOLDEN = Path(__file__).parent / "golden"

MIXED = """\
coverage: 90
fixtures:
  review: {task: review, prompt: "Is this right?", prompt_tokens: 1000}
cases:
  - name: reviews get the small model
    fixtures: [review]
    expect: {model: small}
  - name: premium reviews get the small model, too
    fixtures: [review]
    request: {tier: premium}
    expect:
      effect: allow
      model: small
      fallbacks: [small, local]
      rule: routing/review
      reasons: [saves money, matches]
      estimate: {max_cost_usd: 0.01, cost_usd: 0.02}
      params: {temperature: 0.2, max_output_tokens: null}
  - name: 'the prompt is # not \\ what it seems'
    request:
      task: summary
      prompt: |
        First line.
        Second line.
    expect:
      prompt: |
        Always respond concisely. First line.
        Another line.
      system: {contains: [concise]}
  - name: secrets are reviewed
    request: {tags: [secret], task: review, prompt: x}
    targets: [routing/review]
    expect: {effect: allow}
  - name: gold users may call
    request: {tier: gold}
    expect: {effect: allow}
  - name: guests are refused
    request: {team: guests, prompt: x}
    expect: {effect: allow}
"""

BROKEN = """\
cases:
  - name: a typing error
    request: {tsak: review}
    expect: {model: lagre}
"""


@pytest.mark.parametrize("format", RunFormat)
@pytest.mark.parametrize(("name", "body"), [("mixed", MIXED), ("broken", BROKEN)], ids=["mixed", "broken"])
def test_formats(format: RunFormat, name: str, body: str, run_text: RunText, golden: Golden) -> None:
    golden(GOLDEN / f"{name}.{format}.txt", render(run_text(body), format))


def test_a_run_that_passes(run_text: RunText, golden: Golden) -> None:
    body = "covers: [access]\ncases: [{name: a, request: {team: guests}, expect: {effect: deny}}]"
    golden(GOLDEN / "passed.pretty.txt", render(run_text(body)))


def test_colors_only_when_asked(run_text: RunText, golden: Golden) -> None:
    run = run_text(MIXED)
    plain, colored = render(run), render(run, color=True)
    assert "\x1b" not in plain
    assert colored.count("\x1b[") > 20
    for format in set(RunFormat) - {RunFormat.PRETTY}:
        assert "\x1b" not in render(run, format, color=True)


@pytest.mark.parametrize("format", RunFormat)
def test_an_empty_run_says_so(format: RunFormat, company: Path, run_text: RunText) -> None:
    text = render(run_suites(["."]), format)
    if format in ("pretty", "tap", "github"):
        assert "no suite in `.`" in text
    text = render(run_text(MIXED, filter="nothing like this"), format)
    if format in ("pretty", "tap", "github"):
        assert "no case matches the filter `nothing like this`" in text


def test_junit_counts_and_places(run_text: RunText) -> None:
    root = ET.fromstring(render(run_text(MIXED), "junit"))
    suites = {node.get("name"): node for node in root}
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("7", "5", "1")
    assert suites.keys() == {"trial", "coverage"}
    cases = suites["trial"].findall("testcase")
    assert {node.get("file") for node in cases} == {"trial_test.yaml"}
    assert [node.get("line") for node in cases][:2] == ["10", "13"]
    assert all(float(node.get("time", "")) > 0 for node in cases)


def test_junit_survives_any_text(run_text: RunText) -> None:
    body = r'cases: [{name: "a\x07\uFFFE<&\"", request: {prompt: "\x1b"}, expect: {prompt: "\x00<![CDATA["}}]'
    root = ET.fromstring(render(run_text(body), "junit"))
    assert root[0].find("testcase") is not None


def test_json_names_every_rule(run_text: RunText) -> None:
    data = json.loads(render(run_text(MIXED), "json"))
    (coverage,) = data["coverage"]
    rules = [rule["rule"] for policy in coverage["policies"] for rule in policy["rules"]]
    assert rules[:3] == ["access/no-guests", "access/no-bots", "routing/secrets-stay"]
    assert data["counts"] == {"passed": 1, "failed": 3, "vacuous": 1, "error": 1}
    assert data["exit_code"] == 4


def test_tap_has_a_plan_at_each_level(run_text: RunText) -> None:
    lines = render(run_text(MIXED), "tap").splitlines()
    assert lines[:2] == ["TAP version 14", "1..2"]
    points = [line for line in lines if line.startswith(("    ok ", "    not ok "))]
    assert f"    1..{len(points)}" in lines
