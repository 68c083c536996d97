"""Budgets that stand in where others are full, under the guard."""

from __future__ import annotations

from decimal import Decimal

import pytest

from costlens_policy import DeniedError, Guard
from tests.guard.company import REQUEST, Clock, Timer, write_company

POLICY = """
budgets:
  - id: by-model
    scope: model.name
    hard_limit_tokens: 2000
    overflow: shared
    window: {calendar: day}
    thresholds: [{at_ratio: 0.5, alert: half}, {at_ratio: 1, alert: full}]
  - {id: shared, scope: '"all"', hard_limit_usd: 0.005, window: {rolling: 1h}}
"""
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100}


def used(guard: Guard) -> dict[tuple[str, str], tuple[Decimal, Decimal]]:
    return {(line.budget.removeprefix("p/"), line.key): (line.used, line.held) for line in guard.spend()}


@pytest.fixture
def guards(tmp_path):
    """Return a function that makes guards of several models on one ledger."""
    made = []

    def make(models="nano", policy=POLICY, **options):
        engine = write_company(tmp_path / "p", policy, models=models)
        options = {"clock": Clock(), "timer": Timer(), "alert_sinks": []} | options
        made.append(Guard(engine, f"sqlite:///{tmp_path / 'spend.db'}", **options))
        return made[-1]

    yield make
    for guard in made:
        guard.close()


def test_calls_count_where_there_is_room(guards):
    events = []
    guard = guards(alert_sinks=[events.append])
    for _ in range(4):
        guard.call(REQUEST).settle(USAGE)
    assert used(guard) == {("by-model", "nano"): (1100, 0), ("shared", "all"): (Decimal("0.0036"), 0)}
    with guard.call(REQUEST) as call:
        assert [item.counted_on for item in call.decision.overflowed] == ["p/shared"]
        assert used(guard)["shared", "all"] == (Decimal("0.0036"), Decimal("0.0012"))
        call.settle(USAGE)
    with pytest.raises(DeniedError) as denied:
        guard.call(REQUEST)
    assert (denied.value.budget, denied.value.key, denied.value.resets_at) == ("p/by-model", "nano", None)
    assert "p/shared" in str(denied.value)
    marks = [(line.budget, line.overflow, line.is_overflow) for line in guard.spend()]
    assert marks == [("p/by-model", "p/shared", False), ("p/shared", "", True)]
    assert guard.flush()
    assert [(event.budget, event.threshold) for event in events] == [
        ("p/by-model", "0.5"), ("p/by-model", "1"), ("p/by-model", "denied")
    ]  # fmt: skip


def test_a_fallback_counts_where_it_has_room(guards):
    guard = guards("nano, mini")
    guard.call({**REQUEST, "max_output_tokens": 50}).settle({"prompt_tokens": 1000, "completion_tokens": 0})
    for _ in range(2):
        call = guard.call(REQUEST)
        held = used(guard)
        assert held["shared", "all"][1] == Decimal("0.0012")  # of `nano`
        assert held["by-model", "mini"][1] == 1100
        call.use("mini")
        call.settle(USAGE)
        assert used(guard)["by-model", "mini"] == (1100, 0)
        break
    assert used(guard) == {
        ("by-model", "nano"): (1000, 0), ("by-model", "mini"): (1100, 0), ("shared", "all"): (0, 0)
    }  # fmt: skip


def test_a_model_that_nobody_listed_is_charged_where_the_call_is_held(guards):
    policy = POLICY.replace("scope: model.name\n", "scope: request.team\n")
    guard = guards(policy=policy)
    guard.call(REQUEST).settle(USAGE)
    with guard.call(REQUEST) as call:
        call.settle({"model": "large", "usage": {"prompt_tokens": 1000, "completion_tokens": 100}})
    assert used(guard)["by-model", "red"] == (1100, 0)
    assert used(guard)["shared", "all"][0] > Decimal("0.0012")


def test_what_is_full_is_read_before_another_budget_stands_in(guards):
    here, there = guards(), guards(max_age=10_000)
    held = here.call(REQUEST)
    assert [seen.budget for seen in there.call(REQUEST).decision.balances] == ["p/shared"]
    held.release()  # `there` has seen it full, and may take balances for right that are that old
    assert [seen.budget for seen in there.call(REQUEST).decision.balances] == ["p/by-model"]


def test_a_call_that_is_asked_for_again_is_the_same(guards):
    guard = guards()
    guard.call(REQUEST)
    first = guard.call(REQUEST, id="job")
    again = guard.call(REQUEST, id="job")
    assert again.decision.to_dict() == first.decision.to_dict()
    assert used(guard)["shared", "all"] == (0, Decimal("0.0012"))
    guard.settle("job", USAGE)
    assert used(guard)["shared", "all"] == (Decimal("0.0012"), 0)
