"""Laws of carrying over: what windows leave unused is spent once, whatever clocks show and however many ask at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import count
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from costlens_policy.carry_over import CarryOver
from costlens_policy.ledger import Account, AccountQuery, Adjustment, Held, Hold, HoldLine, Refused, Share, Store
from costlens_policy.ledger.account import lease_end
from costlens_policy.ledger.amounts import MAX_LIMIT, SECOND, instant_of, micros
from costlens_policy.ledger.calls import Carry
from costlens_policy.ledger.laws.build import NOW, account, settlement
from costlens_policy.periods import Period

__all__ = ["CarryLaws", "broken_rules", "carry_line", "carry_work", "check_carried", "keep_the_rule", "window"]

_LENGTH = timedelta(minutes=1)
_LIMIT = 100
_numbers = count()


def window(number: int, key: str = "research") -> Account:
    """Return one of the windows of a minute that follow one another."""
    starts_at = NOW + number * _LENGTH
    return account("teams/minute", key, period=Period(f"minute:{number + 1000:06}", starts_at, starts_at + _LENGTH))


def carry_line(
    number: int, amount: int, limit: int | None = _LIMIT, rule: CarryOver | None = None, key: str = "research"
) -> HoldLine:
    """Return a line that asks for an amount in a window, and carries over by a rule: all of the last one, if none."""
    rule = rule or CarryOver(Decimal(1), Decimal(MAX_LIMIT), 1, None)
    windows = [window(number + place, key) for place in range(rule.periods, -rule.periods - 1, -1)]
    return HoldLine(window(number, key), amount, limit, Carry(tuple(windows), rule.periods, rule))


def broken_rules(rule: CarryOver, limit: int, taken: dict[int, int]) -> dict[int, Fraction]:
    """Return by how much windows have used more than their limit and what those before them left: nothing, by the law.

    ``taken`` has every window in which anything was ever held.
    """
    allowed = {number: limit + _carried(rule, limit, _before(rule, taken, number)) for number in taken}
    return {number: taken[number] - most for number, most in allowed.items() if taken[number] > most}


def _before(rule: CarryOver, taken: dict[int, int], number: int) -> list[int]:
    """Return what the windows before one have taken, the oldest first, from the first on of which anything is known."""
    places = range(number - rule.periods, number)
    first = min((place for place in places if place in taken), default=number)
    return [taken.get(place, 0) for place in range(first, number)]


def _carried(rule: CarryOver, limit: int, before: list[int]) -> Fraction:
    """Return what is carried over, kept as what each earlier window left: of that the latest is spent first."""
    left: list[Fraction] = []
    for taken in before:
        unused = Fraction(limit - taken)
        if unused >= 0:
            left.append(unused * Fraction(rule.share))
            most = Fraction(MAX_LIMIT) if rule.most is None else Fraction(rule.most)
            left = _taken_from(left, sum(left, Fraction(0)) - most)
        else:
            left = _taken_from(left[::-1], -unused)[::-1]
    return sum(left, Fraction(0))


def _taken_from(lots: list[Fraction], amount: Fraction) -> list[Fraction]:
    """Return what is left of lots once an amount is taken, of the first ones first."""
    rest = []
    for lot in lots:
        taken = min(lot, max(amount, Fraction(0)))
        amount -= taken
        rest.append(lot - taken)
    return rest


_RULES = st.builds(
    CarryOver,
    st.sampled_from([Decimal(1), Decimal("0.5"), Decimal("0.333333")]),
    st.sampled_from([Decimal(MAX_LIMIT), Decimal(60)]),
    st.integers(1, 3),
    st.sampled_from([None, NOW - _LENGTH]),
)


@dataclass
class _World:
    """A ledger, what it should have, and clocks that differ."""

    store: Store
    rule: CarryOver
    key: str
    now: datetime = NOW
    taken: dict[int, int] = field(default_factory=dict)
    holds: dict[str, tuple[int, int, datetime]] = field(default_factory=dict)
    freed: set[str] = field(default_factory=set)
    beyond: int = 0
    """What was charged beyond holds."""

    def reserve(self, id: str, amount: int, clock: int) -> None:
        now = self.now + timedelta(seconds=clock)
        number = (now - NOW) // _LENGTH
        self.touch(range(number - self.rule.periods, number + self.rule.periods + 1), now)
        hold = Hold(id, (carry_line(number, amount, rule=self.rule, key=self.key),), now, timedelta(seconds=70))
        answer = self.store.reserve(hold)
        assert isinstance(answer, Held) is self.has_room(number, amount), (number, amount, self.taken, answer)
        if isinstance(answer, Held):
            end = instant_of(lease_end(micros(now), hold.lease) * SECOND)
            self.holds[id] = number, amount, end
            self.taken[number] = self.taken.get(number, 0) + amount

    def has_room(self, number: int, amount: int) -> bool:
        """Whether a hold keeps the rule for its own window, and takes nothing that a later one has spent."""
        used = {place: taken for place, taken in self.taken.items() if taken}
        own = self.taken.get(number, 0) + amount
        if own > _LIMIT + _carried(self.rule, _LIMIT, _before(self.rule, self.since | used, number)):
            return False
        known = self.since | {number: 0} | self.taken
        for later in range(number + 1, number + self.rule.periods + 1):
            spent = self.taken.get(later, 0) - _LIMIT
            left, was_left = (
                int(_carried(self.rule, _LIMIT, _before(self.rule, taken, later)))
                for taken in (known | {number: own}, known)
            )
            if spent > left and left < was_left:
                return False
        return True

    @property
    def since(self) -> dict[int, int]:
        """Windows that count even if nothing was used in them."""
        starts = ((place, window(place).period.starts_at) for place in range(-12, 40))
        since = self.rule.since
        return {} if since is None else {place: 0 for place, start in starts if start is not None and start >= since}

    def end(self, id: str, charged: int | None, clock: int) -> None:
        """Charge an amount, or give back for None."""
        number, amount, ends_at = self.holds.pop(id)
        now = self.now + timedelta(seconds=clock)
        self.touch([number], now)
        late = id in self.freed or now >= ends_at
        if id not in self.freed:
            self.taken[number] -= amount
        if charged is None:
            self.store.release(id, now)
            return
        settled = self.store.settle(settlement(id, window(number, self.key), charged, now))
        assert settled.late is late
        self.taken[number] += charged
        self.beyond += charged if late else max(0, charged - amount)

    def touch(self, numbers: Sequence[int] | range, now: datetime) -> None:
        for id, (number, amount, ends_at) in self.holds.items():
            if number in numbers and now >= ends_at and id not in self.freed:
                self.freed.add(id)
                self.taken[number] -= amount


class CarryLaws:
    """What earlier windows left is worked out from the ledger's own records, in the step that holds."""

    def test_what_the_last_window_left_is_added_to_the_limit(self, store: Store) -> None:
        _use(store, "a", 0, 60)
        answer = _ask(store, "b", 1, 141)
        assert isinstance(answer, Refused)
        assert (answer.lines[0].limit, answer.earlier) == (140, ((60,),))
        held = _ask(store, "b", 1, 140)
        assert isinstance(held, Held)
        assert (held.lines[0].limit, held.earlier) == (140, ((60,),))
        assert _ask(store, "c", 2, 101).lines[0].limit == 100, "what was carried, and spent, is not carried on"

    def test_a_window_has_no_room_for_what_a_later_one_has_spent(self, store: Store) -> None:
        _use(store, "a", 0, 60)
        _use(store, "b", 1, 130)
        behind = _ask(store, "c", 0, 11)
        assert isinstance(behind, Refused)
        assert not behind.lines[0].has_room
        assert isinstance(_ask(store, "c", 0, 10), Held), "10 of those 40 are left"
        assert isinstance(_ask(store, "d", 1, 1), Refused), "and now nobody has them twice"

    def test_a_budget_that_carries_over_stands_beside_others(self, store: Store) -> None:
        _use(store, "a", 0, 60)
        plain = account("other/budget")
        lines = HoldLine(plain, 5, 10), carry_line(1, 130), HoldLine(window(1, "shadow"), 500, None)
        answer = store.reserve(Hold("b", lines, NOW + _LENGTH, _LENGTH))
        assert isinstance(answer, Held)
        assert [line.limit for line in answer.lines] == [10, 140, None]
        assert answer.earlier == ((), (60,), ())
        again = store.reserve(Hold("b", lines, NOW + _LENGTH, _LENGTH))
        assert again == answer._replace(repeated=True, earlier=())

    def test_what_shares_set_aside_is_not_taken_from_a_later_window_either(self, store: Store) -> None:
        _use(store, "a", 0, 60)
        _use(store, "b", 1, 130)
        run, share = account("agents/run", "fix"), Share(account("agents/run", "fix"), window(0), _LENGTH)
        lines = carry_line(0, 5), HoldLine(run, 5, 25)
        refused = store.reserve(Hold("c", lines, NOW, _LENGTH, shares=(share,)))
        assert isinstance(refused, Refused), "it would set 20 aside, where 10 are left"
        assert refused.earlier == ((), ())
        lines = carry_line(1, 1), HoldLine(run, 1, 8)
        held = store.reserve(Hold("d", lines, NOW + _LENGTH, _LENGTH, shares=(Share(run, window(1), _LENGTH),)))
        assert isinstance(held, Held)
        assert (held.lines[0].limit, held.lines[0].aside, held.earlier) == (140, 7, ((60,), ()))

    def test_a_budget_in_shadow_reports_what_it_would_carry_over(self, store: Store) -> None:
        _use(store, "a", 0, 60)
        answer = store.reserve(Hold("b", (carry_line(1, 500, None),), NOW + _LENGTH, _LENGTH))
        assert isinstance(answer, Held)
        assert (answer.lines[0].limit, answer.earlier) == (None, ((60,),))

    def test_a_hold_that_expired_in_an_earlier_window_is_free_for_good(self, store: Store) -> None:
        _use(store, "a", 0, 10)
        assert isinstance(_ask(store, "b", 0, 60), Held)
        assert _ask(store, "c", 1, 131).lines[0].limit == 130, "what is held counts as used"
        late = NOW + timedelta(seconds=80)
        assert _ask(store, "d", 1, 191, late).lines[0].limit == 190
        settled = store.settle(settlement("b", window(0), 60, NOW))
        assert settled.late, "a clock that was ahead has left it to the next window"

    @pytest.mark.parametrize("kind", ["topup", "override"])
    def test_what_people_grant(self, store: Store, kind: str) -> None:
        _use(store, "a", 0, 60)
        end = NOW + _LENGTH if kind == "override" else None
        store.adjust(Adjustment("g", kind, window(0), 30, "Ann", "a test", NOW, end))  # type: ignore[arg-type]
        if kind == "override":
            assert _ask(store, "b", 0, 1, NOW).lines[0].limit == 30
            assert _ask(store, "c", 1, 101).lines[0].limit == 100, "it ended under an override"
            return
        assert _ask(store, "b", 0, 131).lines[0].limit == 130
        assert _ask(store, "c", 1, 141).lines[0].limit == 140
        store.adjust(Adjustment("h", "topup", window(1), 7, "Ann", "a test", NOW + _LENGTH))
        assert _ask(store, "d", 1, 148).lines[0].limit == 147
        assert isinstance(_ask(store, "d", 1, 147), Held)
        assert isinstance(_ask(store, "e", 0, 1), Refused)
        store.adjust(Adjustment("i", "override", window(1), 50, "Ann", "a test", NOW + _LENGTH, NOW + 9 * _LENGTH))
        assert _ask(store, "f", 1, 100).lines[0].limit == 57

    def test_amounts_beyond_a_double_are_shared_exactly(self, store: Store) -> None:
        rule = CarryOver(Decimal("0.333333"), Decimal(MAX_LIMIT), 3, None)
        limit, used = 987_654_321_987_654_321_987_654_321, (1, 123_456_789_123_456_789_123, 10**15 - 1)
        for number, amount in enumerate(used):
            store.charge(settlement(f"{number}", window(number), amount))
        answer = store.reserve(Hold("b", (carry_line(3, 1, limit, rule),), NOW + 3 * _LENGTH, _LENGTH))
        exact = sum((limit - amount) * Fraction(333_333, 1_000_000) for amount in used)
        assert answer.lines[0].limit == limit + exact // 1

    def test_any_clocks_and_any_order_keep_the_rule(self, store: Store) -> None:
        """A plain model says who has room, and no window ever has more than the rule allows."""
        keep_the_rule(store, examples=25)

    def test_a_crowd_whose_clocks_differ_keeps_the_rule(self, store: Store) -> None:
        with ThreadPoolExecutor(8) as pool:
            refused = list(pool.map(lambda worker: carry_work(store, f"threads {worker}", range(25)), range(8)))
        assert any(refused), "the limits were never reached, so nothing was shown"
        check_carried(store, "threads")


def keep_the_rule(store: Store, examples: int) -> None:
    law = settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    law(given(st.data(), _RULES)(lambda data, rule: _live(store, data, rule)))()


def _live(store: Store, data: st.DataObject, rule: CarryOver) -> None:
    world = _World(store, rule, f"{next(_numbers)}")
    for number in range(data.draw(st.integers(6, 16))):
        world.now += timedelta(seconds=data.draw(st.sampled_from([0, 0, 25])))
        clock = data.draw(st.sampled_from([0, 60, -50, 110]))
        if world.holds and data.draw(st.integers(0, 2)) == 0:
            id = data.draw(st.sampled_from(sorted(world.holds)))
            world.end(id, data.draw(st.sampled_from([None, 0, 20, 70])), clock)
        else:
            world.reserve(f"{world.key}/{number}", data.draw(st.sampled_from([60, 130, 35, 100, 10])), clock)
        broken = broken_rules(rule, _LIMIT, world.taken) if world.taken and rule.since is None else {}
        assert all(much <= world.beyond for much in broken.values()), (broken, world)


_CROWD_RULE = CarryOver(Decimal("0.5"), Decimal(120), 2, None)


def carry_work(store: Store, seed: str, turns: Iterable[int]) -> int:
    """Reserve, then settle or give back, by clocks that jump by minutes; return how many calls were refused."""
    numbers, refused = Random(seed), 0
    for turn in turns:
        now = NOW + timedelta(seconds=turn * 12 + numbers.choice([-130, -60, 0, 70, 140]))
        amount, id, number = numbers.randint(1, 40), f"{seed}/{turn}", (now - NOW) // _LENGTH
        hold = Hold(id, (carry_line(number, amount, rule=_CROWD_RULE),), now, timedelta(days=1))
        if isinstance(store.reserve(hold), Refused):
            refused += 1
        elif numbers.random() < 0.3:
            store.release(id, now)
        else:
            store.settle(settlement(id, window(number), numbers.randint(0, amount), now))
    return refused


def check_carried(store: Store, seed: str) -> None:
    """Hold all windows to the rule, after any workers did what ``carry_work`` does; some may have been killed."""
    query = AccountQuery(budget=window(0).budget, limit=1000)
    taken = {
        (micros(balance.account.period.starts_at or NOW) - micros(NOW)) // (60 * SECOND): balance.used + balance.held
        for balance in store.accounts(query, NOW).items
    }
    assert broken_rules(_CROWD_RULE, _LIMIT, taken) == {}, (seed, taken)


def _use(store: Store, id: str, number: int, amount: int) -> None:
    assert isinstance(_ask(store, id, number, amount), Held)
    store.settle(settlement(id, window(number), amount, NOW + number * _LENGTH))


def _ask(store: Store, id: str, number: int, amount: int, now: datetime | None = None) -> Held | Refused:
    now = now or NOW + number * _LENGTH
    return store.reserve(Hold(id, (carry_line(number, amount),), now, timedelta(seconds=75)))
