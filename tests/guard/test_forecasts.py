"""Calls that are decided by what is to be expected of a budget, on the balances of the ledger."""

from __future__ import annotations

from decimal import Decimal

import pytest

from costlens_policy import DeniedError
from costlens_policy.cli.commands.budget.table import row_of
from costlens_policy.documents.budget import CalendarWindow
from costlens_policy.ledger import Adjustment, open_ledger
from costlens_policy.ledger.account import Account
from costlens_policy.ledger.amounts import amount_of
from costlens_policy.periods import schedule_of
from tests.guard.company import REQUEST, TEAM

USAGE = {"prompt_tokens": 1000, "completion_tokens": 50}
"""On `nano` $0.0011, on `mini` $0.0024."""

PACE = (
    TEAM.replace("0.01", "0.02")
    + """
routes:
  - id: pace
    when: 'budgets["team"].?projected_ratio.orValue(0.0) > 1.0'
    model: nano
"""
)


def used_model(guard):
    with guard.call(REQUEST) as call:
        call.settle(USAGE)
    return call.model


def test_a_day_that_will_not_last_goes_on_with_the_cheap_model(guard_of, clock):
    guard = guard_of(PACE, models="mini")
    assert [used_model(guard) for _ in range(6)] == ["mini"] * 5 + ["nano"]
    clock.move(hours=9)
    assert used_model(guard) == "mini"


def test_a_condition_sees_what_status_shows(guard_of, clock):
    guard = guard_of(PACE, models="mini")
    for _ in range(7):
        spent = guard.spend()
        ahead = row_of(spent[0], clock()).forecast.projected_ratio if spent else 0
        assert used_model(guard) == ("nano" if ahead > 1 else "mini")


def test_access_by_what_is_left(guard_of):
    rule = """
on_error: deny
access:
  - {id: spare, effect: deny, when: 'budgets["team"].left < 0.008', reason: the rest is for others}
"""
    guard = guard_of(TEAM + rule)
    assert [used_model(guard) for _ in range(2)] == ["nano", "nano"]
    with pytest.raises(DeniedError, match="the rest is for others") as caught:
        guard.call(REQUEST)
    assert caught.value.decision.rule == "p/spare"


def test_a_limit_that_is_raised_is_seen_by_conditions_at_once(guard_of, clock):
    store = open_ledger("memory:")
    guard = guard_of(PACE, models="mini", ledger=store)
    assert [used_model(guard) for _ in range(6)][-1] == "nano"
    day = schedule_of(CalendarWindow(calendar="day").model_dump()).at(clock.now)
    account = Account("p/team", "red", "usd", day)
    store.adjust(Adjustment("a", "topup", account, amount_of(Decimal("0.01"), "usd"), "ann", "launch", clock.now))
    assert used_model(guard) == "mini"
