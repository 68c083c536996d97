"""Optional attributes: when a read is guarded, and when it is reported."""

from __future__ import annotations

import pytest

from costlens_policy.diagnostics.model import Severity
from costlens_policy.expressions import analyze, present_when_true
from tests.expressions.front_end.attributes import ENVIRONMENT


def unguarded(text: str, present: frozenset[tuple[str, ...]] = frozenset()) -> list[str]:
    analyzed = analyze(text, ENVIRONMENT, present=present)
    assert analyzed.typed is not None, analyzed.problems
    assert all(problem.severity is Severity.WARNING and problem.code == "CL314" for problem in analyzed.problems)
    return [text[problem.extent.start : problem.extent.end] for problem in analyzed.problems]


@pytest.mark.parametrize(
    "text",
    [
        "has(request.team) && request.team == 'a'",
        "request.team == 'a' && has(request.team)",
        "has(request.team) && (request.stream || request.team == 'a')",
        "!has(request.team) || request.team == 'a'",
        "!(has(request.team) && request.stream) || request.team == 'a'",
        "has(request.team) ? request.team == 'a' : true",
        "!has(request.team) ? true : request.team == 'a'",
        "!!has(request.team) && request.team == 'a'",
        "(has(request.team) ? request.stream : false) && request.team == 'a'",
        "(has(request.team) || has(request.team)) && request.team == 'a'",
        "has(request.team) && ['a'].exists(x, x == request.team)",
        "has(request.team) && cel.bind(t, request.team, t == 'a')",
        "request.?team.orValue('') == 'a'",
        "request.?session.id.orValue('') == 'a'",
        "request.metadata.get('a', 1) == 1",
        "request.metadata.inner.get('a', 1) == 1",
        "request.metadata.get('a', {}).get('b', 1) == 1",
        "request.messages.all(m, has(m.content) && m.content == '')",
        "has(request.session) && has(request.session.parent) && request.session.parent == 'a'",
        "'a' in request.metadata && request.metadata['a'] == 1",
        "request.model == 'a'",
        "has(request.team)",
        "has(request.team) == true && request.team == 'a'",
        "true == has(request.team) && request.team == 'a'",
        "has(request.team) != false && request.team == 'a'",
        "has(request.team) == false || request.team == 'a'",
        "!(has(request.team) == false) && request.team == 'a'",
        "request.messages.map(m, has(m.content), m.content).size() > 0",
        "request.messages.transformList(i, m, has(m.content), m.content).size() > 0",
        "request.?session.parent.hasValue() && request.session.parent == 'a'",
        "request.?session.?parent.hasValue() && request.session.parent == 'a'",
        "request.?session.parent.optMap(p, request.session.parent == p).orValue(false)",
        "request.?team.orValue('') == 'a' && request.team != 'b'",
        "request.?team.orValue('') in ['a'] && request.team != 'b'",
        "request.?team.orValue('a') == 'a' || request.team == 'b'",
        "'a' == request.?team.orValue('') ? request.team == 'a' : true",
        "request.?team.orValue('').size() > 0 && request.team == 'a'",
        "request.?team.orValue('').startsWith('a') && request.team == 'a'",
        "request.?cost_budget.orValue(0.0) > 1.0 && request.cost_budget < 5.0",
        "request.?session.?parent.orValue('') == 'a' && request.session.parent == 'a'",
        "'a' in request.?metadata.orValue({}) && request.metadata.a == 'b'",
        "request.?metadata.orValue({}).get('a', '') == 'b' && request.metadata.a == 'b'",
        "request.metadata.get('a', '') == 'b' && request.metadata.a == 'b'",
        "{'free': 1, 'pro': 2}[request.tier] == 1",
    ],
)
def test_a_guarded_read_is_fine(text: str) -> None:
    assert unguarded(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("request.team == 'a'", ["team"]),
        ("request.?team.orValue('') != 'b' && request.team == 'a'", ["team"]),
        ("request.?team.orValue('a') in ['a', 'b'] && request.team == 'a'", ["team"]),
        ("request.?team.orValue('') == 'a' || request.team == 'b'", ["team"]),
        ("request.?team.orValue('').contains('') && request.team == 'a'", ["team"]),
        ("request.?team.orValue('a') == request.?session.parent.orValue('b') && request.team == 'a'", ["team"]),
        ("request.?cost_budget.orValue(9.0) > 1.0 && request.cost_budget < 5.0", ["cost_budget"]),
        ("'a' in request.?metadata.orValue({'a': 1}) && request.metadata.a == 'b'", ["a"]),
        ("{'free': 1}[request.tier] == 1", ["request.tier"]),
        ("has(request.team) == false && request.team == 'a'", ["team"]),
        ("has(request.team) != true && request.team == 'a'", ["team"]),
        ("has(request.team) == request.stream && request.team == 'a'", ["team"]),
        ("request.metadata['a'] == 1", ["'a'"]),
        ("request.messages.map(m, !has(m.content), m.content).size() > 0", ["content"]),
        ("request.?session.id.hasValue() && request.session.parent == 'a'", ["parent"]),
        ("has(request.team) || request.team == 'a'", ["team"]),
        ("!has(request.team) && request.team == 'a'", ["team"]),
        ("has(request.team) ? true : request.team == 'a'", ["team"]),
        ("(has(request.team) || request.stream) && request.team == 'a'", ["team"]),
        ("has(request.cost_budget) && request.team == 'a'", ["team"]),
        ("(has(request.team) && request.stream) || request.team == 'a'", ["team"]),
        ("request.team == 'a' || request.team == 'b'", ["team"]),
        ("request.team == 'a' ? request.team : ''", ["team"]),
        ("request.messages.exists(m, m.content == '')", ["content"]),
        ("has(request.messages[0].content) && request.messages.all(m, m.content == '')", ["content"]),
        ("has(request.session.parent)", ["session"]),
        ("has(request.session) && request.session.parent == 'a'", ["parent"]),
        ("has(request.team) && [request].exists(request, request.team == 'a')", ["team"]),
        ("[request.team, request.cost_budget].size() > 0", ["team", "cost_budget"]),
    ],
)
def test_an_unguarded_read_is_reported_once(text: str, expected: list[str]) -> None:
    assert unguarded(text) == expected


def test_what_an_earlier_condition_asked_for_counts() -> None:
    condition = analyze("has(request.team) && request.stream", ENVIRONMENT).typed
    assert condition is not None
    assert unguarded("request.team == 'a'", present_when_true(condition)) == []
    assert unguarded("request.cost_budget > 1.0", present_when_true(condition)) == ["cost_budget"]


def test_the_help_shows_both_ways_out() -> None:
    (problem,) = analyze("request.cost_budget > 1.0", ENVIRONMENT).problems
    assert "has(request.cost_budget) && …" in problem.help
    assert "request.?cost_budget.orValue(0.0)" in problem.help
