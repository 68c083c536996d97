"""Laws of windows that begin with their first use."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count, pairwise

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from costlens_policy.ledger import Account, Adjustment, AdjustmentError, Held, Refused, Store
from costlens_policy.ledger.account import KEPT_WINDOWS
from costlens_policy.ledger.laws.build import NOW, account, from_first_use, hold, hold_lines, settlement

__all__ = ["FirstUseLaws"]

_HOUR = from_first_use(3600)
_LENGTH = timedelta(hours=1)

_numbers = count()

_STEPS = st.lists(
    st.tuples(st.integers(-3000, 5000), st.integers(0, 60), st.sampled_from(["settle", "keep", "charge", "set"])),
    min_size=1,
    max_size=20,
)


def _after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def _seen(store: Store, of: Account, now: datetime) -> tuple[int, int, datetime | None]:
    (balance,) = store.balances([of], now)
    return balance.used, balance.held, balance.account.period.starts_at


class FirstUseLaws:
    """A window begins with the first call that is held or charged, and lasts its length; then another may begin."""

    def test_a_window_begins_with_its_first_hold_and_ends_after_its_length(self, store: Store) -> None:
        assert _seen(store, _HOUR, NOW) == (0, 0, None)
        at = _after(1000)
        held = store.reserve(hold("a", _HOUR, 60, 100, at))
        assert isinstance(held, Held)
        assert held.lines[0].account.period.starts_at == at
        store.settle(settlement("a", _HOUR, 50, _after(1010)))
        assert _seen(store, _HOUR, _after(4599)) == (50, 0, at)
        (balance,) = store.balances([_HOUR], _after(1010))
        assert balance.account.period.resets_at == at + _LENGTH
        assert _seen(store, _HOUR, _after(4600)) == (0, 0, None)
        assert isinstance(store.reserve(hold("b", _HOUR, 51, 100, _after(4599))), Refused)
        late = _after(9000)
        assert isinstance(store.reserve(hold("c", _HOUR, 100, 100, late)), Held)
        assert _seen(store, _HOUR, late) == (0, 100, late)

    def test_a_refused_call_begins_no_window(self, store: Store) -> None:
        refused = store.reserve(hold("a", _HOUR, 101, 100))
        assert isinstance(refused, Refused)
        assert refused.lines[0].account.period.starts_at is None
        other = account(key="full")
        assert isinstance(store.reserve(hold_lines("b", (_HOUR, 1, 100), (other, 2, 1))), Refused)
        assert _seen(store, _HOUR, NOW) == (0, 0, None)

    def test_a_charge_counts_in_the_window_of_its_time_and_begins_one_where_there_is_none(self, store: Store) -> None:
        store.reserve(hold("a", _HOUR, 60, 100, lease=timedelta(hours=3)))
        assert _seen(store, _HOUR, _after(3600)) == (0, 60, None), "what is held is held in every window"
        store.settle(settlement("a", _HOUR, 60, _after(3700)))
        assert _seen(store, _HOUR, _after(3700)) == (60, 0, _after(3700))
        store.charge(settlement("nothing", from_first_use(60), 0))
        assert _seen(store, from_first_use(60), NOW) == (0, 0, None), "a charge of nothing is no use"

    def test_a_clock_that_is_behind_counts_in_the_window_that_has_begun(self, store: Store) -> None:
        assert isinstance(store.reserve(hold("ahead", _HOUR, 60, 100, _after(300))), Held)
        assert isinstance(store.reserve(hold("over", _HOUR, 41, 100, NOW)), Refused)
        assert isinstance(store.reserve(hold("behind", _HOUR, 40, 100, NOW)), Held)
        for call, amount in (("ahead", 60), ("behind", 40)):
            store.settle(settlement(call, _HOUR, amount, _after(310)))
        for seconds in (-3000, 0, 300, 3899):
            assert _seen(store, _HOUR, _after(seconds)) == (100, 0, _after(300))
        assert _seen(store, _HOUR, _after(3900))[0] == 0

    def test_a_clock_that_is_far_ahead_makes_nothing_forgotten(self, store: Store) -> None:
        store.charge(settlement("a", _HOUR, 60))
        for number in range(KEPT_WINDOWS - 1):
            store.charge(settlement(f"ahead {number}", _HOUR, 1, NOW + timedelta(days=400 + number)))
        assert _seen(store, _HOUR, _after(10)) == (60, 0, NOW)
        store.charge(settlement("b", _HOUR, 7, _after(20)))
        assert _seen(store, _HOUR, _after(3599)) == (67, 0, NOW)

    def test_what_was_held_ahead_is_not_charged_to_an_earlier_window(self, store: Store) -> None:
        store.charge(settlement("old", _HOUR, 1))
        store.reserve(hold("a", _HOUR, 60, 100, _after(3605)))
        store.settle(settlement("a", _HOUR, 60, _after(3590)))
        assert _seen(store, _HOUR, _after(3606)) == (60, 0, _after(3605))
        assert _seen(store, _HOUR, _after(3590)) == (1, 0, NOW)

    def test_only_so_many_windows_are_kept(self, store: Store) -> None:
        for number in range(KEPT_WINDOWS + 5):
            store.charge(settlement(f"{number}", _HOUR, 1, NOW + 2 * number * _LENGTH))
        now = NOW + 2 * (KEPT_WINDOWS + 4) * _LENGTH
        assert _seen(store, _HOUR, now) == (1, 0, now)
        assert _seen(store, _HOUR, NOW + 2 * 5 * _LENGTH)[0] == 1
        assert _seen(store, _HOUR, NOW + 2 * 4 * _LENGTH)[0] == 0

    def test_adjustments_change_the_window_in_force(self, store: Store) -> None:
        def adjust(kind: str, amount: int, at: datetime) -> int:
            return store.adjust(Adjustment(f"{kind} {at}", kind, _HOUR, amount, "ann", "a test", at)).balance.used  # type: ignore[arg-type]

        store.charge(settlement("a", _HOUR, 60))
        assert adjust("set", 10, _after(1800)) == 10
        assert adjust("correct", 7, _after(1900)) == 17
        assert adjust("correct", -5, _after(2000)) == 12
        with pytest.raises(AdjustmentError):
            adjust("correct", -13, _after(2100))
        assert _seen(store, _HOUR, _after(3599)) == (12, 0, NOW)
        with pytest.raises(AdjustmentError):
            adjust("correct", -1, _after(3600))
        assert adjust("set", 0, _after(3601)) == 0
        assert _seen(store, _HOUR, _after(3601)) == (0, 0, None)
        assert adjust("set", 9, _after(4000)) == 9
        assert _seen(store, _HOUR, _after(4001)) == (9, 0, _after(4000))

    @example([(0, 5, "keep"), (-1, 0, "charge"), (3600, 1, "charge")])
    @given(_STEPS)
    @settings(
        max_examples=25,
        deadline=None,
        suppress_health_check=(HealthCheck.function_scoped_fixture, HealthCheck.differing_executors),
    )
    def test_any_calls_by_clocks_that_differ_count_as_the_plain_model_says(
        self, store: Store, steps: list[tuple[int, int, str]]
    ) -> None:
        """Times go forth and back, in seconds. No window is ever above the limit, and none overlaps another one."""
        each, now, limit = from_first_use(3600, key=f"{next(_numbers)}"), 0, 100
        model, held = _Model(), 0
        for number, (step, amount, kind) in enumerate(steps):
            now += step
            at, call = _after(now), f"{each.key}/{number}"
            assert _seen(store, each, at) == (model.used(now), held, model.started(now))
            if kind == "set":
                store.adjust(Adjustment(call, "set", each, amount, "ann", "a test", at))
                model.charge(now, amount - model.used(now))
            elif kind == "charge":
                store.charge(settlement(call, each, amount, at))
                model.charge(now, amount)
            else:
                answer = store.reserve(hold(call, each, amount, limit, at, lease=timedelta(days=9)))
                assert isinstance(answer, Held) is (model.used(now) + held + amount <= limit)
                if not isinstance(answer, Held):
                    continue
                model.begin(now)
                assert answer.lines[0].account.period.starts_at == model.started(now)
                if kind == "keep":
                    held += amount
                else:
                    store.settle(settlement(call, each, amount // 2, at))
                    model.charge(now, amount // 2)
        starts = sorted(model.windows)
        assert all(later - earlier >= 3600 for earlier, later in pairwise(starts))


class _Model:
    """Windows of an hour, by the second at which each began."""

    def __init__(self) -> None:
        self.windows: dict[int, int] = {}

    def window(self, now: int) -> int | None:
        inside = [start for start in self.windows if start <= now < start + 3600]
        ahead = [start for start in self.windows if now < start < now + 3600]
        return inside[0] if inside else min(ahead, default=None)

    def used(self, now: int) -> int:
        start = self.window(now)
        return 0 if start is None else self.windows[start]

    def started(self, now: int) -> datetime | None:
        start = self.window(now)
        return None if start is None else _after(start)

    def begin(self, now: int) -> None:
        if self.window(now) is None:
            self.windows[now] = 0

    def charge(self, now: int, amount: int) -> None:
        if amount:
            self.begin(now)
            start = self.window(now)
            assert start is not None
            self.windows[start] += amount
