"""The laws of the ledger, on any sequence of operations: every store does what the plain model does."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from costlens_policy.ledger import Account, EntryQuery, Held, Hold, HoldLine, ReservationQuery, Store
from tests.ledger.build import NOW, account, settlement_lines
from tests.ledger.model import Model

LIMIT = 1000
AMOUNTS = st.integers(0, 600)
ACCOUNTS = st.sets(st.integers(0, 2), max_size=3)

_machines = count()


class Laws(RuleBasedStateMachine):
    """One store and the model, side by side. The clock jumps forth and back."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        machine = next(_machines)
        self.store = store
        self.model = Model()
        self.now: datetime = NOW
        self.calls = 0
        self.prefix = f"{machine}/"
        self.accounts = [account(f"laws-{machine}", str(number)) for number in range(3)]

    def some(self, numbers: set[int]) -> list[Account]:
        return [self.accounts[number] for number in sorted(numbers)]

    @rule(seconds=st.integers(-90, 120))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds, milliseconds=7)

    @rule(numbers=ACCOUNTS, amount=AMOUNTS, lease=st.integers(1, 100), shadow=st.booleans())
    def reserve(self, numbers: set[int], amount: int, lease: int, shadow: bool) -> None:
        self.calls += 1
        limit = None if shadow else LIMIT
        lines = tuple(HoldLine(each, amount + index, limit) for index, each in enumerate(self.some(numbers)))
        hold = Hold(f"{self.prefix}{self.calls}", lines, self.now, timedelta(seconds=lease))
        room = self.model.reserve(hold)
        answer = self.store.reserve(hold)
        assert isinstance(answer, Held) is room
        assert all(line.has_room for line in answer.lines) is room
        again = self.store.reserve(hold)
        assert again == (answer._replace(repeated=True) if isinstance(answer, Held) else answer)
        if isinstance(answer, Held):
            assert answer.expires_at == self.model.calls[hold.call].ends_at

    @precondition(lambda self: self.model.calls)
    @rule(data=st.data(), amount=AMOUNTS, others=ACCOUNTS)
    def settle(self, data: st.DataObject, amount: int, others: set[int]) -> None:
        id = data.draw(st.sampled_from(sorted(self.model.calls)))
        charged = dict.fromkeys([*list(self.model.calls[id].amounts)[:2], *self.some(others)], amount)
        settlement = settlement_lines(id, *charged.items(), now=self.now)
        repeated = self.model.calls[id].state == "settled"
        late = not repeated and self.model.settle(settlement)
        answer = self.store.settle(settlement)
        assert answer.repeated is repeated
        assert repeated or answer.late is late
        assert self.store.settle(settlement) == answer._replace(repeated=True)

    @precondition(lambda self: self.model.calls)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(sorted(self.model.calls)))
        self.model.release(id, self.now)
        for _ in range(2):
            assert self.store.release(id, self.now).state == self.model.calls[id].state

    @rule(data=st.data(), number=st.integers(1, 3))
    def void(self, data: st.DataObject, number: int) -> None:
        """Also of a call that is not made yet: whoever makes it then holds nothing."""
        known = data.draw(st.sampled_from([*sorted(self.model.calls), ""]))
        id = known or f"{self.prefix}void {self.calls} {number}"
        if known:
            self.model.release(id, self.now)
        for _ in range(2):
            assert self.store.void(id, self.now).state == (self.model.calls[id].state if known else "released")
        if not known:
            late = self.store.reserve(Hold(id, (HoldLine(self.accounts[0], 1, LIMIT),), self.now, timedelta(seconds=9)))
            assert isinstance(late, Held)
            assert (late.state, late.lines) == ("released", ())

    @precondition(lambda self: self.model.calls)
    @rule(data=st.data(), lease=st.integers(1, 300))
    def extend(self, data: st.DataObject, lease: int) -> None:
        id = data.draw(st.sampled_from(sorted(self.model.calls)))
        extended = self.model.extend(id, timedelta(seconds=lease), self.now)
        answer = self.store.extend(id, timedelta(seconds=lease), self.now)
        assert (answer.state == "held") is extended
        assert answer.expires_at == self.model.calls[id].ends_at

    @invariant()
    def balances_are_those_of_the_model(self) -> None:
        balances = self.store.balances(self.accounts, self.now)
        assert [(balance.used, balance.held) for balance in balances] == [
            self.model.balance(each, self.now) for each in self.accounts
        ]

    def teardown(self) -> None:
        """What is spent is the sum of the entries, and open calls are those that are held or have expired."""
        entries: list[Any] = []
        for each in self.accounts:
            made = self.store.entries(EntryQuery(account=each, limit=1000)).items
            assert sum(entry.amount for entry in made) == self.model.used.get(each, 0)
            entries += made
        assert all(number == 1 for number in Counter((entry.call, entry.account) for entry in entries).values())
        budget = self.accounts[0].budget
        listed = [
            item.call
            for expired in (False, True)
            for item in self.store.reservations(ReservationQuery(budget, expired=expired, limit=1000), self.now).items
        ]
        assert sorted(listed) == sorted(
            id for id, call in self.model.calls.items() if call.state == "held" and call.amounts
        )


def test_any_sequence_of_operations_obeys_the_laws(store: Store) -> None:
    run_state_machine_as_test(
        lambda: Laws(store),
        settings=settings(
            max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
