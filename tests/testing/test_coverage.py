from __future__ import annotations

from collections.abc import Callable

from costlens_policy.testing import Run
from costlens_policy.testing.coverage import RuleCoverage

RunText = Callable[..., Run]


def rules_of(run: Run) -> dict[str, RuleCoverage]:
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
    assert rules["spend/team-monthly@0.5"].why == "in no case does spend come to 0.5 of `spend/team-monthly`"


def test_what_is_never_reached_says_what_decides_before(run_text: RunText) -> None:
    body = """cases:
  - {name: a, request: {tags: [secret]}, expect: {effect: allow}}
  - {name: b, request: {tags: [secret], prompt: x}, expect: {effect: allow}}
"""
    rules = rules_of(run_text(body))
    assert rules["routing/review"].why == "no case reaches it: `routing/secrets-stay` always matches first"
    assert (rules["routing/review"].not_reached, rules["routing/review"].matched) == (2, 0)


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
    assert {rule.why for name, rule in rules.items() if "@" not in name} == {"no case comes to a decision"}


def test_rules_know_their_place(run_text: RunText) -> None:
    rule = rules_of(run_text("cases: [{name: a, expect: {effect: allow}}]"))["routing/review"]
    assert rule.span is not None
    assert (rule.span.file, rule.span.start.line, rule.kind) == ("routing.yaml", 13, "route")
