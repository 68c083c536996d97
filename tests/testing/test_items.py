"""What is covered beside rules: outcomes, operands, models, shares, overflows, downgrades, and their minimums."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from costlens_policy.diagnostics.model import Severity
from costlens_policy.testing import Run, run_suites
from costlens_policy.testing.coverage import Item, Measure, Reach, parsed_minimums

RunText = Callable[..., Run]

POLICY = """\
apiVersion: costlens-policy/v1
kind: Policy
metadata: {name: routing, version: "1"}
"""


def items_of(run: Run, measure: Measure) -> dict[str, Item]:
    assert not any(item.severity is Severity.ERROR for item in run.diagnostics), run.diagnostics
    return {item.name: item for coverage in run.coverage for item in coverage.of(measure)}


def write(company: Path, rules: str, name: str = "routing") -> None:
    (company / f"{name}.yaml").write_text(POLICY.replace("name: routing", f"name: {name}") + rules)


def cases(*requests: str) -> str:
    lines = [f"  - {{name: c{n}, request: {request}, expect: {{errors: []}}}}" for n, request in enumerate(requests)]
    return "\n".join(["cases:", *lines])


TWO = 'routes: [{id: r, when: request.task == "a" && request.team == "b", model: large}]'
BOTH, FIRST, SECOND, NEITHER = (
    f"{{task: {task}, team: {team}}}" for task, team in (("a", "b"), ("a", "x"), ("x", "b"), ("x", "x"))
)


@pytest.mark.parametrize(
    ("requests", "covered"),
    [
        ([BOTH], set()),
        ([BOTH, NEITHER], set()),
        ([BOTH, FIRST], {2}),
        ([BOTH, SECOND], {1}),
        ([BOTH, FIRST, SECOND], {1, 2}),
        ([FIRST, SECOND], set()),
    ],
)
def test_an_operand_decides_alone(company: Path, run_text: RunText, requests: list[str], covered: set[int]) -> None:
    write(company, TWO)
    found = items_of(run_text(cases(*requests)), Measure.MCDC)
    operands = [item for item in found.values() if item.rule == "routing/r"]
    assert {n for n, item in enumerate(operands, 1) if item.covered} == covered


def test_an_operand_that_guards_another_decides_where_it_fails(company: Path, run_text: RunText) -> None:
    write(company, 'routes: [{id: r, when: has(request.task) && request.task == "a", model: large}]')
    found = items_of(run_text(cases("{task: a}", "{}")), Measure.MCDC)
    guard, guarded = (item for item in found.values() if item.rule == "routing/r")
    assert guard.covered
    assert guarded.why == "it is false in no case"


def test_both_branches_of_a_conditional_are_operands(company: Path, run_text: RunText) -> None:
    write(
        company,
        'routes: [{id: r, when: \'has(request.task) ? request.task == "a" : request.team == "b"\', model: large}]',
    )
    requests = ("{task: a, team: x}", "{task: x, team: x}", "{team: b}", "{team: x}")
    found = items_of(run_text(cases(*requests)), Measure.MCDC)
    assert [item.covered for item in found.values() if item.rule == "routing/r"] == [True, True, True]


def test_a_variable_is_one_operand_and_a_condition_of_its_own(company: Path, run_text: RunText) -> None:
    variables = 'variables: {near: \'request.task == "a" || request.task == "b"\'}\n'
    write(company, variables + 'routes: [{id: r, when: variables.near && request.team == "b", model: large}]')
    found = items_of(run_text(cases("{task: a, team: b}", "{task: x, team: b}", "{task: a, team: x}")), Measure.MCDC)
    assert {name: item.covered for name, item in found.items() if name.startswith("routing/")} == {
        'routing/variables.near operand 1 `request.task == "a"`': True,
        'routing/variables.near operand 2 `request.task == "b"`': False,
        "routing/r operand 1 `variables.near`": True,
        'routing/r operand 2 `request.team == "b"`': True,
    }


def test_a_condition_that_fails_shows_nothing(company: Path, run_text: RunText) -> None:
    write(company, 'routes: [{id: r, when: request.task == "a" && request.team == "b", model: large}]')
    body = cases("{task: a}").replace("errors: []", "effect: allow")
    found = items_of(run_text(body), Measure.CONDITIONS)
    assert [item.count for item in found.values() if item.rule == "routing/r"] == [0, 0]


def test_models_and_shares_of_routes(company: Path, run_text: RunText) -> None:
    write(
        company,
        """\
routes:
  - id: r
    when: has(request.task)
    split:
      key: request.user
      targets:
        - {id: one, weight: 1, model: large, fallbacks: [small]}
        - {id: two, weight: 1, model: small}
""",
    )
    run = run_text(cases("{task: a, user: u1}", "{task: a, user: u3}"), explain=True)
    shares = items_of(run, Measure.SHARES)
    models = items_of(run, Measure.MODELS)
    assert set(shares) == {"routing/r share `one`", "routing/r share `two`"}
    assert set(models) == {
        "routing/r candidate `large` of `one`",
        "routing/r fallback `small` of `one`",
        "routing/r candidate `small` of `two`",
    }
    missing = [item for item in (*shares.values(), *models.values()) if not item.covered]
    assert all(item.reach is Reach.REQUEST for item in missing)


def test_downgrades_and_overflows(company: Path, run_text: RunText) -> None:
    write(
        company,
        """\
budgets:
  - id: team
    scope: '""'
    hard_limit_usd: 10
    window: {calendar: month}
    overflow: all
    thresholds: [{at_ratio: 0.5, downgrade: {models: [small]}}]
  - {id: all, scope: '""', hard_limit_usd: 100, window: {calendar: month}}
""",
        "spend",
    )
    run = run_text(cases("{task: review, tier: premium}"), explain=True)
    (downgrade,) = items_of(run, Measure.DOWNGRADES).values()
    (overflow,) = items_of(run, Measure.OVERFLOWS).values()
    assert (downgrade.name, downgrade.reach) == ("spend/team@0.5 excludes", Reach.REQUEST)
    assert (overflow.name, overflow.reach) == ("spend/team to `spend/all`", Reach.REQUEST)
    assert overflow.witnesses[0].decision.overflowed


def test_what_no_request_can_show_does_not_count(company: Path, run_text: RunText) -> None:
    write(
        company,
        """\
routes:
  - {id: first, when: request.task == "a", model: small}
  - {id: second, when: request.task == "a" && request.team == "b", model: large}
""",
    )
    body = cases("{task: a, team: b}", "{task: x, team: b}", "{task: x, team: x}")
    run = run_text("covers: [routing]\n" + body, explain=True)
    items = {item.name: item for item in run.coverage[0].items}
    assert items["routing/second"].reach is Reach.NO_REQUEST
    assert items["routing/second true"].reach is Reach.NO_REQUEST
    assert run.coverage[0].percent == 100


def test_a_minimum_is_held_against_what_requests_can_show(company: Path, run_text: RunText) -> None:
    write(
        company,
        """\
routes:
  - {id: first, when: request.task == "a", model: small}
  - {id: second, when: request.task == "a", model: large}
""",
    )
    body = "covers: [routing]\n" + cases("{task: a, team: b}", "{task: x, team: b}")
    assert run_text(body, min_coverage=100).exit_code == 0
    assert run_text("coverage: {rules: 100, conditions: 100}\n" + body).exit_code == 0


@pytest.mark.parametrize(
    ("minimums", "shortfalls"),
    [
        ({"rules": 100}, []),
        ({"mcdc": 100}, [("mcdc", 100, 0)]),
        ({"conditions": 75, "mcdc": 1}, [("conditions", 75, 50), ("mcdc", 1, 0)]),
    ],
)
def test_each_measure_may_have_a_minimum(
    company: Path, run_text: RunText, minimums: dict[str, int], shortfalls: list[tuple[str, int, int]]
) -> None:
    write(company, TWO)
    run = run_text("covers: [routing]\n" + cases(BOTH), min_coverage=minimums)
    assert [(str(item.measure), item.required, item.reached) for item in run.shortfalls] == shortfalls
    assert run.exit_code == (5 if shortfalls else 0)


def test_minimums_of_a_suite(company: Path, run_text: RunText) -> None:
    write(company, TWO)
    run = run_text("covers: [routing]\ncoverage: {mcdc: 50}\n" + cases(BOTH))
    assert [(item.where, str(item.measure)) for item in run.shortfalls] == [("trial", "mcdc")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rules=100,mcd=9", "unknown measure `mcd`; did you mean `mcdc`?"),
        ("101", "a minimum must be an integer from 0 to 100, got `101`"),
        ("rules=ten", "a minimum must be an integer from 0 to 100, got `ten`"),
        ("rules=1,rules=2", "`rules` has two minimums"),
        ("", "a minimum must be an integer from 0 to 100, got ``"),
    ],
)
def test_minimums_that_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parsed_minimums(text)


def test_suggested_cases_pass_and_cover_what_they_promise(company: Path, run_text: RunText) -> None:
    body = cases("{task: summary}")
    before = run_text(body, explain=True)
    (suggested,) = before.suggestions
    (company / "more_test.yaml").write_text(suggested.written(company))
    after = run_suites(["."], explain=True)
    assert after.exit_code == 0, [(item.case.name, item.differences, item.notes) for item in after.results]
    covered = {item.name for item in after.coverage[0].items if item.covered}
    promised = {item.name for item in before.coverage[0].items if item.covered or item.reach is Reach.REQUEST}
    assert promised == covered
    assert {item.reach for item in after.coverage[0].items if not item.covered} <= {Reach.NO_REQUEST, Reach.UNDECIDED}
    assert len(suggested.cases) < len(promised)
