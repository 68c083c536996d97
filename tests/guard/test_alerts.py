"""Alerts: once for each budget, key, period and threshold, and delivered at least once."""

from __future__ import annotations

import json
import random
import threading
import time
from datetime import timedelta

import pytest

from costlens_policy import DeniedError, Guard
from costlens_policy.clock import system_now
from costlens_policy.guard import JsonLinesSink, LoggingSink
from costlens_policy.guard.delivery import LEASE, Delivery
from costlens_policy.guard.link import Link
from costlens_policy.ledger import MemoryStore, open_ledger
from tests.guard.company import REQUEST, TEAM

THRESHOLDS = """
budgets:
  - id: team
    scope: request.?team.orValue("nobody")
    hard_limit_usd: 0.012
    soft_limit_usd: 0.009
    window: {calendar: day}
    thresholds:
      - {at_ratio: 0.5, alert: half is spent}
      - {at_ratio: 0.9, alert: nearly all is spent}
"""
FULL = {"prompt_tokens": 1000, "completion_tokens": 100}


def wait_for(condition, seconds=10.0):
    """Wait until a condition holds; events are delivered by another thread."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def spend_all(guard, **request):
    """Settle calls until one is refused; return how many there were."""
    for count in range(1000):
        try:
            with guard.call(REQUEST | request) as call:
                call.settle(FULL)
        except DeniedError:
            return count
    raise AssertionError("nothing was refused")


def names(events):
    return [(event.key, event.threshold) for event in events]


def test_each_threshold_once(guard_of):
    guard = guard_of(THRESHOLDS)
    assert spend_all(guard) == 10
    spend_all(guard)
    assert guard.flush()
    assert names(guard.events) == [("red", "0.5"), ("red", "0.009 usd"), ("red", "0.9"), ("red", "denied")]
    half = guard.events[0]
    assert (half.kind, half.text, half.budget, half.unit) == ("alert", "half is spent", "p/team", "usd")
    assert (half.used, half.held, half.limit) == ("0.0048", "0.0012", "0.012")
    assert half.policy_set == "set 1"
    assert half.resets_at.isoformat() == "2026-05-11T00:00:00+00:00"
    assert guard.events[-1].kind == "denied"
    assert len({event.id for event in guard.events}) == 4


def test_each_key_and_each_period_anew(guard_of, clock):
    guard = guard_of(THRESHOLDS)
    spend_all(guard)
    spend_all(guard, team="blue")
    clock.move(days=1)
    spend_all(guard)
    assert guard.flush()
    assert names(guard.events).count(("red", "0.5")) == 2
    assert names(guard.events).count(("blue", "0.5")) == 1


def test_once_for_all_processes(guard_of):
    guards = [guard_of(THRESHOLDS) for _ in range(4)]
    threads = [threading.Thread(target=spend_all, args=(guard,)) for guard in guards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(guard.flush() for guard in guards)
    events = [event for guard in guards for event in guard.events]
    assert sorted(names(events)) == sorted([("red", "0.5"), ("red", "0.009 usd"), ("red", "0.9"), ("red", "denied")])


def test_what_was_spent_without_a_hold_alerts_when_it_is_settled(guard_of):
    guard = guard_of(THRESHOLDS)
    with guard.call(REQUEST) as call:
        assert guard.flush()
        assert guard.events == []
        call.settle({"prompt_tokens": 7000, "completion_tokens": 0})
    assert guard.flush()
    assert names(guard.events) == [("red", "0.5")]
    assert (guard.events[0].used, guard.events[0].held) == ("0.007", "0")


def test_shadow_budgets_alert(guard_of):
    guard = guard_of(THRESHOLDS + "    shadow: true\n")
    for _ in range(30):
        guard.call(REQUEST)
    assert guard.flush()
    assert [threshold for _, threshold in names(guard.events)] == ["0.5", "0.009 usd", "0.9"]


def test_a_sink_that_fails_is_asked_again(guard_of):
    taken, failures = [], [ConnectionError("down"), OSError("still down")]

    def sink(event):
        if failures:
            raise failures.pop()
        taken.append(event)

    reliable = []
    guard = guard_of(THRESHOLDS, alert_sinks=[sink, reliable.append], retry_delay=0.01, clock=system_now)
    for _ in range(5):
        guard.call(REQUEST)
    wait_for(lambda: taken)
    assert names(taken) == names(reliable) == [("red", "0.5")]


def test_what_a_dead_process_left_is_delivered_by_another(guard_of, ledger, clock):
    died, events = threading.Event(), []
    dead = guard_of(THRESHOLDS, alert_sinks=[lambda _: died.wait(30)])
    for _ in range(5):
        dead.call(REQUEST)
    link = Link(lambda: open_ledger(ledger) if isinstance(ledger, str) else ledger, time.monotonic)
    heir = Delivery(link, [events.append], clock, poll=0.02)
    heir.start()
    time.sleep(0.1)
    assert events == []
    clock.now += LEASE + timedelta(seconds=1)
    wait_for(lambda: events)
    assert names(events) == [("red", "0.5")]
    assert events[0].resets_at is not None
    time.sleep(0.1)
    assert len(events) == 1
    heir.close(1)
    died.set()


def test_a_log(guard_of, caplog):
    guard = guard_of(THRESHOLDS, alert_sinks=[LoggingSink()])
    spend_all(guard)
    assert guard.flush()
    lines = [record.getMessage() for record in caplog.records if record.name == "costlens_policy.alerts"]
    assert lines[0] == "budget `p/team` of `red`: half is spent"
    assert lines[-1].startswith("budget `p/team` of `red`: a call was refused: budget `p/team` of `red` has no room")
    assert caplog.records[0].event["threshold"] == "0.5"


def test_a_log_is_the_default(company, caplog):
    guard = Guard(company(THRESHOLDS), MemoryStore())
    spend_all(guard)
    assert guard.flush()
    assert any("half is spent" in record.getMessage() for record in caplog.records)


def test_json_lines(guard_of, tmp_path):
    path = tmp_path / "alerts.jsonl"
    guard = guard_of(THRESHOLDS, alert_sinks=[JsonLinesSink(path)])
    spend_all(guard)
    assert guard.flush()
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [row["threshold"] for row in rows] == ["0.5", "0.009 usd", "0.9", "denied"]
    assert rows[0] == {
        "id": rows[0]["id"], "kind": "alert", "time": "2026-05-10T12:00:00Z", "text": "half is spent",
        "policy_set": "set 1", "budget": "p/team", "key": "red", "unit": "usd", "threshold": "0.5", "used": "0.0048",
        "held": "0.0012", "limit": "0.012", "period": "day:2026-05-10:UTC", "resets_at": "2026-05-11T00:00:00Z",
    }  # fmt: skip


def test_a_sink_that_cannot_be_asked_does_not_hold_up_calls(guard_of):
    blocked = threading.Event()
    guard = guard_of(THRESHOLDS, alert_sinks=[lambda _: blocked.wait(30)])
    assert spend_all(guard) == 10
    assert not guard.flush(0.01)
    blocked.set()


def test_the_longest_names_have_room_in_a_claim(guard_of):
    """The ledger keeps names of 1,200 bytes; an alert has a longer one than its account."""
    guard = guard_of(THRESHOLDS.replace("id: team", f"id: {'t' * 100}"))
    for _ in range(8):
        guard.call({**REQUEST, "team": "ö" * 256}).settle(FULL)
    assert guard.flush()
    assert [event.threshold for event in guard.events] == ["0.5", "0.009 usd"]


def test_two_thresholds_at_one_ratio(guard_of):
    policy = THRESHOLDS.replace("at_ratio: 0.9", "at_ratio: 0.5")
    guard = guard_of(policy)
    for _ in range(5):
        guard.call(REQUEST)
    assert guard.flush()
    assert sorted(event.text for event in guard.events) == ["half is spent", "nearly all is spent"]


def test_a_look_at_the_ledger_does_not_put_off_a_retry(guard_of, monkeypatch):
    monkeypatch.setattr(random, "uniform", lambda low, high: low)  # the first look is due at once, the next one late
    tries = []

    def sink(event):
        tries.append(event.id)
        if len(tries) == 1:
            raise ValueError("not yet")

    guard = guard_of(THRESHOLDS, alert_sinks=[sink], retry_delay=0.05, clock=system_now)
    spend_all(guard)
    wait_for(lambda: tries and tries.count(tries[0]) == 2)


def test_of_several_reasons_for_a_denial_the_first_is_told(guard_of):
    guard = guard_of(TEAM, models="nano, large")
    with pytest.raises(DeniedError) as denied:
        guard.call({**REQUEST, "prompt_tokens": 10**6})
    assert (denied.value.budget, denied.value.key) == ("p/team", "red")
    assert guard.flush()
    (event,) = guard.events
    assert event.kind == "denied"
    assert "no room for $1.0002" in event.text


FORECAST = """
budgets:
  - id: team
    scope: request.?team.orValue("nobody")
    hard_limit_usd: 0.012
    window: {calendar: day}
    thresholds:
      - {at_usd: 0.01, alert: ten tenths of a cent}
      - {at_projected_ratio: 1.2, alert: too fast}
"""


def test_a_forecast_alerts_once_and_not_on_the_first_calls(guard_of, clock):
    guard = guard_of(FORECAST)
    clock.move(hours=24 - clock.now.hour, minutes=1 - clock.now.minute)
    for _ in range(2):
        with guard.call(REQUEST) as call:
            call.settle(FULL)
    assert guard.flush()
    assert guard.events == []  # a minute of the day has passed
    clock.move(hours=3)
    for _ in range(2):
        with guard.call(REQUEST) as call:
            call.settle(FULL)
    assert guard.flush()
    assert names(guard.events) == [("red", "projected_ratio:1.2")]
    spend_all(guard)
    assert guard.flush()
    assert names(guard.events) == [("red", "projected_ratio:1.2"), ("red", "0.01 usd"), ("red", "denied")]


BURN = """
budgets:
  - id: team
    scope: request.?team.orValue("nobody")
    hard_limit_usd: 0.0288
    window: {calendar: day}
    thresholds: [{at_burn_rate: {rate: 2, long: 1h, short: 5m}, alert: too fast}]
"""


def spend(guard, clock, times, **apart):
    for _ in range(times):
        with guard.call(REQUEST) as call:
            call.settle(FULL)
        clock.move(**apart)


def test_a_burn_rate_alerts_once_it_goes_on_for_long_enough(guard_of, clock):
    """Each call costs 0.0012, half of what twice the rate allows in an hour."""
    guard = guard_of(BURN)
    spend(guard, clock, 2, minutes=61)  # one an hour
    assert guard.flush()
    assert guard.events == []
    spend(guard, clock, 2, minutes=1)
    assert guard.flush()
    assert names(guard.events) == [("red", "burn_rate:2/1h")]
    spend(guard, clock, 2, minutes=1)
    assert guard.flush()
    assert len(guard.events) == 1
    assert [line.budget for line in guard.spend()] == ["p/team"]


def test_what_the_window_before_burnt_does_not_count(guard_of, clock):
    guard = guard_of(BURN)
    clock.move(hours=23 - clock.now.hour, minutes=58 - clock.now.minute)
    spend(guard, clock, 1, minutes=3)
    spend(guard, clock, 1, minutes=1)
    assert guard.flush()
    assert guard.events == []


def test_a_charge_is_told_once_although_it_counts_lately_too(guard_of):
    with guard_of(BURN).call(REQUEST) as call:
        charged = call.settle(FULL)
    assert [item.budget for item in charged.budgets] == ["p/team"]
