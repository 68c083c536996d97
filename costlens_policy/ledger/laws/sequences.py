"""Laws of any sequence of operations: a plain model explains it, and some serial order what many threads do."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from costlens_policy.ledger import (
    Account,
    AccountQuery,
    Adjustment,
    AdjustmentError,
    AlertClaim,
    EntryQuery,
    Held,
    Hold,
    HoldLine,
    ReservationQuery,
    Settlement,
    Share,
    Store,
)
from costlens_policy.ledger.account import lease_end
from costlens_policy.ledger.amounts import SECOND, instant_of, micros
from costlens_policy.ledger.laws.build import LEASE, NOW, account, hold, settlement, settlement_lines

__all__ = ["SequenceLaws", "ThreadLaws"]

_LIMIT = 1000

_SHARE = 600

_AMOUNTS = st.integers(0, 600)

_ACCOUNTS = st.sets(st.integers(0, 2), max_size=3)

_machines = count()


class _Machine(RuleBasedStateMachine):
    """One store and the model, side by side. The clock jumps forth and back."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        machine = next(_machines)
        self.store = store
        self.model = _Model()
        self.now: datetime = NOW
        self.calls = 0
        self.prefix = f"{machine}/"
        self.accounts = [account(f"laws-{machine}", str(number)) for number in range(3)]
        self.owners = [account(f"laws-{machine}/shares", str(number)) for number in range(2)]
        """The first one has a share of the first account, the other one a share of that or of the second account."""
        self.ends = [f"{self.prefix}end 0", f"{self.prefix}end 1"]

    def some(self, numbers: set[int]) -> list[Account]:
        return [self.accounts[number] for number in sorted(numbers)]

    @rule(seconds=st.integers(-90, 120))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds, milliseconds=7)

    @rule(numbers=_ACCOUNTS, amount=_AMOUNTS, lease=st.integers(1, 100), shadow=st.booleans())
    def reserve(self, numbers: set[int], amount: int, lease: int, shadow: bool) -> None:
        self.calls += 1
        limit = None if shadow else _LIMIT
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

    @rule(
        amount=_AMOUNTS, which=st.sampled_from(["outer", "inner", "both", "beside"]), lease=st.integers(1, 100),
        idle=st.integers(1, 200), shadow=st.booleans(),
    )  # fmt: skip
    def reserve_of_shares(self, amount: int, which: str, lease: int, idle: int, shadow: bool) -> None:
        self.calls += 1
        outer, inner, kept = *self.owners, timedelta(seconds=idle)
        shares = {
            "outer": [Share(outer, self.accounts[0], kept, (self.ends[0],))],
            "inner": [Share(inner, outer, kept, tuple(self.ends))],
            "beside": [Share(inner, self.accounts[1], kept, (self.ends[1],))],
        }
        shares["both"] = shares["inner"] + shares["outer"]
        used = dict.fromkeys(each for share in shares[which] for each in (share.of, share.account))
        lines = tuple(
            HoldLine(each, amount, None if shadow and each in self.accounts else _SHARE if each is inner else _LIMIT)
            for each in used
        )
        hold = Hold(
            f"{self.prefix}{self.calls}", lines, self.now, timedelta(seconds=lease), unless=tuple(self.ends),
            shares=tuple(shares[which]),
        )  # fmt: skip
        room = self.model.reserve(hold)
        answer = self.store.reserve(hold)
        assert isinstance(answer, Held) is room
        again = self.store.reserve(hold)
        assert again == (answer._replace(repeated=True) if isinstance(answer, Held) else answer)

    @rule(number=st.integers(0, 1))
    def end_shares(self, number: int) -> None:
        self.model.end_shares(self.ends[number], self.now)
        self.store.void(self.ends[number], self.now)
        self.calls += 1
        self.ends[number] = f"{self.prefix}end {self.calls + 1}"

    @precondition(lambda self: self.model.calls)
    @rule(data=st.data(), amount=_AMOUNTS, others=_ACCOUNTS)
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
            late = self.store.reserve(
                Hold(id, (HoldLine(self.accounts[0], 1, _LIMIT),), self.now, timedelta(seconds=9))
            )
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

    @rule(number=st.integers(0, 2), amount=st.integers(-700, 700))
    def correct(self, number: int, amount: int) -> None:
        """What would leave less than nothing is refused, and leaves no trace."""
        self.calls += 1
        each, id = self.accounts[number], f"{self.prefix}correct {self.calls}"
        correction = Adjustment(id, "correct", each, amount, "ann", "an invoice", self.now)
        used = self.model.used.get(each, 0) + amount
        if used < 0:
            with pytest.raises(AdjustmentError):
                self.store.adjust(correction)
            return
        self.model.touch(each, self.now)
        self.model.used[each] = used
        for repeated in (False, True):
            answer = self.store.adjust(correction)
            assert (answer.balance.used, answer.repeated) == (used, repeated)

    @invariant()
    def balances_are_those_of_the_model(self) -> None:
        each = [*self.accounts, *self.owners]
        found = [(it.used, it.held, it.set_aside, it.share) for it in self.store.balances(each, self.now)]
        assert found == [(*self.model.balance(item, self.now), *self.model.shares(item, self.now)) for item in each]

    @rule(number=st.integers(0, 2))
    def the_next_end_is_that_of_the_model(self, number: int) -> None:
        each = self.accounts[number]
        assert self.store.next_end(each, self.now) == self.model.next_end(each, self.now)

    def teardown(self) -> None:
        """What is spent is the sum of the entries, and open calls are those that are held or have expired."""
        entries: list[Any] = []
        for each in (*self.accounts, *self.owners):
            made = self.store.entries(EntryQuery(account=each, limit=1000)).items
            assert sum(entry.amount for entry in made) == self.model.used.get(each, 0)
            entries += made
        assert all(number == 1 for number in Counter((entry.call, entry.account) for entry in entries).values())
        listed = [
            item.call
            for budget in (self.accounts[0].budget, self.owners[0].budget)
            for expired in (False, True)
            for item in self.store.reservations(ReservationQuery(budget, expired=expired, limit=1000), self.now).items
        ]
        assert sorted(set(listed)) == sorted(
            id for id, call in self.model.calls.items() if call.state == "held" and call.amounts
        )


class SequenceLaws:
    """Every store does what the plain model does."""

    def test_any_sequence_of_operations_obeys_the_laws(self, store: Store) -> None:
        run_state_machine_as_test(
            cast(type[RuleBasedStateMachine], lambda: _Machine(store)),
            settings=settings(
                max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )


_CALLS = 56


class ThreadLaws:
    """Whatever threads do at once equals some serial order."""

    def test_a_reader_who_follows_the_history_sees_each_entry_once(self, store: Store) -> None:
        """Reads while others write: whatever is acknowledged comes, however commits overtake each other."""
        teams = [account(key=f"{number}") for number in range(8)]

        def charge(worker: int) -> list[str]:
            calls = [f"{worker}/{number}" for number in range(25)]
            for call in calls:
                store.charge(settlement(call, teams[worker], 1))
            return calls

        seen: list[str] = []
        after = ""
        with ThreadPoolExecutor(len(teams)) as pool:
            writers = [pool.submit(charge, worker) for worker in range(len(teams))]
            while True:
                over = all(writer.done() for writer in writers)
                page = store.entries(EntryQuery(after=after, limit=3)).items
                seen += [entry.call for entry in page]
                after = page[-1].id if page else after
                if over and not page:
                    break
        made = [call for writer in writers for call in writer.result()]
        assert sorted(seen) == sorted(made)

    def test_any_interleaving_equals_some_serial_order(self, store: Store) -> None:
        """Each call has a bit of its own, so that an answer says exactly which operations came before it."""
        team = account()

        def call(number: int) -> list[tuple[int, int, int]]:
            bit = 1 << number
            held = store.reserve(hold(f"{number}", team, bit, None))
            assert isinstance(held, Held)
            before = held.lines[0]
            settled = store.settle(settlement(f"{number}", team, bit)).lines[0]
            used = settled.used - bit
            return [
                (before.used | before.held, before.used, number),
                (settled.used | settled.held, used, _CALLS + number),
            ]

        with ThreadPoolExecutor(8) as pool:
            events = [event for found in pool.map(call, range(_CALLS)) for event in found]
        events.sort(key=lambda event: event[0].bit_count() + event[1].bit_count())
        ever_held, used = 0, 0
        for seen_held, seen_used, operation in events:
            assert (seen_held, seen_used) == (ever_held, used)
            if operation < _CALLS:
                ever_held |= 1 << operation
            else:
                used |= 1 << (operation - _CALLS)
        assert store.balances([team], NOW)[0].used == (1 << _CALLS) - 1

    def test_one_of_many_claims_an_alert(self, store: Store) -> None:
        claims = [AlertClaim("b", str(number), "lifetime", "1") for number in range(5)]
        with ThreadPoolExecutor(8) as pool:
            for claim in claims:
                assert sum(pool.map(lambda _: store.claim_alert(claim, NOW, LEASE), range(8))) == 1  # noqa: B023 (same loop)
        late = NOW + timedelta(hours=1)
        with ThreadPoolExecutor(8) as pool:
            taken = [
                alert.claim
                for found in pool.map(lambda _: store.pending_alerts(late, LEASE, 2), range(8))
                for alert in found
            ]
        assert sorted(claim.key for claim in taken) == [claim.key for claim in claims]

    def test_one_id_at_the_same_moment_is_one_call(self, store: Store) -> None:
        team = account()
        with ThreadPoolExecutor(8) as pool:
            for number in range(10):
                answers = list(pool.map(lambda _: store.reserve(hold(f"{number}", team, 10, 100)), range(8)))  # noqa: B023 (same loop)
                assert [type(answer) for answer in answers] == [Held] * 8
                assert sum(not answer.repeated for answer in answers if isinstance(answer, Held)) == 1
                settled = list(pool.map(lambda _: store.charge(settlement(f"{number}", team, 1)), range(8)))  # noqa: B023 (same loop)
                assert sum(not answer.repeated for answer in settled) == 1
            charged = list(pool.map(lambda _: store.charge(settlement("unheld", team, 5)), range(8)))
            assert sum(not answer.repeated for answer in charged) == 1
        assert store.balances([team], NOW)[0].used == 15
        assert len(store.entries(EntryQuery()).items) == 11
        assert len(store.accounts(AccountQuery(), NOW).items) == 1


@dataclass
class _Call:
    """A call, and the holds of it that its accounts still count. ``drawn`` is what it took of shares, by the account of
    which they are shares and the one that has them.
    """

    amounts: dict[Account, int]
    ends_at: datetime
    state: str = "held"
    drawn: dict[tuple[Account, Account], int] = field(default_factory=dict)


@dataclass
class _Model:
    """Accounts for ever, that is without periods.

    A share is a hold of the account of which it is one, under the account that has it.
    """

    used: dict[Account, int] = field(default_factory=dict)
    holds: dict[Account, dict[str | Account, tuple[int, datetime]]] = field(default_factory=dict)
    calls: dict[str, _Call] = field(default_factory=dict)
    terms: dict[Account, Share] = field(default_factory=dict)

    def balance(self, account: Account, now: datetime) -> tuple[int, int]:
        held = sum(amount for amount, ends_at in self.holds.get(account, {}).values() if now < ends_at)
        return self.used.get(account, 0), held

    def shares(self, account: Account, now: datetime) -> tuple[int, int | None]:
        """Return what an account has set aside, and what is left of its own share."""
        own = [holds[account] for holds in self.holds.values() if account in holds]
        return self.set_aside(account, now), next((left for left, ends_at in own if now < ends_at), None)

    def set_aside(self, account: Account, now: datetime) -> int:
        kept = self.holds.get(account, {}).items()
        return sum(left for owner, (left, ends_at) in kept if isinstance(owner, Account) and now < ends_at)

    def next_end(self, account: Account, now: datetime) -> datetime | None:
        held = self.holds.get(account, {}).values()
        return min((ends_at for amount, ends_at in held if amount and now < ends_at), default=None)

    def reserve(self, hold: Hold) -> bool:
        """Hold, and return whether there was room. The call must be new, and none that bars it known."""
        for line in hold.lines:
            self.touch(line.account, hold.now)
        lines = {line.account: line for line in hold.lines}
        left, own, begun = {}, Counter[Account](), Counter[Account]()
        for share in hold.shares:
            known = self.holds.get(share.of, {}).get(share.account)
            if known is not None and hold.now < known[1]:
                left[share.of, share.account] = known[0]
                own[share.of] += known[0]
            elif (limit := lines[share.account].limit) is not None:
                spent = sum(self.balance(share.account, hold.now)) - self.set_aside(share.account, hold.now)
                rest = left[share.of, share.account] = max(0, limit - spent)
                begun[share.of] += max(0, rest - lines[share.of].amount)
        for each, line in lines.items():
            asked = sum(self.balance(each, hold.now)) - own[each] + line.amount + begun[each]
            if line.limit is not None and asked > line.limit:
                return False
        ends_at = self.ends_at(hold.now, hold.lease)
        for line in hold.lines:
            self.holds.setdefault(line.account, {})[hold.call] = line.amount, ends_at
        drawn = {pair: min(rest, lines[pair[0]].amount) for pair, rest in left.items()}
        self.calls[hold.call] = _Call({line.account: line.amount for line in hold.lines}, ends_at, drawn=drawn)
        for share in hold.shares:
            if (share.of, share.account) in left:
                self.begin(share, hold.now)
                pair = share.of, share.account
                self.put(*pair, left[pair] - drawn[pair], hold.now)
        return True

    def begin(self, share: Share, now: datetime) -> None:
        """Let a share begin, unless it lives."""
        _, ends_at = self.holds[share.of].get(share.account, (0, now))
        if ends_at <= now:
            before = self.terms.get(share.account, share).of
            if before != share.of:
                self.touch(before, now)
                self.holds[before].pop(share.account, None)
            self.terms[share.account] = share

    def put(self, of: Account, owner: Account, left: int, now: datetime) -> None:
        _, ends_at = self.holds[of].get(owner, (0, now))
        self.holds[of][owner] = left, max(ends_at, self.ends_at(now, self.terms[owner].lease))

    def put_back(self, id: str, of: Account, charged: int | None, now: datetime) -> None:
        """Put back what a call drew and did not use; for None only begin the leases of its shares anew."""
        call = self.calls[id]
        for (each, owner), drawn in call.drawn.items():
            left, ends_at = self.holds.get(of, {}).get(owner, (0, now))
            if each == of and now < ends_at:
                if charged is not None:
                    left = max(0, left + max(0, drawn - charged) - max(0, charged - call.amounts[of]))
                self.put(of, owner, left, now)

    def end_shares(self, end: str, now: datetime) -> None:
        for owner in [owner for owner, share in self.terms.items() if end in share.ends]:
            of = self.terms.pop(owner).of
            self.touch(of, now)
            self.holds[of].pop(owner, None)

    def settle(self, settlement: Settlement) -> bool:
        """Charge, and return whether it was late. The call must be known, and not settled."""
        call = self.calls[settlement.call]
        late = call.state != "held" or settlement.now >= call.ends_at
        charged = {charge.account: charge.amount for charge in settlement.charges}
        for each in call.amounts:
            self.touch(each, settlement.now)
            if self.holds.get(each, {}).pop(settlement.call, None) is None:
                late = True
            else:
                self.put_back(settlement.call, each, charged.get(each, 0), settlement.now)
        for charge in settlement.charges:
            self.touch(charge.account, settlement.now)
            self.used[charge.account] = self.used.get(charge.account, 0) + charge.amount
        call.state = "settled"
        return late

    def release(self, id: str, now: datetime) -> None:
        call = self.calls[id]
        if call.state == "held":
            call.state = "released"
            for each in call.amounts:
                self.touch(each, now)
                if self.holds.get(each, {}).pop(id, None) is not None:
                    self.put_back(id, each, 0, now)

    def extend(self, id: str, lease: timedelta, now: datetime) -> bool:
        """Lengthen the lease, and return whether it had not ended."""
        call = self.calls[id]
        if call.state != "held" or now >= call.ends_at:
            return False
        for each in call.amounts:
            self.touch(each, now)
        if not all(id in self.holds.get(each, {}) for each in call.amounts):
            return False
        call.ends_at = max(call.ends_at, self.ends_at(now, lease))
        for each, amount in call.amounts.items():
            self.holds[each][id] = amount, call.ends_at
            self.put_back(id, each, None, now)
        return True

    def touch(self, account: Account, now: datetime) -> None:
        """Free for good what has expired by this clock."""
        holds = self.holds.get(account, {})
        for id in [id for id, (_, ends_at) in holds.items() if now >= ends_at]:
            del holds[id]

    @staticmethod
    def ends_at(now: datetime, lease: timedelta) -> datetime:
        return instant_of(lease_end(micros(now), lease) * SECOND)
