"""Rolling windows: a charge counts for the whole length, and at most a 120th longer."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import Final

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from costlens_policy.ledger import Adjustment, Held, Refused, Store
from costlens_policy.ledger.account import BUCKETS, CLOCKS, KEPT_BUCKETS, STEP, clocks_after, forgotten_buckets
from tests.ledger.build import NOW, hold, rolling, settlement

HOUR = rolling(3600)
SLACK = timedelta(seconds=30)

_numbers = count()


def test_a_charge_leaves_the_window_after_its_length(store: Store) -> None:
    store.charge(settlement("a", HOUR, 60))
    for after, used in ((0, 60), (3599, 60), (3600, 60), (3631, 0)):
        now = NOW + timedelta(seconds=after)
        assert store.balances([HOUR], now)[0].used == used
    assert isinstance(store.reserve(hold("b", HOUR, 41, 100, NOW + timedelta(seconds=3600))), Refused)
    assert isinstance(store.reserve(hold("b", HOUR, 100, 100, NOW + timedelta(seconds=3631))), Held)


def test_a_held_call_is_charged_when_it_is_settled(store: Store) -> None:
    store.reserve(hold("a", HOUR, 60, 100))
    at = NOW + timedelta(seconds=50)
    store.settle(settlement("a", HOUR, 60, at))
    assert store.balances([HOUR], NOW + timedelta(seconds=3649))[0].used == 60


def test_a_clock_that_goes_back_forgets_nothing(store: Store) -> None:
    store.charge(settlement("a", HOUR, 60))
    ahead = NOW + timedelta(days=400)
    assert isinstance(store.reserve(hold("b", HOUR, 1, 100, ahead)), Held)
    store.charge(settlement("c", HOUR, 7, ahead))
    refused = store.reserve(hold("d", HOUR, 100, 100))
    assert isinstance(refused, Refused)
    assert refused.lines[0].used == 67
    store.settle(settlement("b", HOUR, 1, NOW))
    assert store.balances([HOUR], NOW)[0].used == 68
    assert store.balances([HOUR], ahead)[0].used == 8, "a charge counts from when its hold began, at the earliest"


def test_only_the_number_of_buckets_makes_old_ones_go(store: Store) -> None:
    second = rolling(BUCKETS)
    for number in range(KEPT_BUCKETS + 40):
        store.charge(settlement(f"{number}", second, 1, NOW + timedelta(seconds=number)))
    now = NOW + timedelta(seconds=KEPT_BUCKETS + 40 - 1)
    assert store.balances([second], now)[0].used == BUCKETS + 1
    assert store.balances([second], now - timedelta(seconds=200))[0].used == BUCKETS + 1 + 200


@pytest.mark.parametrize("skew", [timedelta(days=10), timedelta(days=-10), timedelta(minutes=5)], ids=str)
def test_a_clock_that_is_wrong_for_hours_makes_nothing_forgotten(store: Store, skew: timedelta) -> None:
    """The wrong one makes more buckets than are ever kept of one clock; the right one spends before, between, after."""
    minutes = rolling(2 * BUCKETS)
    now, spent = NOW, 0
    for step in range(KEPT_BUCKETS + 80):
        store.charge(settlement(f"wrong {step}", minutes, 1, now + skew))
        if step % 60 == 0:
            for back in range(3):
                store.charge(settlement(f"right {step} {back}", minutes, 1000, now - timedelta(seconds=back)))
            spent = min(spent + 3, 6)  # the window is two turns long
            assert store.balances([minutes], now)[0].used >= spent * 1000
        now += timedelta(seconds=2)


def test_a_clock_that_stands_still_while_another_runs_forgets_nothing(store: Store) -> None:
    seconds = rolling(BUCKETS)
    for number in range(60):
        store.charge(settlement(f"{number}", seconds, 1000, NOW + timedelta(seconds=number)))
    for number in range(KEPT_BUCKETS + 80):
        store.charge(settlement(f"ahead {number}", seconds, 1, NOW + timedelta(days=1, seconds=number)))
    now = NOW + timedelta(seconds=60)
    store.charge(settlement("again", seconds, 1000, now))
    assert store.balances([seconds], now)[0].used // 1000 == 61


SKEWS: Final = st.lists(st.integers(-5000, 5000), min_size=1, max_size=4, unique=True)
TURNS: Final = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), min_size=1, max_size=400)


@given(SKEWS, TURNS)
@settings(max_examples=150, deadline=None)
def test_no_bucket_in_the_last_window_of_any_clock_may_go(skews: list[int], turns: list[tuple[int, int]]) -> None:
    """Clocks that differ as they like go on at one pace, and are asked in any order."""
    buckets: set[int] = set()
    clocks: list[int] = []
    passed = 0
    for index, step in turns:
        passed += step
        shown = passed + skews[index % len(skews)]
        buckets |= set(range(shown - 3, shown + 1))
        clocks = clocks_after(clocks, shown)
        for bucket in forgotten_buckets(buckets, clocks):
            assert not any(shown - BUCKETS <= bucket <= shown for shown in (passed + skew for skew in skews))
            buckets.remove(bucket)


def test_clocks_and_what_they_keep_are_bounded() -> None:
    clocks: list[int] = []
    buckets: set[int] = set()
    for bucket in range(0, 1000 * STEP, 7):
        clocks = clocks_after(clocks, bucket)
        buckets = (buckets | {bucket}) - set(forgotten_buckets({*buckets, bucket}, clocks))
    assert clocks == [bucket], "a clock that goes on is one clock"
    for number in range(100):
        clocks = clocks_after(clocks, -number * 10 * STEP)
    assert len(clocks) == CLOCKS


def test_setting_forgets_the_buckets(store: Store) -> None:
    store.charge(settlement("a", HOUR, 60))
    at = NOW + timedelta(minutes=30)
    store.adjust(Adjustment("reset", "set", HOUR, 10, "ann", "a test ran wild", at))
    assert store.balances([HOUR], at)[0].used == 10
    assert store.balances([HOUR], NOW + timedelta(seconds=3631))[0].used == 10
    assert store.balances([HOUR], at + timedelta(seconds=3631))[0].used == 0


STEPS = st.lists(
    st.tuples(st.integers(-40_000, 1_500_000), st.integers(0, 1000), st.booleans()), min_size=1, max_size=25
)


@example([(0, 5, True), (-1, 0, False), (3_600_000, 1, True)])
@given(STEPS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_never_counted_less_than_exact_and_hardly_more(store: Store, steps: list[tuple[int, int, bool]]) -> None:
    """Times go forth, and now and then a little back, in milliseconds."""
    account = rolling(3600, key=f"{next(_numbers)}")
    charges: list[tuple[int, int]] = []
    now = 0
    for step, amount, through_hold in steps:
        now += step
        at = NOW + timedelta(milliseconds=now)
        call = f"{account.key}/{len(charges)}"
        if through_hold:
            store.reserve(hold(call, account, amount, None, at))
        store.charge(settlement(call, account, amount, at))
        charges.append((now, amount))
        used = store.balances([account], at)[0].used
        answer = store.reserve(hold(f"{call}/probe", account, 0, None, at))
        assert isinstance(answer, Held)
        assert answer.lines[0].used == used
        assert used >= sum(amount for time, amount in charges if time > now - 3_600_000)
        assert used <= sum(amount for time, amount in charges if time > now - 3_600_000 - 30_000)
