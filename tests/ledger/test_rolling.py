"""Rolling windows: a charge counts for the whole length, and at most a 120th longer."""

from __future__ import annotations

from datetime import timedelta
from itertools import count

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from costlens_policy.ledger import Adjustment, Held, Refused, Store
from costlens_policy.ledger.buckets import BUCKETS, KEPT_BUCKETS
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
