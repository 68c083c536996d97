"""Budgets whose window begins with its first use, as subscription plans have them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from costlens_policy import DeniedError
from costlens_policy.cli.commands.budget.table import row_of
from tests.guard.company import REQUEST

PLAN = """
budgets:
  - id: plan
    scope: request.?team.orValue("nobody")
    hard_limit_usd: 0.01
    window: {from_first_use: 5h}
    thresholds: [{at_ratio: 0.1, alert: it begins}]
routes:
  - {id: pace, when: 'budgets["plan"].?projected_ratio.orValue(0.0) > 1.0', model: thinker}
"""
USAGE = {"prompt_tokens": 1000, "completion_tokens": 50}
LENGTH = timedelta(hours=5)


def spend(guard):
    with guard.call(REQUEST) as call:
        call.settle(USAGE)
    return call.model


def test_a_window_begins_with_the_first_call_and_the_next_one_with_the_next(guard_of, clock):
    guard = guard_of(PLAN)
    assert [line.starts_at for line in guard.spend()] == []
    clock.move(minutes=7)
    start = clock()
    assert spend(guard) == "nano"
    (line,) = guard.spend()
    assert (line.starts_at, line.resets_at, line.used) == (start, start + LENGTH, Decimal("0.0011"))
    clock.move(hours=4)
    assert spend(guard) == "nano"
    assert [(item.starts_at, item.used) for item in guard.spend()] == [(start, Decimal("0.0022"))]
    clock.move(hours=1)
    assert [(item.starts_at, item.used, item.left) for item in guard.spend()] == [(None, 0, Decimal("0.01"))]
    clock.move(hours=2)
    assert spend(guard) == "nano"
    assert [(item.starts_at, item.used) for item in guard.spend()] == [(clock(), Decimal("0.0011"))]


def test_a_refusal_says_when_the_window_ends(guard_of, clock):
    policy = PLAN.replace("0.01\n", "0.003\n")
    guard, others = guard_of(policy), [guard_of(policy), guard_of(policy)]
    start = clock()
    clock.move(minutes=30)
    for other in others:
        spend(other)
    with pytest.raises(DeniedError) as refused:
        guard.call(REQUEST)
    assert refused.value.resets_at == start + timedelta(minutes=30) + LENGTH
    clock.move(hours=5)
    assert spend(guard) == "nano"


def test_forecasts_count_from_the_first_use_and_alerts_come_once_for_each_window(guard_of, clock):
    guard = guard_of(PLAN)
    spend(guard)
    spend(guard)
    assert guard.flush()
    assert [event.text for event in guard.events] == ["it begins"]
    clock.move(minutes=6)
    assert spend(guard) == "thinker", "0.0022 in a 50th of the window"
    (line,) = guard.spend()
    assert row_of(line, clock()).forecast.projected_ratio > 1
    clock.move(hours=10)
    assert spend(guard) == "nano", "the next window knows nothing of the last"
    spend(guard)
    assert guard.flush()
    assert [event.text for event in guard.events] == ["it begins"] * 2
    assert len({event.id for event in guard.events}) == 2


def test_a_call_is_decided_again_from_its_record_with_the_window_of_its_time(guard_of, clock):
    guard = guard_of(PLAN)
    spend(guard)
    clock.move(minutes=6)
    spend(guard)
    first = guard.call(REQUEST, id="mine")
    assert first.model == "thinker"
    clock.move(hours=4)
    assert guard.call(REQUEST, id="mine").decision.to_dict() == first.decision.to_dict()
    (state,) = first.decision.to_dict()["balances_read"]
    assert state["started_at"] == "2026-05-10T12:00:00Z"
