"""The checks as a whole: each has its file and code, right policies stay silent, and nothing crashes them."""

from __future__ import annotations

import inspect
import os
import re
import shutil
from datetime import date
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from costlens_policy.assurance.findings import FINDINGS, Find
from costlens_policy.checker import check, check_all
from costlens_policy.checker.checks import CHECKS, Check
from costlens_policy.diagnostics.codes import CODES
from tests.checker.repository import codes, write

ROOT: Final = Path(__file__).parents[2]
DAY: Final = date(2026, 11, 1)
SETS: Final = [ROOT / "policies", *sorted(path.parent for path in ROOT.glob("examples/*/policy-set.yaml"))]


def test_one_check_is_one_file_and_one_code() -> None:
    of_checks, of_findings = ([_code_of(function) for function in listed] for listed in (CHECKS, FINDINGS))
    assert of_checks == sorted(of_checks)
    assert of_findings == sorted(of_findings)
    of_examination = ["CL491"]
    assert sorted([*of_checks, *of_findings, *of_examination]) == sorted(code for code in CODES if code[:3] == "CL4")


def _code_of(function: Check | Find) -> str:
    module = Path(inspect.getfile(function))
    (code,) = re.findall(r'Finding\("(CL\d+)"\)', module.read_text())
    assert f'"""{code}: ' in module.read_text(), module.name
    return code


@pytest.mark.parametrize(
    "condition",
    [
        'model.?provider.orValue("") == "acm"',
        'model.?family.orValue("x") in ["acm"]',
        '"acm" != model.?base.orValue("")',
    ],
)
def test_a_fact_that_no_model_has_is_told_behind_a_default_too(tmp_path: Path, condition: str) -> None:
    policy = f"on_error: deny\naccess: [{{id: a, when: '{condition}', effect: deny, reason: no}}]"
    assert "CL422" in codes(write(tmp_path, policy))


@pytest.mark.parametrize("folder", SETS, ids=lambda path: path.name)
def test_our_own_policies_are_without_fault(folder: Path) -> None:
    assert [(item.code, item.message) for item in check_all(folder, on=date(2026, 12, 1)).diagnostics] == []


@pytest.mark.parametrize(
    "policy",
    [
        # Conditions that exclude each other.
        """
        rewrites:
          - {id: a, when: 'request.?team.orValue("") == "a"', apply: [{prefix: {text: "A "}}]}
          - {id: b, when: 'request.?team.orValue("") == "b"', apply: [{prefix: {text: "B "}}]}
        """,
        # Bounds, additions and redactions build on each other.
        """
        rewrites:
          - {id: a, apply: [{clamp_params: {temperature: {max: 0.9}}}, {system: {text: Be kind.}}]}
          - {id: b, apply: [{clamp_params: {temperature: {max: 0.5}}}, {system: {text: Be brief.}}]}
          - {id: c, apply: [{redact: {kinds: [email]}}, {trim_history: {max_prompt_tokens: 900}}]}
          - {id: d, apply: [{redact: {kinds: [phone]}}, {trim_history: {max_prompt_tokens: 500}}]}
        """,
        # A merge on either of the two.
        """
        rewrites:
          - {id: a, merge: min, apply: [{set_params: {temperature: 0.9}}]}
          - {id: b, apply: [{set_params: {temperature: 0.5}}]}
        """,
        # Overlapping routes, none of which covers the other.
        """
        routes:
          - {id: a, when: request.?prompt_tokens.orValue(0) > 100, model: small}
          - {id: b, when: request.?prompt_tokens.orValue(0) > 50, model: large}
          - {id: c, when: 'request.?prompt_tokens.orValue(0) > 10 && has(request.user)', model: small}
        """,
        # A condition that cannot fail may be skipped.
        """
        on_error: skip
        access:
          - {id: a, when: 'has(request.tags) && "trial" in request.tags', effect: deny, reason: not for trials}
        """,
        # What the rule's condition knows to be there may be read in the rest of the rule.
        """
        routes:
          - id: a
            when: has(request.user)
            split: {key: request.user, targets: [{model: small, weight: 1}, {model: large, weight: 1}]}
        budgets:
          - id: b
            when: has(request.team)
            scope: request.team
            hard_limit_usd: 5
            window: {calendar: week, week_start: sunday}
        """,
        # An unknown fact excludes a model from a choice, which is what its author wants.
        """
        routes:
          - id: a
            choose: {among: 'has(request.region) && request.region in model.regions', minimize: estimate.cost_usd}
            fallbacks: [small]
        """,
    ],
)
def test_what_is_right_is_left_alone(tmp_path: Path, policy: str) -> None:
    assert codes(write(tmp_path, policy)) == []


def test_the_day_decides_on_prices_and_models(tmp_path: Path) -> None:
    write(tmp_path, "routes: [{id: a, model: later}]")
    text = (tmp_path / "catalogue.yaml").read_text()
    later = "  later: {prices: [{effective: 2027-01-01, usd_per_million_tokens: {input: 1, output: 1}}]}\n"
    (tmp_path / "catalogue.yaml").write_text(text + later)
    assert [item.code for item in check(tmp_path, on=DAY).warnings] == ["CL409"]
    assert check(tmp_path, on=date(2027, 1, 1)).warnings == ()


LINES: Final = [
    "  - id: x", "routes:", "budgets: []", "    when: request.team", "on_error: skip", "    model: 5", "  : :", "\t",
    "    when: 'variables.x && '", "kind: Catalogue", "  a: &b [*b]", "    window: {calendar: month}", "---", "é\u202e",
]  # fmt: skip


@settings(
    max_examples=1_000 if os.environ.get("COSTLENS_SOAK") else 25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_damaged_policies_never_crash(tmp_path: Path, data: st.DataObject) -> None:
    folder = tmp_path / "damaged"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "policies", folder)
    for path in data.draw(
        st.lists(st.sampled_from(sorted(folder.glob("*.yaml"))), min_size=1, max_size=3, unique=True)
    ):
        lines = path.read_text().splitlines()
        for _ in range(data.draw(st.integers(1, 4))):
            place = data.draw(st.integers(0, len(lines) - 1))
            other = data.draw(st.sampled_from(["", lines[place][:-1], lines[place][1:], *LINES, *lines]))
            lines[place : place + data.draw(st.integers(0, 2))] = [other]
            lines = lines or [""]
        path.write_text("\n".join(lines) + "\n")
    assert all(item.message for item in check_all(folder, on=DAY).diagnostics)


@pytest.mark.parametrize(
    ("declared", "reported"),
    [
        ("[small, large]", []),
        ("[small, best-of-all]", []),
        ("[small, acme/small]", ["CL428"]),
        ("", ["CL428"]),
    ],
)
def test_names_of_models_that_cannot_be_spelled_otherwise(tmp_path: Path, declared: str, reported: list[str]) -> None:
    values = f", values: {declared}" if declared else ""
    attributes = f"attributes: {{model: {{type: string, required: true, trusted: true{values}}}}}\n"
    policy = """
    on_error: deny
    access: [{id: a, when: request.model == "small", effect: deny, reason: r}]
    """
    assert [code for code in codes(write(tmp_path, policy, attributes)) if code == "CL428"] == reported
