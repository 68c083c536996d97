"""Laws of sums: rolling windows, and exactness."""

from __future__ import annotations

import random
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from costlens_policy.ledger import Adjustment, Held, Refused, Store
from costlens_policy.ledger.account import BUCKETS, KEPT_BUCKETS
from costlens_policy.ledger.laws.build import NOW, account, hold, rolling, settlement

__all__ = ["ExactnessLaws", "RollingLaws"]

_HOUR = rolling(3600)

_numbers = count()

_HARMLESS = HealthCheck.function_scoped_fixture, HealthCheck.differing_executors
_STEPS = st.lists(
    st.tuples(st.integers(-40_000, 1_500_000), st.integers(0, 1000), st.booleans()), min_size=1, max_size=25
)


class RollingLaws:
    """A charge counts for the whole length of its window, and at most a 120th longer."""

    def test_a_charge_leaves_the_window_after_its_length(self, store: Store) -> None:
        store.charge(settlement("a", _HOUR, 60))
        for after, used in ((0, 60), (3599, 60), (3600, 60), (3631, 0)):
            now = NOW + timedelta(seconds=after)
            assert store.balances([_HOUR], now)[0].used == used
        assert isinstance(store.reserve(hold("b", _HOUR, 41, 100, NOW + timedelta(seconds=3600))), Refused)
        assert isinstance(store.reserve(hold("b", _HOUR, 100, 100, NOW + timedelta(seconds=3631))), Held)

    def test_a_held_call_is_charged_when_it_is_settled(self, store: Store) -> None:
        store.reserve(hold("a", _HOUR, 60, 100))
        at = NOW + timedelta(seconds=50)
        store.settle(settlement("a", _HOUR, 60, at))
        assert store.balances([_HOUR], NOW + timedelta(seconds=3649))[0].used == 60

    def test_a_clock_that_goes_back_forgets_nothing(self, store: Store) -> None:
        store.charge(settlement("a", _HOUR, 60))
        ahead = NOW + timedelta(days=400)
        assert isinstance(store.reserve(hold("b", _HOUR, 1, 100, ahead)), Held)
        store.charge(settlement("c", _HOUR, 7, ahead))
        refused = store.reserve(hold("d", _HOUR, 100, 100))
        assert isinstance(refused, Refused)
        assert refused.lines[0].used == 67
        store.settle(settlement("b", _HOUR, 1, NOW))
        assert store.balances([_HOUR], NOW)[0].used == 68
        assert store.balances([_HOUR], ahead)[0].used == 8, "a charge counts from when its hold began, at the earliest"

    def test_only_the_number_of_buckets_makes_old_ones_go(self, store: Store) -> None:
        second = rolling(BUCKETS)
        for number in range(KEPT_BUCKETS + 40):
            store.charge(settlement(f"{number}", second, 1, NOW + timedelta(seconds=number)))
        now = NOW + timedelta(seconds=KEPT_BUCKETS + 40 - 1)
        assert store.balances([second], now)[0].used == BUCKETS + 1
        assert store.balances([second], now - timedelta(seconds=200))[0].used == BUCKETS + 1 + 200

    @pytest.mark.parametrize("skew", [timedelta(days=10), timedelta(days=-10), timedelta(minutes=5)], ids=str)
    def test_a_clock_that_is_wrong_for_hours_makes_nothing_forgotten(self, store: Store, skew: timedelta) -> None:
        """The wrong one makes more buckets than are kept of one clock; the right one spends before, between, after."""
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

    def test_a_clock_that_stands_still_while_another_runs_forgets_nothing(self, store: Store) -> None:
        seconds = rolling(BUCKETS)
        for number in range(60):
            store.charge(settlement(f"{number}", seconds, 1000, NOW + timedelta(seconds=number)))
        for number in range(KEPT_BUCKETS + 80):
            store.charge(settlement(f"ahead {number}", seconds, 1, NOW + timedelta(days=1, seconds=number)))
        now = NOW + timedelta(seconds=60)
        store.charge(settlement("again", seconds, 1000, now))
        assert store.balances([seconds], now)[0].used // 1000 == 61

    def test_setting_forgets_the_buckets(self, store: Store) -> None:
        store.charge(settlement("a", _HOUR, 60))
        at = NOW + timedelta(minutes=30)
        store.adjust(Adjustment("reset", "set", _HOUR, 10, "ann", "a test ran wild", at))
        assert store.balances([_HOUR], at)[0].used == 10
        assert store.balances([_HOUR], NOW + timedelta(seconds=3631))[0].used == 10
        assert store.balances([_HOUR], at + timedelta(seconds=3631))[0].used == 0

    def test_a_correction_never_shortens_how_long_the_rest_counts(self, store: Store) -> None:
        store.charge(settlement("a", _HOUR, 60))
        later = NOW + timedelta(minutes=30)
        store.adjust(Adjustment("more", "correct", _HOUR, 7, "ann", "invoice 12", later))
        assert store.balances([_HOUR], NOW + timedelta(seconds=3631))[0].used == 7
        store.charge(settlement("b", _HOUR, 60, later))
        store.adjust(Adjustment("less", "correct", _HOUR, -100, "ann", "invoice 12", later))
        assert store.balances([_HOUR], NOW + timedelta(seconds=3631))[0].used == 27
        assert store.balances([_HOUR], later + timedelta(seconds=3631))[0].used == 0

    @example([(0, 5, True), (-1, 0, False), (3_600_000, 1, True)])
    @given(_STEPS)
    @settings(max_examples=40, deadline=None, suppress_health_check=_HARMLESS)
    def test_never_counted_less_than_exact_and_hardly_more(
        self, store: Store, steps: list[tuple[int, int, bool]]
    ) -> None:
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


_BILLION = 10**9

_DOLLAR = 10**15

_CHEAPEST = 10**6

"""One token at a tenth of a cent per million."""

_LIFELONG = account()


class ExactnessLaws:
    """Sums are exact at both ends: a billion dollars, and one token of the cheapest cached price."""

    def test_one_token_still_counts_beside_a_billion_dollars(self, store: Store) -> None:
        limit = _BILLION * _DOLLAR + 2 * _CHEAPEST
        for each in (_LIFELONG, _HOUR):
            store.charge(settlement(f"first {each.budget}", each, _BILLION * _DOLLAR))
            for number in range(2):
                assert isinstance(store.reserve(hold(f"{number} {each.budget}", each, _CHEAPEST, limit)), Held)
            assert isinstance(store.reserve(hold(f"over {each.budget}", each, 1, limit)), Refused)
            store.settle(settlement(f"0 {each.budget}", each, _CHEAPEST))
            (balance,) = store.balances([each], NOW)
            assert (balance.used, balance.held) == (_BILLION * _DOLLAR + _CHEAPEST, _CHEAPEST)

    def test_a_billion_one_token_charges_are_exact(self, store: Store) -> None:
        """All but a thousand of them are taken as made: the sum stands where they have left it."""
        made = _BILLION - 1000
        store.adjust(Adjustment("made", "set", _LIFELONG, made * _CHEAPEST, "ann", "moved from elsewhere", NOW))
        for number in range(1000):
            store.charge(settlement(f"{number}", _LIFELONG, _CHEAPEST))
        assert store.balances([_LIFELONG], NOW)[0].used == _BILLION * _CHEAPEST

    def test_sums_carry_from_one_limb_to_the_other(self, store: Store) -> None:
        numbers = random.Random(4)
        total = 0
        for number in range(120):
            amount = numbers.choice([1, _DOLLAR - 1, _DOLLAR, _DOLLAR + 1, numbers.randrange(3 * _DOLLAR), 10**26 - 1])
            for each in (_LIFELONG, _HOUR):
                store.reserve(hold(f"{number} {each.budget}", each, amount, None))
                assert store.balances([each], NOW)[0].held == amount
                store.settle(settlement(f"{number} {each.budget}", each, amount))
                if number % 8 == 0:
                    for way in (amount, -amount):
                        id = f"{number} {each.budget} {way}"
                        store.adjust(Adjustment(id, "correct", each, way, "ann", "there and back", NOW))
            total += amount
            assert {balance[1:3] for balance in store.balances([_LIFELONG, _HOUR], NOW)} == {(total, 0)}

    def test_limits_are_compared_to_the_last_unit(self, store: Store) -> None:
        for number, base in enumerate((_DOLLAR, 7 * _DOLLAR - 1, _BILLION * _DOLLAR, 2**53, 10**27 - 1)):
            key = account(key=str(number))
            assert isinstance(store.reserve(hold(f"over {number}", key, base, base - 1)), Refused)
            assert isinstance(store.reserve(hold(f"even {number}", key, base, base)), Held)
            assert isinstance(store.reserve(hold(f"one {number}", key, 1, base)), Refused)
