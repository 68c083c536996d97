"""Spend as it is at present."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from costlens_policy import DeniedError
from costlens_policy.guard import GuardError, accounts
from costlens_policy.ledger import Adjustment, open_ledger
from tests.guard.company import REQUEST, TEAM, touched

POLICY = (
    TEAM
    + """
  - {id: all, hard_limit_requests: 100, window: {calendar: month, zone: America/New_York}}
  - {id: hour, hard_limit_tokens: 5000, window: {rolling: 1h}}
  - {id: later, hard_limit_usd: 1, window: {starts_at: '2027-01-01T00:00:00Z', ends_at: '2027-02-01T00:00:00Z'}}
  - {id: each, hard_limit_usd: 1, window: {per_call: true}}
"""
)


def test_rows(guard_of, clock):
    guard = guard_of(POLICY)
    assert [line.budget for line in guard.spend()] == ["p/all", "p/hour"]
    with guard.call(REQUEST) as call:
        call.settle({"prompt_tokens": 100, "completion_tokens": 10})
    guard.call({**REQUEST, "team": "blue"})
    rows = {(line.budget, line.key): line for line in guard.spend()}
    assert list(rows) == [("p/team", "blue"), ("p/team", "red"), ("p/all", ""), ("p/hour", "")]
    red = rows["p/team", "red"]
    assert (red.unit, red.used, red.held, red.limit, red.left) == (
        "usd", Decimal("0.00012"), 0, Decimal("0.01"), Decimal("0.00988"),
    )  # fmt: skip
    assert red.resets_at == datetime(2026, 5, 11, tzinfo=UTC)
    assert red.used_ratio == Decimal("0.012")
    assert rows["p/all", ""].resets_at == datetime(2026, 6, 1, 4, tzinfo=UTC)
    hour = rows["p/hour", ""]
    assert (hour.resets_at, hour.starts_at, hour.held) == (None, clock.now - timedelta(hours=1), 1100)


def test_one_budget_one_key(guard_of):
    guard = guard_of(POLICY)
    (nobody,) = guard.spend("p/team", "nobody-yet")
    assert (nobody.used, nobody.left) == (0, Decimal("0.01"))
    assert guard.spend(budget="team") == ()
    assert guard.spend("later") == guard.spend("each") == ()
    with pytest.raises(GuardError, match="no budget `tema`; there are `p/team`"):
        guard.spend("tema")


def test_changes_by_hand_hold_at_once(guard_of, company, clock):
    store = open_ledger("memory:")
    guard = guard_of(TEAM, ledger=store)
    guard.call(REQUEST).release()
    account = touched(store, "p/team", clock.now)
    day = clock.now + timedelta(hours=2)
    store.adjust(Adjustment("a", "override", account, 2 * 10**12, "ann", "too much", clock.now, day))
    assert guard.call(REQUEST).decision.balances[0].limit == Decimal("0.002")
    (line,) = guard.spend()
    assert (line.limit, line.left, line.changed_by_hand) == (Decimal("0.002"), Decimal("0.0008"), True)
    store.adjust(Adjustment("b", "topup", account, 10**12, "ann", "more", clock.now))
    guard.call(REQUEST)
    clock.move(hours=3)
    assert guard.spend()[0].limit == Decimal("0.011")


def test_balances_of_many_keys_are_forgotten_and_read_again(guard_of, monkeypatch):
    monkeypatch.setattr(accounts, "_KEPT", 4)
    guard = guard_of(TEAM, max_age=3600)
    known = guard._shared.accounts._known  # a bound on memory shows nowhere else
    for turn in range(2):
        for number in range(10):
            with guard.call(REQUEST | {"team": f"{number}"}) as call:
                assert len(known) <= 4
                call.settle({"prompt_tokens": 1000, "completion_tokens": 0})
            assert len(known) <= 4
        assert {line.used for line in guard.spend()} == {Decimal("0.001") * (turn + 1)}
    for _ in range(6):
        guard.call(REQUEST | {"team": "0"})  # $0.0012 is held for each, of the $0.008 that are left
    with pytest.raises(DeniedError):
        guard.call(REQUEST | {"team": "0"})
