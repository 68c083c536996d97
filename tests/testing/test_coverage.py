"""Thresholds in coverage: each is active or not, wherever the decision came from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from costlens_policy.testing import Run
from costlens_policy.testing.coverage import Item

RunText = Callable[..., Run]


def rules_of(run: Run) -> dict[str, Item]:
    assert not run.diagnostics
    return {rule.rule: rule for coverage in run.coverage for rule in coverage.rules}


def test_what_never_holds_says_in_how_many_cases(run_text: RunText) -> None:
    body = """cases:
  - {name: a, request: {team: core}, expect: {effect: allow}}
  - {name: b, request: {team: core, prompt: x}, expect: {effect: allow}}
"""
    rules = rules_of(run_text(body))
    assert rules["access/no-guests"].why == "its condition does not hold in any of the 2 cases that reach it"
    assert (rules["access/no-guests"].was_true, rules["access/no-guests"].was_false) == (0, 2)
    assert rules["spend/team-monthly"].covered
    assert rules["spend/team-monthly@0.5"].why == "no case spends 0.5 of `spend/team-monthly`"


def test_what_is_never_reached_says_what_decides_before(run_text: RunText) -> None:
    body = """cases:
  - {name: a, request: {tags: [secret]}, expect: {effect: allow}}
  - {name: b, request: {tags: [secret], prompt: x}, expect: {effect: allow}}
"""
    rules = rules_of(run_text(body))
    assert rules["routing/review"].why == "no case reaches it: `routing/secrets-stay` always matches first"
    assert (rules["routing/review"].not_reached, rules["routing/review"].count) == (2, 0)


def test_several_rules_that_decide_before_are_counted(run_text: RunText) -> None:
    body = """cases:
  - {name: a, request: {tags: [secret]}, expect: {effect: allow}}
  - {name: b, request: {tags: [secret], prompt: x}, expect: {effect: allow}}
  - {name: c, request: {team: guests}, expect: {effect: deny}}
"""
    why = rules_of(run_text(body))["routing/review"].why
    assert (
        why
        == "no case reaches it: `routing/secrets-stay` (2 cases) and `access/no-guests` (1 case) always decide first"
    )


def test_behind_a_refusal_nothing_is_asked(run_text: RunText) -> None:
    rules = rules_of(run_text("cases: [{name: a, request: {team: guests}, expect: {effect: deny}}]"))
    assert rules["routing/review"].why == "no case reaches it: `access/no-guests` always decides first"
    assert rules["prompts/concise"].why == "no case reaches it: the request is always refused under `access/no-guests`"


def test_without_decisions_nothing_is_covered(run_text: RunText) -> None:
    rules = rules_of(run_text("cases: [{name: a, request: {tier: gold}, expect: {request_error: tier}}]"))
    assert {rule.why for name, rule in rules.items() if "@" not in name} == {"no case reaches a decision"}


def test_rules_know_their_place(run_text: RunText) -> None:
    rule = rules_of(run_text("cases: [{name: a, expect: {effect: allow}}]"))["routing/review"]
    assert rule.span is not None
    assert (rule.span.file, rule.span.start.line, rule.kind) == ("routing.yaml", 13, "route")


SPEND = """\
apiVersion: costlens-policy/v1
kind: Policy
metadata: {name: spend, version: "1"}
budgets:
"""


def thresholds_of(run: Run) -> dict[str, Item]:
    assert {item.code for item in run.diagnostics} <= {"CL618"}, run.diagnostics  # a balance may have no effect
    assert run.exit_code == 0, [(item.case.name, item.differences) for item in run.results]
    return {rule.rule: rule for coverage in run.coverage for rule in coverage.rules if rule.kind == "threshold"}


def counted(run: Run) -> dict[str, tuple[int, int, int]]:
    """Return of each threshold in how many cases it was active, was not, and was not asked."""
    return {
        name: (threshold.was_true, threshold.was_false, threshold.not_reached)
        for name, threshold in thresholds_of(run).items()
    }


def one_case(used: str, expect: str, request: str = "team: core") -> str:
    return f"""cases:
  - name: a
    request: {{{request}, prompt: hello, task: review, tier: premium, prompt_tokens: 1000}}
    balances: [{{budget: team-monthly, key: core, used: {used}}}]
    expect: {expect}
"""


@pytest.mark.parametrize(
    ("used", "expect", "half", "most"),
    [
        ("1", "{model: large}", (0, 1, 0), (0, 1, 0)),
        ("5", "{model: large, alerts: [spend/team-monthly]}", (1, 0, 0), (0, 1, 0)),
        ("8", "{model: small, excluded: {large: its threshold at 0.8}}", (1, 0, 0), (1, 0, 0)),
        ("10", "{effect: deny}", (1, 0, 0), (1, 0, 0)),
    ],
)
def test_each_threshold_is_active_or_not(
    used: str, expect: str, half: tuple[int, ...], most: tuple[int, ...], run_text: RunText
) -> None:
    assert counted(run_text(one_case(used, expect))) == {
        "spend/team-monthly@0.5": half,
        "spend/team-monthly@0.8": most,
    }


def test_a_threshold_of_a_budget_that_does_not_count_is_not_asked(run_text: RunText) -> None:
    run = run_text(one_case("9", "{model: large}", request="team: null"))
    assert counted(run)["spend/team-monthly@0.8"] == (0, 0, 1)
    assert thresholds_of(run)["spend/team-monthly@0.8"].why == "no case counts against `spend/team-monthly`"


def test_a_threshold_counts_where_it_took_out_the_only_model_that_reached_it(company: Path, run_text: RunText) -> None:
    (company / "spend.yaml").write_text(
        SPEND
        + """\
  - id: team-monthly
    when: model.name == "large"
    scope: 'request.?team.orValue("")'
    hard_limit_usd: 10
    window: {calendar: month}
    thresholds: [{at_ratio: 0.5, downgrade: {models: [small]}}]
"""
    )
    run = run_text(one_case("5", "{model: small, excluded: {large: is past its threshold at 0.5}}"))
    assert counted(run) == {"spend/team-monthly@0.5": (1, 0, 0)}


def test_a_threshold_counts_whose_rewrite_made_the_call_too_small_to_reach_it(company: Path, run_text: RunText) -> None:
    (company / "spend.yaml").write_text(
        SPEND
        + """\
  - id: team-monthly
    scope: request.team
    hard_limit_tokens: 1000000
    window: {calendar: month}
    thresholds: [{at_ratio: 0.5, rewrite: [{clamp_params: {max_output_tokens: {max: 10}}}]}]
"""
    )
    run = run_text(one_case("498900", "{params: {max_output_tokens: 10}, rewrites: [spend/team-monthly]}"))
    assert counted(run) == {"spend/team-monthly@0.5": (1, 0, 0)}


def test_thresholds_in_shadow_and_soft_limits_count_too(company: Path, run_text: RunText) -> None:
    (company / "spend.yaml").write_text(
        SPEND
        + """\
  - id: team-monthly
    scope: request.team
    hard_limit_usd: 10
    soft_limit_usd: 4
    window: {calendar: month}
    shadow: true
    thresholds: [{at_ratio: 0.3, alert: a third}, {at_ratio: 0.9, downgrade: {models: [small]}}]
"""
    )
    thresholds = thresholds_of(run_text(one_case("9", "{model: large}")))
    assert {name: threshold.was_true for name, threshold in thresholds.items()} == {
        "spend/team-monthly@4": 1,
        "spend/team-monthly@0.3": 1,
        "spend/team-monthly@0.9": 1,
    }
    lines = {name: threshold.span and threshold.span.start.line for name, threshold in thresholds.items()}
    assert lines == {"spend/team-monthly@4": 8, "spend/team-monthly@0.3": 11, "spend/team-monthly@0.9": 11}


@pytest.mark.parametrize(
    ("thresholds", "holds"),
    [
        ("[spend/team-monthly@0.5, spend/team-monthly@0.8]", True),
        ("[spend/team-monthly@0.8]", True),
        ("[spend/team-monthly@0.8, spend/team-monthly@0.5]", False),
        ("[]", False),
    ],
)
def test_the_active_thresholds_can_be_expected(thresholds: str, holds: bool, run_text: RunText) -> None:
    (result,) = run_text(one_case("8", f"{{thresholds: {thresholds}}}")).results
    assert [item.path for item in result.differences] == ([] if holds else ["thresholds"])


def test_no_threshold_can_be_expected(run_text: RunText) -> None:
    assert run_text(one_case("1", "{thresholds: []}")).exit_code == 0
    (result,) = run_text(one_case("1", "{thresholds: [spend/team-monthly@0.5]}")).results
    assert [(item.path, item.actual) for item in result.differences] == [("thresholds", [])]


def test_exact_names_every_threshold_of_the_list(run_text: RunText) -> None:
    expect = "{model: small, excluded: {large: past}, alerts: [spend/team-monthly], thresholds: [%s], exact: true}"
    (result,) = run_text(one_case("8", expect % "spend/team-monthly@0.8")).results
    assert [item.path for item in result.differences] == ["thresholds"]


def test_a_threshold_that_does_not_exist_is_an_error(run_text: RunText) -> None:
    (diagnostic,) = run_text(one_case("8", "{thresholds: [spend/team-monthly@0.85]}")).diagnostics
    assert (diagnostic.code, diagnostic.message) == ("CL602", "unknown threshold `spend/team-monthly@0.85`")
    assert diagnostic.help == "did you mean `spend/team-monthly@0.8`?"
