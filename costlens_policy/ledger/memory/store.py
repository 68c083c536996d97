"""The ledger in memory: one lock, one dictionary of accounts. It lives as long as its process."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from costlens_policy.ledger.account import Account, AccountBalance, lease_end
from costlens_policy.ledger.adjustments import Adjusted, Adjustment, Grant, adjusted_grants, grants_at
from costlens_policy.ledger.alerts import AlertClaim, PendingAlert
from costlens_policy.ledger.amounts import SECOND, instant_of, micros
from costlens_policy.ledger.calls import (
    Carry,
    Charge,
    ChargedLine,
    Extended,
    Held,
    Hold,
    HoldLine,
    LineState,
    Refused,
    Released,
    Settled,
    Settlement,
)
from costlens_policy.ledger.carrying import limit_with_carried, most_added
from costlens_policy.ledger.history import (
    AccountQuery,
    Entry,
    EntryQuery,
    Page,
    Reservation,
    ReservationQuery,
    place_number,
    unknown_call,
)
from costlens_policy.ledger.memory.calls import AdjustmentRecord, Drawn, OpenCall, SetAside, SettledCall, Tally
from costlens_policy.ledger.shares import Draw, draw_on

__all__ = ["Journal", "MemoryStore", "Outbox"]


class MemoryStore:
    """A ``Store`` for any number of threads of one process.

    It remembers the last ``history`` calls and entries, on which balances do not depend. Of more accounts than that,
    those whose period is over are forgotten.
    """

    def __init__(self, history: int = 100_000) -> None:
        self._lock = Lock()
        self._size = history
        self._tallies: dict[str, Tally] = {}
        self._grants: dict[str, tuple[Grant, ...]] = {}
        self._journal = Journal(history)
        self._outbox = Outbox()
        self._enders: dict[str, set[Tally]] = {}
        """Which accounts have a share that a call ends once it is voided."""

    def reserve(self, hold: Hold) -> Held | Refused:
        now = micros(hold.now)
        end = lease_end(now, hold.lease)
        with self._lock:
            record = self._journal.calls.get(hold.call)
            if record is not None:
                return record.held_again(hold, now)
            for other in hold.unless:
                if other in self._journal.calls:
                    return Refused(hold.call, (), other)
            tallies: list[Tally] = []
            states, room, known, granted = [], True, self._tallies, self._grants
            before: dict[int, tuple[int, ...]] = {}
            for line in hold.lines:
                account, amount = line.account, line.amount
                tally = known.get(account.name) or Tally(account)
                if not tally.since <= now < tally.until:
                    tally.move(now)
                used, held = tally.used, tally.held
                limit = self._limit(line, now) if granted else line.limit
                if line.carry is not None:
                    limit, before[len(tallies)] = self._limit_with_carried(hold, line, line.carry, now)
                    tally.needed_until = line.carry.windows[0].period.resets_at
                if limit is not None and used + held + amount > limit:
                    room = False
                tallies.append(tally)
                states.append(LineState(account, amount, limit, used, held))
            earlier = tuple(before.get(place, ()) for place in range(len(tallies))) if before else ()
            if hold.shares:
                answer = self._reserve_with_shares(hold, states, tallies, now, end)
                return answer._replace(earlier=earlier) if earlier else answer
            if not room:
                return Refused(hold.call, _shown(tallies, states), earlier=earlier)
            answer = self._hold(hold, tuple(states), tallies, now, end)
            return answer._replace(earlier=earlier) if earlier else answer

    def settle(self, settlement: Settlement) -> Settled:
        return self._settle(settlement, unknown=False)

    def charge(self, settlement: Settlement) -> Settled:
        return self._settle(settlement, unknown=True)

    def release(self, call: str, now: datetime) -> Released:
        with self._lock:
            record = self._journal.calls.get(call)
            if not isinstance(record, OpenCall):
                return Released(call, "unknown" if record is None else "settled")
            record.unhold(micros(now))
            record.released = True
            return Released(call, "released")

    def void(self, call: str, now: datetime) -> Released:
        at = micros(now)
        with self._lock:
            if call not in self._journal.calls:
                self._journal.add_open(call, OpenCall.voided(call, now, at), at)
            for owner in self._enders.pop(call, ()):
                if owner.share is not None and call in owner.share.ends:
                    owner.share.free(at)
                    owner.share = None
        return self.release(call, now)

    def extend(self, call: str, lease: timedelta, now: datetime) -> Extended:
        at = micros(now)
        end = lease_end(at, lease)
        with self._lock:
            record = self._journal.calls.get(call)
            if record is None or record.end is None:
                raise unknown_call(call)
            if isinstance(record, SettledCall):
                return Extended(call, "settled", instant_of(record.end * SECOND))
            state = record.state(at)
            if state == "held" and not record.counts(at):
                state = "expired"
            if state == "held" and end > record.end:
                record.lengthen(end)
            if state == "held" and record.draws:
                record.renew_shares(at)
            return Extended(call, state, instant_of(record.end * SECOND))

    def balances(self, accounts: Sequence[Account], now: datetime) -> tuple[AccountBalance, ...]:
        at = micros(now)
        with self._lock:
            return tuple(self._balance(account, at) for account in accounts)

    def next_end(self, account: Account, now: datetime) -> datetime | None:
        with self._lock:
            tally = self._tallies.get(account.name)
            second = None if tally is None else tally.next_end(micros(now))
        return None if second is None else instant_of(second * SECOND)

    def accounts(self, query: AccountQuery, now: datetime) -> Page[AccountBalance]:
        at = micros(now)
        with self._lock:
            found = [tally.account for tally in self._tallies.values() if query.covers(tally.account)]
            rest = sorted((account for account in found if account.name > query.after), key=lambda item: item.name)
            page = rest[: query.limit]
            following = page[-1].name if len(rest) > len(page) else ""
            return Page(tuple(self._balance(account, at) for account in page), following)

    def adjust(self, adjustment: Adjustment) -> Adjusted:
        now = micros(adjustment.now)
        account = adjustment.account
        with self._lock:
            record = self._journal.adjustments.get(adjustment.id)
            if record is not None:
                return Adjusted(adjustment.id, record.adjusted.balance, repeated=True)
            if adjustment.kind == "correct":
                adjustment.corrected(self._balance(account, now).used)
            tally, amount = self._at(account, now), adjustment.amount
            if tally.is_new:
                self._keep(tally, adjustment.now)
            if adjustment.kind == "set":
                amount = tally.set(amount, now)
            elif adjustment.kind == "correct":
                tally.correct(adjustment, now)
            else:
                self._grants[account.scope] = adjusted_grants(self._grants.get(account.scope, ()), adjustment)
            adjusted = Adjusted(adjustment.id, self._balance(account, now)._replace(set_aside=0, share=None))
            self._journal.add_adjustment(AdjustmentRecord(adjustment, adjusted, amount))
            return adjusted

    def reservation(self, call: str, now: datetime) -> Reservation | None:
        with self._lock:
            record = self._journal.calls.get(call)
            return None if record is None else record.reservation(micros(now))

    def reservations(self, query: ReservationQuery, now: datetime) -> Page[Reservation]:
        with self._lock:
            return self._journal.reservations(query, micros(now))

    def entries(self, query: EntryQuery) -> Page[Entry]:
        with self._lock:
            return self._journal.entries(query)

    def claim_alert(self, claim: AlertClaim, now: datetime, lease: timedelta) -> bool:
        return self._outbox.claim(claim, now, lease)

    def pending_alerts(self, now: datetime, lease: timedelta, limit: int = 100) -> tuple[PendingAlert, ...]:
        return self._outbox.take(now, lease, limit)

    def alert_delivered(self, claim: AlertClaim, now: datetime) -> None:
        self._outbox.delivered(claim)

    def alert_failed(self, claim: AlertClaim, retry_at: datetime, problem: str) -> None:
        self._outbox.failed(claim, retry_at, problem)

    def close(self) -> None:
        """Do nothing: memory needs no closing."""

    def _reserve_with_shares(
        self, hold: Hold, states: list[LineState], tallies: list[Tally], now: int, end: int
    ) -> Held | Refused:
        lines, draws = draw_on(
            hold.shares,
            states,
            lambda place, of: _left_of(tallies[place], tallies[of], now),
            lambda place: tallies[place].aside,
        )
        if all(line.has_room for line in lines):
            return self._hold(hold, lines, tallies, now, end, draws)
        return Refused(hold.call, _shown(tallies, lines))

    def _hold(
        self,
        hold: Hold,
        lines: tuple[LineState, ...],
        tallies: list[Tally],
        now: int,
        end: int,
        draws: Sequence[Draw] = (),
    ) -> Held:
        ends = []
        for tally, line in zip(tallies, lines, strict=True):
            if tally.is_new:
                self._keep(tally, hold.now)
            if tally.windowed:
                tally.begin(now)
            ends.append(tally.hold(line.amount, end))
        taken = self._draw(tallies, draws, now) if draws else ()
        lines = _shown(tallies, lines)
        self._journal.add_open(hold.call, OpenCall(hold, lines, now, end, ends, taken), now)
        return Held(hold.call, lines, end)

    def _draw(self, tallies: list[Tally], draws: Sequence[Draw], now: int) -> list[Drawn]:
        """Take what a call draws off its shares, of which some begin with it."""
        for draw in draws:
            owner, of, terms = tallies[draw.place], tallies[draw.of], draw.share
            if draw.begins:
                if owner.share is not None:  # on an account of another period, as a rule
                    owner.share.free(now)
                owner.share = SetAside(of, terms.lease, terms.ends, now)
                self._remember_ends(terms.ends, owner)
            assert owner.share is not None
            owner.share.put(draw.left, now)
        return [Drawn(draw.of, tallies[draw.place], draw.amount) for draw in draws]

    def _remember_ends(self, ends: Sequence[str], owner: Tally) -> None:
        """Remember which calls end the share of an account; of too many the oldest are forgotten."""
        for call in ends:
            self._enders.setdefault(call, set()).add(owner)
            if len(self._enders) > self._size:
                del self._enders[next(iter(self._enders))]

    def _settle(self, settlement: Settlement, unknown: bool) -> Settled:
        now = micros(settlement.now)
        with self._lock:
            record = self._journal.calls.get(settlement.call)
            if isinstance(record, SettledCall):
                return record.settled_again()
            if record is None and not unknown:
                raise unknown_call(settlement.call)
            return self._charge(record, settlement, now)

    def _charge(self, record: OpenCall | None, settlement: Settlement, now: int) -> Settled:
        flat: list[Any] = []
        lines: list[ChargedLine] = []
        late, at, end, facts, reserved_at = False, now, None, settlement.facts, settlement.now
        others: Sequence[Charge] = settlement.charges
        if record is not None:
            at, end, reserved_at = max(now, record.reserved_at), record.end, record.hold.now
            facts = {**record.hold.facts, **facts} if facts else record.hold.facts
            late, others = record.charge(others, now, at, lines, flat)
        for charge in others:
            tally = self._at(charge.account, now)
            if tally.is_new:
                self._keep(tally, settlement.now)
            tally.charge(charge.amount, at)
            lines.append(ChargedLine(tally.shown, charge.amount, 0, tally.used, tally.held))
            flat += (charge.account, None, None, 0, 0, charge.amount, tally.used, tally.held)
        shared = tuple(line[5:] for line in record.lines) if record is not None and record.draws else ()
        settled = SettledCall(settlement.call, tuple(flat), reserved_at, settlement.now, late, end, facts, shared)
        self._journal.add_settled(settled, len(settlement.charges))
        return Settled(settlement.call, tuple(lines), settlement.now, late)

    def _at(self, account: Account, now: int) -> Tally:
        """Return the account's tally, right for ``now``; a new one is not kept yet."""
        tally = self._tallies.get(account.name) or Tally(account)
        tally.move(now)
        return tally

    def _keep(self, tally: Tally, now: datetime) -> None:
        """Keep a tally that something is written to; of too many the oldest goes, if its period is over."""
        tally.is_new = False
        self._tallies[tally.account.name] = tally
        if len(self._tallies) > self._size:
            oldest = next(iter(self._tallies.values()))
            if oldest.ended_before(now):
                del self._tallies[oldest.account.name]

    def _limit(self, line: HoldLine, now: int) -> int | None:
        if line.limit is None:
            return None
        grants = self._grants.get(line.account.scope, ())
        return grants_at(grants, line.account.period, now).applied_to(line.limit)

    def _limit_with_carried(
        self, hold: Hold, line: HoldLine, carry: Carry, now: int
    ) -> tuple[int | None, tuple[int, ...]]:
        taken = []
        for window in carry.windows:
            tally = self._tallies.get(window.name)
            if tally is not None:
                tally.move(now)
            taken.append(None if tally is None else tally.used + tally.held)
        grants = self._grants.get(line.account.scope, ())
        return limit_with_carried(carry, line.limit, most_added(hold, line), taken, grants, now)

    def _balance(self, account: Account, now: int) -> AccountBalance:
        tally = self._tallies.get(account.name)
        grants = grants_at(self._grants.get(account.scope, ()), account.period, now)
        if tally is None:
            return AccountBalance(account if account.period.first_use is None else account.begun(None), grants=grants)
        shown = tally.shown_at(now) if tally.windowed else account
        return AccountBalance(shown, *tally.at(now), grants, tally.aside_at(now), tally.share_at(now))


def _left_of(owner: Tally, of: Tally, now: int) -> int | None:
    """Return what is left of the share that one account has of another one, both right for ``now``; None where none
    lives.
    """
    share = owner.share
    return share.left if share is not None and share.lives(of, now) else None


def _shown(tallies: Sequence[Tally], lines: Sequence[LineState]) -> tuple[LineState, ...]:
    """Return lines with the windows from first use that are in force."""
    if not any(tally.windowed for tally in tallies):
        return tuple(lines)
    return tuple(line._replace(account=tally.shown) for tally, line in zip(tallies, lines, strict=True))


class Journal:
    """Calls and adjustments by id, and their entries in the order in which they were made. Not safe to share."""

    def __init__(self, size: int) -> None:
        self.calls: dict[str, OpenCall | SettledCall] = {}
        self.adjustments: dict[str, AdjustmentRecord] = {}
        self._size = size
        self._made: deque[SettledCall | AdjustmentRecord] = deque(maxlen=size)
        self._entries = 0

    def add_open(self, call: str, record: OpenCall, now: int) -> None:
        calls = self.calls
        calls[call] = record
        if len(calls) > self._size:
            oldest = next(iter(calls))
            first = calls.pop(oldest)
            if isinstance(first, OpenCall) and first.state(now) == "held":
                calls[oldest] = first  # still needed: it takes its turn again

    def add_settled(self, record: SettledCall, entries: int) -> None:
        """Replace the open call by the settled one, which has made this many entries."""
        self.calls[record.call] = record
        record.first_entry = self._entries
        self._entries += entries
        self._made.append(record)

    def add_adjustment(self, record: AdjustmentRecord) -> None:
        self.adjustments[record.adjustment.id] = record
        if len(self.adjustments) > self._size:
            del self.adjustments[next(iter(self.adjustments))]
        record.first_entry = self._entries
        self._entries += 1
        self._made.append(record)

    def entries(self, query: EntryQuery) -> Page[Entry]:
        found: list[Entry] = []
        for entry in self._in_order(query):
            if not query.covers(entry):
                continue
            if len(found) == query.limit:
                return Page(tuple(found), found[-1].id)
            found.append(entry)
        return Page(tuple(found))

    def reservations(self, query: ReservationQuery, now: int) -> Page[Reservation]:
        calls = [record for record in self.calls.values() if isinstance(record, OpenCall)]
        found = sorted(
            [record for record in calls if record.state(now) == query.state],
            key=lambda record: (record.end, record.hold.call),
        )
        place = query.place()
        rest = [record.reservation(now) for record in found if (record.end, record.hold.call) > place]
        rest = [item for item in rest if query.covers(item)]
        page = tuple(rest[: query.limit])
        return Page(page, query.following(page[-1]) if len(rest) > len(page) else "")

    def _in_order(self, query: EntryQuery) -> Iterator[Entry]:
        after = place_number(query.after) if query.after else None
        for record in reversed(self._made) if query.newest_first else self._made:
            entries = list(record.entries())
            for entry in reversed(entries) if query.newest_first else entries:
                number = int(entry.id)
                if after is None or (number < after if query.newest_first else number > after):
                    yield entry


class Outbox:
    """Claims, and those of them that nobody has reported as delivered."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._claimed: set[str] = set()
        self._pending: dict[str, tuple[datetime, PendingAlert]] = {}

    def claim(self, claim: AlertClaim, now: datetime, lease: timedelta) -> bool:
        with self._lock:
            if claim.id in self._claimed:
                return False
            self._claimed.add(claim.id)
            self._pending[claim.id] = (now + lease, PendingAlert(claim, now, 1))
            return True

    def take(self, now: datetime, lease: timedelta, limit: int) -> tuple[PendingAlert, ...]:
        with self._lock:
            due = sorted((at, number, alert) for number, (at, alert) in enumerate(self._pending.values()) if at <= now)
            taken = tuple(alert for _, _, alert in due[:limit])
            for alert in taken:
                again = PendingAlert(alert.claim, alert.claimed_at, alert.attempts + 1, alert.problem)
                self._pending[alert.claim.id] = (now + lease, again)
            return taken

    def delivered(self, claim: AlertClaim) -> None:
        with self._lock:
            self._pending.pop(claim.id, None)

    def failed(self, claim: AlertClaim, retry_at: datetime, problem: str) -> None:
        with self._lock:
            if claim.id in self._pending:
                _, alert = self._pending[claim.id]
                again = PendingAlert(alert.claim, alert.claimed_at, alert.attempts, problem)
                self._pending[claim.id] = (retry_at, again)
