"""Balances of cases: what people allowed for a while, and what follows from a series over time."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from costlens_policy import Balance
from costlens_policy.testing import Run
from tests.testing.conftest import HEAD

RunText = Callable[..., Run]

PLACE = ("spend/team-monthly", "core")


def balances_of(run: Run) -> list[Balance]:
    assert not run.diagnostics, run.diagnostics
    return [result.case.balances[PLACE] for result in run.results]


def test_an_override_and_a_topup_change_the_limit(run_text: RunText) -> None:
    body = """
defaults: {request: {team: core, prompt: hello}}
cases:
  - name: nothing is left
    balances: [{budget: team-monthly, key: core, used: 10}]
    expect: {effect: deny, reasons: [0 held of $10]}
  - name: more is allowed
    balances: [{budget: team-monthly, key: core, used: 10, override: 25.5}]
    expect: {effect: allow, alerts: []}
  - name: a little more is allowed
    balances: [{budget: team-monthly, key: core, used: 10, topup: 0.5}]
    expect: {effect: allow, alerts: [spend/team-monthly]}
  - name: both
    balances: [{budget: team-monthly, key: core, used: 10, override: 4, topup: 5}]
    expect: {effect: deny, reasons: [0 held of $9]}
"""
    run = run_text(body)
    assert run.exit_code == 0, [(item.case.name, item.differences) for item in run.results]
    assert balances_of(run)[3] == Balance(Decimal(10), Decimal(0), Decimal(4), Decimal(5))


def test_what_was_allowed_for_a_while_expires(run_text: RunText) -> None:
    body = """
defaults:
  request: {team: core, prompt: hello}
  balances:
    - budget: team-monthly
      key: core
      used: 10
      override: {amount: 20, expires_at: +3d}
      topup: {amount: 5, expires_at: 2026-11-02T12:00:00Z}
cases:
  - {name: today, expect: {effect: allow}}
  - {name: a moment before the first end, now: 2026-11-02T11:59:59Z, expect: {effect: allow}}
  - {name: at the first end, now: +1d, expect: {effect: allow}}
  - {name: at the second end, now: +72h, expect: {effect: deny}}
"""
    run = run_text(body)
    assert run.exit_code == 0, [(item.case.name, item.differences) for item in run.results]
    overrides, topups = zip(*((item.override, item.topup) for item in balances_of(run)), strict=True)
    assert overrides == (20, 20, 20, None)
    assert topups == (5, 5, 0, 0)


def test_a_matrix_fills_them_in(run_text: RunText) -> None:
    body = """
matrix:
  - name: "with ${more} more, until ${end}"
    axes: {more: [0, 1], end: [+1h, +2h]}
    now: +1h
    request: {team: core, prompt: hello}
    balances: [{budget: team-monthly, key: core, used: 1, topup: {amount: "${more}", expires_at: "${end}"}}]
    expect: {effect: allow}
"""
    assert [item.topup for item in balances_of(run_text(body))] == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("grant", "code", "word"),
    [
        ("{amount: 20, expires_at: +3x}", "CL610", "+3x"),
        ("{amount: 20, expires_at: +999999999d}", "CL610", "+999999999d"),
        ("{amount: 20}", "CL104", "override"),
        ("{amount: -1, expires_at: +3d}", "CL108", "-1"),
        ("-1", "CL108", "-1"),
        ("{amount: 20, expires: +3d}", "CL103", "expires"),
    ],
)
def test_what_cannot_be_read_is_pointed_at(grant: str, code: str, word: str, run_text: RunText) -> None:
    body = f"""
cases:
  - name: a
    request: {{team: core, prompt: hello}}
    balances: [{{budget: team-monthly, key: core, used: 1, override: {grant}}}]
    expect: {{effect: allow}}
"""
    run = run_text(body)
    diagnostic = run.diagnostics[0]
    assert diagnostic.code == code, diagnostic
    assert diagnostic.span is not None
    text = run.sources["trial_test.yaml"].text[diagnostic.span.start.offset : diagnostic.span.end.offset]
    assert text == word
    assert run.exit_code == 1


def test_an_end_needs_something_to_count_from(run_text: RunText) -> None:
    head = HEAD.replace("now: 2026-11-01T12:00:00Z\n", "")
    body = """
cases:
  - name: a
    now: 2026-11-01T12:00:00Z
    request: {team: core, prompt: hello}
    balances: [{budget: team-monthly, key: core, used: 1, topup: {amount: 1, expires_at: +1h}}]
    expect: {effect: allow}
"""
    (diagnostic,) = run_text(body, head=head).diagnostics
    assert diagnostic.code == "CL610"
    assert "which is not there" in diagnostic.message
