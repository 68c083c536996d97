from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest

from costlens_policy.testing import CaseOutcome, Run, render, run_suites
from costlens_policy.testing.compare import ABSENT
from costlens_policy.testing.run import watch
from tests.testing.conftest import COMPANY, HEAD

RunText = Callable[..., Run]

FAILING = """\
  - id: fails
    when: request.metadata["missing"] == "x"
    effect: deny
    reason: never
"""


def only(run: Run) -> tuple[CaseOutcome, list[tuple[str, object, object]], tuple[str, ...]]:
    """Return the outcome of the only case, its differences and its notes."""
    assert not run.diagnostics
    (result,) = run.results
    return result.outcome, [(item.path, item.expected, item.actual) for item in result.differences], result.notes


def test_the_companys_own_suite_passes_and_covers_everything() -> None:
    run = run_suites([COMPANY])
    assert not run.diagnostics
    assert [result.case.name for result in run.results if not result.passed] == []
    assert run.counts()[CaseOutcome.PASSED] == 13
    assert [coverage.percent for coverage in run.coverage] == [100]
    assert run.exit_code == 0


def test_a_case_that_differs_fails(run_text: RunText) -> None:
    run = run_text("cases: [{name: a, request: {task: review, prompt: x}, expect: {model: large, rule: default}}]")
    differences = [("model", "large", "small"), ("rule", "default", "routing/review")]
    assert only(run) == (CaseOutcome.FAILED, differences, ())
    assert run.exit_code == 4


def test_a_request_that_is_refused_is_an_error(run_text: RunText) -> None:
    run = run_text("cases: [{name: a, request: {tier: gold}, expect: {effect: allow}}]")
    outcome, differences, (note,) = only(run)
    assert (outcome, differences) == (CaseOutcome.ERROR, [])
    assert note.startswith("invalid request: `tier` must be one of")
    assert run.exit_code == 4


def test_a_refusal_can_be_expected(run_text: RunText) -> None:
    body = "cases: [{name: a, request: {teem: core}, expect: {request_error: unknown attribute `teem`}}]"
    assert only(run_text(body))[0] is CaseOutcome.PASSED
    body = "cases: [{name: a, request: {teem: core}, expect: {request_error: something else}}]"
    assert only(run_text(body))[0] is CaseOutcome.FAILED
    body = "cases: [{name: a, request: {team: core}, expect: {request_error: unknown}}]"
    assert only(run_text(body))[1] == [("request_error", "unknown", ABSENT)]


def test_a_target_that_was_never_asked_makes_a_case_vacuous(run_text: RunText) -> None:
    body = """cases:
  - name: a
    request: {tags: [secret], task: review, prompt: x}
    targets: [routing/review]
    expect: {model: local}
"""
    note = "`routing/review` was never evaluated: `routing/secrets-stay` matches first"
    run = run_text(body)
    assert only(run) == (CaseOutcome.VACUOUS, [], (note,))
    assert run.exit_code == 4


def test_an_expected_rule_that_was_never_asked_is_explained(run_text: RunText) -> None:
    run = run_text("cases: [{name: a, request: {team: guests}, expect: {rule: routing/review}}]")
    outcome, differences, notes = only(run)
    assert outcome is CaseOutcome.FAILED
    assert differences == [("rule", "routing/review", "access/no-guests")]
    assert notes == ("`routing/review` was never evaluated: `access/no-guests` decides first",)


def test_every_rule_that_refused_can_be_the_expected_one(run_text: RunText) -> None:
    body = """cases:
  - {name: a, request: {team: guests, user: bot-1}, expect: {rule: access/no-bots}}
  - {name: b, request: {team: guests, user: bot-1}, expect: {rule: access/no-guests}}
"""
    assert run_text(body).exit_code == 0


OVERFLOWS = """\
apiVersion: costlens-policy/v1
kind: Policy
metadata: {name: access, version: "1.0.0"}
budgets:
  - {id: quota, hard_limit_usd: 1, window: {calendar: day}, overflow: shared}
  - {id: shared, hard_limit_usd: 1, window: {calendar: day}}
  - {id: other, hard_limit_usd: 100, window: {calendar: day}}
"""
FULL = "{budget: access/quota, used: 1}"


def overflow_suite(company: Path, expect: str, *balances: str) -> str:
    (company / "access.yaml").write_text(OVERFLOWS)
    return f"""cases:
  - name: a
    request: {{prompt: x, prompt_tokens: 1000}}
    balances: [{", ".join(balances)}]
    expect: {expect}
"""


@pytest.mark.parametrize(
    ("balances", "expect"),
    [
        ((FULL,), "{effect: allow, overflowed: [access/quota]}"),
        ((), "{effect: allow, overflowed: []}"),
        ((FULL, FULL.replace("quota", "shared")), "{effect: deny, rule: access/quota}"),
        ((FULL, FULL.replace("quota", "shared")), "{effect: deny, rule: access/shared, overflowed: []}"),
    ],
)
def test_overflows_can_be_expected(balances: tuple[str, ...], expect: str, company: Path, run_text: RunText) -> None:
    assert only(run_text(overflow_suite(company, expect, *balances)))[:2] == (CaseOutcome.PASSED, [])


@pytest.mark.parametrize(
    ("expect", "difference"),
    [
        ("{overflowed: []}", ("overflowed", [], ["access/quota"])),
        ("{overflowed: [access/shared]}", ("overflowed", ["access/shared"], ["access/quota"])),
        ("{effect: allow, exact: true}", ("overflowed", [], ["access/quota"])),
    ],
)
def test_an_overflow_that_is_not_expected_is_a_difference(
    expect: str, difference: tuple[str, object, object], company: Path, run_text: RunText
) -> None:
    outcome, differences, _ = only(run_text(overflow_suite(company, expect, FULL)))
    assert outcome is CaseOutcome.FAILED
    assert difference in differences


def test_a_budget_with_room_did_not_refuse(company: Path, run_text: RunText) -> None:
    body = overflow_suite(company, "{rule: access/other}", FULL, FULL.replace("quota", "shared"))
    assert only(run_text(body))[0] is CaseOutcome.FAILED


def test_an_expected_overflow_is_a_budget(company: Path, run_text: RunText) -> None:
    (problem,) = run_text(overflow_suite(company, "{overflowed: [access/qouta]}", FULL)).diagnostics
    assert problem.code == "CL604"


def test_exact_refuses_what_is_not_named(run_text: RunText) -> None:
    body = """cases:
  - name: a
    request: {task: summary, prompt: x, params: {top_p: 0.5}}
    expect: {effect: allow, exact: true}
"""
    _, differences, _ = only(run_text(body))
    assert differences == [
        ("rewrites", [], ["prompts/concise"]),
        ("params.temperature", ABSENT, pytest.approx(0.2)),
    ]


@pytest.mark.parametrize(
    ("expect", "path"),
    [
        ("{rewrites: []}", "rewrites"),
        ("{alerts: []}", "alerts"),
        ("{excluded: {}}", "excluded.large"),
        ("{errors: []}", "errors"),
    ],
)
def test_an_empty_list_expects_none(expect: str, path: str, company: Path, run_text: RunText) -> None:
    policy = (company / "access.yaml").read_text()
    (company / "access.yaml").write_text(
        policy.replace("on_error: deny", "on_error: skip") + FAILING.replace("deny", "allow")
    )
    body = f"""cases:
  - name: a
    request: {{team: core, tier: premium, task: review, prompt: hello, prompt_tokens: 1000, metadata: {{}}}}
    balances: [{{budget: team-monthly, key: core, used: 9}}]
    expect: {expect}
"""
    rewrite = (company / "prompts.yaml").read_text().replace('"summary"', '"review"')
    (company / "prompts.yaml").write_text(rewrite)
    outcome, differences, _ = only(run_text(body))
    assert outcome is CaseOutcome.FAILED
    assert [difference[0] for difference in differences] == [path]


def test_an_expectation_always_names_something(run_text: RunText) -> None:
    for expect in ("{}", "{exact: true}", "{prompt: {}}", "{estimate: {}}", "{params: {}}", "{reasons: []}"):
        run = run_text(f"cases: [{{name: a, expect: {expect}}}]")
        assert len(run.diagnostics) == 1, expect
        assert run.exit_code == 1


def test_a_suite_is_not_run_while_something_is_wrong_with_it(run_text: RunText) -> None:
    run = run_text("cases: [{name: a, expect: {model: lagre}}, {name: b, expect: {effect: allow}}]")
    assert [item.code for item in run.diagnostics] == ["CL603"]
    assert not list(run.results)
    assert run.exit_code == 1


def test_a_policy_set_that_is_wrong_is_reported_once(company: Path) -> None:
    (company / "routing.yaml").write_text("apiVersion: costlens-policy/v1\nkind: Policy\nroutes: []\n")
    for name in ("a", "b"):
        suite = HEAD.replace("trial", name) + "cases: [{name: a, expect: {effect: allow}}]"
        (company / f"{name}_test.yaml").write_text(suite)
    run = run_suites(["."])
    assert [item.code for item in run.diagnostics] == ["CL104"]
    assert run.lines_of("routing.yaml") is not None
    assert run.exit_code == 1


@pytest.mark.usefixtures("outside_git")
def test_a_policy_set_outside_of_the_repository_is_out_of_reach(company: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text("x")
    for reference in ("../secret.yaml", "link.yaml", str(tmp_path / "secret.yaml")):
        (company / "link.yaml").unlink(missing_ok=True)
        (company / "link.yaml").symlink_to("../secret.yaml")
        suite = HEAD.replace("policy-set.yaml", reference) + "cases: [{name: a, expect: {effect: allow}}]"
        (company / "trial_test.yaml").write_text(suite)
        assert [item.code for item in run_suites(["trial_test.yaml"]).diagnostics] == ["CL204"]


@pytest.mark.usefixtures("outside_git")
def test_a_suite_that_is_a_link_out_of_the_repository_is_not_read(company: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text("password: 1\n")
    (company / "link_test.yaml").symlink_to("../secret.yaml")
    run = run_suites(["."])
    assert [item.code for item in run.diagnostics] == ["CL204"]
    assert "password" not in render(run)


def test_nothing_to_run(company: Path, run_text: RunText) -> None:
    assert run_suites(["."]).exit_code == 3
    run = run_text("cases: [{name: a, expect: {effect: allow}}]", filter="b")
    assert (run.exit_code, run.found) == (3, 1)


def test_a_path_that_does_not_exist_is_an_error(company: Path) -> None:
    run = run_suites(["nowhere_test.yaml"])
    assert [item.code for item in run.diagnostics] == ["CL001"]
    assert run.exit_code == 6


@pytest.mark.parametrize(
    ("filter", "names"),
    [
        ("MAY NOT", ["guests may not call", "bots may not call"]),
        ("bots*", ["bots may not call"]),
        ("company_test.yaml: g*", ["guests may not call"]),
        ("*/company_test.yaml: guests may not cal?", ["guests may not call"]),
    ],
)
def test_a_filter_keeps_cases_by_file_and_name(filter: str, names: list[str]) -> None:
    run = run_suites([COMPANY], filter=f"*{filter}" if filter.startswith("company") else filter)
    assert [result.case.name for result in run.results] == names
    assert run.exit_code == 0, "a suite's own threshold is not applied to a part of it"


def test_suites_hide_in_other_files_too(company: Path) -> None:
    suite = HEAD + "cases: [{name: a, expect: {effect: allow}}]\n"
    (company / "everything.yaml").write_text((company / "catalogue.yaml").read_text() + "---\n" + suite)
    (company / ".hidden").mkdir()
    (company / ".hidden" / "x_test.yaml").write_text("not: a suite")
    run = run_suites(["."])
    assert [suite.file for suite in run.suites] == ["everything.yaml"]


def test_time_is_fixed_or_given(run_text: RunText) -> None:
    head = HEAD.replace("now: 2026-11-01T12:00:00Z\n", "")
    body = "cases: [{name: a, request: {team: core}, expect: {effect: allow}}]"
    assert [item.code for item in run_text(body, head=head).diagnostics] == ["CL610"]
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    (result,) = run_text(body, head=head, now=moment).results
    assert result.case.now == moment
    body = "cases: [{name: a, now: 2026-11-02T00:00:00Z, request: {team: core}, expect: {effect: allow}}]"
    assert run_text(body, head=head).exit_code == 0


def test_thresholds(run_text: RunText) -> None:
    body = "cases: [{name: a, request: {team: guests}, expect: {effect: deny}}]"
    run = run_text("coverage: 100\ncovers: [access]\n" + body)
    assert [(item.where, item.required, item.reached) for item in run.shortfalls] == [("trial", 100, 50)]
    assert run.exit_code == 5
    assert run_text("coverage: 50\ncovers: [access]\n" + body).exit_code == 0
    run = run_text("covers: [access]\n" + body, min_coverage=51)
    assert [(item.where, item.required, item.reached) for item in run.shortfalls] == [("", 51, 50)]


def test_a_policy_set_is_loaded_once_and_covered_together(company: Path) -> None:
    for name, policy in (("a", "access"), ("b", "prompts")):
        suite = HEAD.replace("trial", name) + f"covers: [{policy}]\n"
        (company / f"{name}_test.yaml").write_text(suite + "cases: [{name: a, expect: {effect: allow}}]")
    (coverage,) = run_suites(["."]).coverage
    assert [policy.policy for policy in coverage.policies] == ["access", "prompts"]


def test_a_change_leads_to_a_new_run(company: Path, run_text: RunText) -> None:
    run_text("cases: [{name: a, request: {task: review}, expect: {model: small}}]")
    edits: list[Callable[[], object]] = [
        lambda: None,
        lambda: _edit(company / "routing.yaml", "model: small", "model: large"),
        lambda: (company / "new_test.yaml").write_text("apiVersion: x"),
        lambda: (company / "new_test.yaml").unlink(),
    ]
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        edits.pop(0)()

    events = watch(["."], lambda: run_suites(["."]), interval=0.1, sleep=sleep)
    seen = [(event.changed, event.run.exit_code) for event in islice(events, 4)]
    assert seen == [((), 0), (("routing.yaml",), 4), (("new_test.yaml",), 1), (("new_test.yaml",), 4)]
    assert waits == [0.1] * 4


def test_files_beside_the_policies_count_too(company: Path, run_text: RunText) -> None:
    run_text("cases: [{name: a, expect: {effect: allow}}]")
    (company / "suites").mkdir()
    suite = (company / "trial_test.yaml").read_text().replace("policy-set.yaml", "../policy-set.yaml")
    (company / "trial_test.yaml").unlink()
    (company / "suites" / "trial_test.yaml").write_text(suite)
    paths = ["suites"]
    edits = iter([lambda: _edit(company / "catalogue.yaml", "input: 1,", "input: 100,")])
    events = watch(paths, lambda: run_suites(paths), sleep=lambda _: next(edits)())
    next(events)
    assert next(events).changed == ("catalogue.yaml",)


def _edit(file: Path, old: str, new: str) -> None:
    file.write_text(file.read_text().replace(old, new))
    # A clock with coarse ticks may give both versions of a file the same time.
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
