"""The ledger in a SQLite file: calls are reserved, settled and given back here, each in one transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from costlens_policy.ledger.account import Account, AccountBalance, lease_end
from costlens_policy.ledger.adjustments import Adjusted, Adjustment
from costlens_policy.ledger.alerts import AlertClaim, PendingAlert
from costlens_policy.ledger.amounts import SECOND, instant_of, micros
from costlens_policy.ledger.calls import (
    CallState,
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
    facts_text,
    facts_value,
    json_text,
)
from costlens_policy.ledger.carrying import limit_with_carried, most_added
from costlens_policy.ledger.history import (
    AccountQuery,
    Entry,
    EntryQuery,
    Page,
    Reservation,
    ReservationQuery,
    ReservedLine,
    call_state,
    charged_without_hold,
    held_again,
    match_charges,
    unknown_call,
)
from costlens_policy.ledger.shares import Draw, draw_on, put_back
from costlens_policy.ledger.sqlite import records
from costlens_policy.ledger.sqlite.accounts import AccountRow, load_account, load_account_by_id
from costlens_policy.ledger.sqlite.file import LedgerFile
from costlens_policy.ledger.sqlite.records import add_entry, grants_of, limit_in_force
from costlens_policy.ledger.sqlite.shares import begin_share, end_shares, find_share, set_aside_at

__all__ = ["SQLiteStore"]


class SQLiteStore:
    """A ``Store`` for any number of threads and processes of one machine.

    What it has answered survives a crash of the machine.

    The file, and its folder if the file is new, must be writable and on a local disk. ``timeout`` is how many seconds
    to wait for other writers. A version that is not the one of this package is brought up to date if older, and
    refused if newer. With ``read_only`` the file must be there, and need not be writable.
    """

    def __init__(self, path: str, timeout: float = 10.0, *, read_only: bool = False) -> None:
        self._file = LedgerFile(path, timeout, read_only=read_only)
        self._file.open()

    def reserve(self, hold: Hold) -> Held | Refused:
        with self._file.writing() as db:
            return _reserve(db, hold)

    def settle(self, settlement: Settlement) -> Settled:
        with self._file.writing() as db:
            return _settle(db, settlement, unknown=False)

    def charge(self, settlement: Settlement) -> Settled:
        with self._file.writing() as db:
            return _settle(db, settlement, unknown=True)

    def release(self, call: str, now: datetime) -> Released:
        with self._file.writing() as db:
            return _release(db, call, micros(now))

    def void(self, call: str, now: datetime) -> Released:
        with self._file.writing() as db:
            return _void(db, call, micros(now))

    def extend(self, call: str, lease: timedelta, now: datetime) -> Extended:
        end = lease_end(micros(now), lease)
        with self._file.writing() as db:
            return _extend(db, call, end, micros(now))

    def balances(self, accounts: Sequence[Account], now: datetime) -> tuple[AccountBalance, ...]:
        with self._file.reading() as db:
            return records.read_balances(db, accounts, micros(now))

    def next_end(self, account: Account, now: datetime) -> datetime | None:
        with self._file.reading() as db:
            second = load_account(db, account).next_end(micros(now) // SECOND)
        return None if second is None else instant_of(second * SECOND)

    def accounts(self, query: AccountQuery, now: datetime) -> Page[AccountBalance]:
        with self._file.reading() as db:
            return records.read_accounts(db, query, micros(now))

    def adjust(self, adjustment: Adjustment) -> Adjusted:
        with self._file.writing() as db:
            return records.adjust(db, adjustment)

    def reservation(self, call: str, now: datetime) -> Reservation | None:
        with self._file.reading() as db:
            return _reservation(db, call, micros(now))

    def reservations(self, query: ReservationQuery, now: datetime) -> Page[Reservation]:
        with self._file.reading() as db:
            return records.read_reservations(db, query, micros(now))

    def entries(self, query: EntryQuery) -> Page[Entry]:
        with self._file.reading() as db:
            return records.read_entries(db, query)

    def claim_alert(self, claim: AlertClaim, now: datetime, lease: timedelta) -> bool:
        with self._file.writing() as db:
            return records.claim(db, claim, micros(now), micros(now + lease))

    def pending_alerts(self, now: datetime, lease: timedelta, limit: int = 100) -> tuple[PendingAlert, ...]:
        with self._file.writing() as db:
            return records.take(db, micros(now), micros(now + lease), limit)

    def alert_delivered(self, claim: AlertClaim, now: datetime) -> None:
        with self._file.writing() as db:
            records.mark_delivered(db, claim, micros(now))

    def alert_failed(self, claim: AlertClaim, retry_at: datetime, problem: str) -> None:
        with self._file.writing() as db:
            records.fail(db, claim, micros(retry_at), problem)

    def close(self) -> None:
        self._file.close()


_COLUMNS = "number, id, reserved_at, end, lines, facts, released, settled_at, late, charged"


class _Call:
    """A row of ``calls``. ``lines`` are account id, amount, limit, used and held before, generation of the hold.

    Where shares were drawn on, there follow what was their own, what was drawn and set aside, and what was drawn by the
    id of the account that has the share.
    """

    def __init__(self, row: Any) -> None:
        self.number, self.id, self.reserved_at, self.end, lines, self.facts, *after = row
        self.released, self.settled_at, self.late, charged = after
        self.lines: list[list[Any]] = json.loads(lines)
        self.charged: list[list[Any]] = json.loads(charged) if charged else []

    def state(self, now: int) -> CallState:
        return call_state(self.end, bool(self.released), self.settled_at is not None, now)


def _reserve(db: sqlite3.Connection, hold: Hold) -> Held | Refused:
    now = micros(hold.now)
    end = lease_end(now, hold.lease)
    known = _find(db, hold.call)
    if known is not None:
        return _held_again(db, known, hold, now)
    if hold.unless and (barred := _first_known(db, hold.unless)):
        return Refused(hold.call, (), barred)
    accounts = [_moved(load_account(db, line.account), now) for line in hold.lines]
    lines = tuple(_seen(db, line, account, now) for line, account in zip(hold.lines, accounts, strict=True))
    earlier: tuple[tuple[int, ...], ...] = ()
    if any(line.carry is not None for line in hold.lines):
        lines, earlier = _with_carried(db, hold, lines, accounts, now)
    draws: Sequence[Draw] = ()
    if hold.shares:
        lines, draws = _with_shares(db, hold, lines, accounts, now)
    if not all(line.has_room for line in lines):
        _save(accounts)
        return Refused(hold.call, lines, earlier=earlier)
    for line, account in zip(lines, accounts, strict=True):
        account.begin(now)
        account.hold(line.amount, end)
    taken = _draw(db, accounts, draws, now) if draws else {}
    _save(accounts)
    if any(account.windowed for account in accounts):
        lines = tuple(line._replace(account=account.shown) for line, account in zip(lines, accounts, strict=True))
    kept: list[list[Any]] = []
    for line, account in zip(lines, accounts, strict=True):
        shared = taken.get(len(kept))
        kept.append([account.id, *line[1:5], account.generation, *((*line[5:], shared) if shared else ())])
    db.execute(
        "INSERT INTO calls (id, reserved_at, end, lines, facts) VALUES (?, ?, ?, ?, ?)",
        (hold.call, now, end, json_text(kept), facts_text(hold.facts)),
    )
    return Held(hold.call, lines, end, earlier=earlier)


def _with_shares(
    db: sqlite3.Connection, hold: Hold, lines: Sequence[LineState], accounts: Sequence[AccountRow], now: int
) -> tuple[tuple[LineState, ...], list[Draw]]:
    def left_of(place: int, of: int) -> int | None:
        share = find_share(db, accounts[place].id, accounts[of], now)
        return None if share is None else share.left

    return draw_on(hold.shares, lines, left_of, lambda place: set_aside_at(db, accounts[place].id, now // SECOND))


def _draw(
    db: sqlite3.Connection, accounts: Sequence[AccountRow], draws: Sequence[Draw], now: int
) -> dict[int, list[tuple[int, int]]]:
    """Take what a call draws off its shares, of which some begin with it; return it by line and account."""
    taken: dict[int, list[tuple[int, int]]] = {}
    for draw in draws:
        owner, of = accounts[draw.place].enter(), accounts[draw.of]
        if draw.begins:
            begin_share(db, draw, accounts, now)
        elif (share := find_share(db, owner, of, now)) is not None:
            share.put(of, draw.left, now)
        taken.setdefault(draw.of, []).append((owner, draw.amount))
    return taken


def _put_back(db: sqlite3.Connection, account: AccountRow, line: Sequence[Any], charged: int, now: int) -> None:
    """Put what was drawn for a line and not used back into the shares, as far as they live."""
    for owner, drawn in line[9] if len(line) > 9 else ():
        share = find_share(db, owner, account, now)
        if share is not None:
            share.put(account, put_back(share.left, drawn, line[1], charged), now)


def _renew_shares(db: sqlite3.Connection, call: _Call, accounts: Sequence[AccountRow], now: int) -> None:
    """Let the leases of a call's shares begin anew."""
    for account, line in zip(accounts, call.lines, strict=True):
        for owner, _ in line[9] if len(line) > 9 else ():
            share = find_share(db, owner, account, now)
            if share is not None:
                share.put(account, share.left, now)


def _settle(db: sqlite3.Connection, settlement: Settlement, unknown: bool) -> Settled:
    now = micros(settlement.now)
    call = _find(db, settlement.call)
    if call is None:
        if not unknown:
            raise unknown_call(settlement.call)
        call = _insert_unheld(db, settlement, now)
    elif call.settled_at is not None:
        return _settled_again(db, call)
    return _charge(db, call, settlement, now)


def _release(db: sqlite3.Connection, id: str, now: int) -> Released:
    call = _find(db, id)
    if call is None:
        return Released(id, "unknown")
    if call.settled_at is not None:
        return Released(id, "settled")
    if not call.released:
        _unhold(db, call, now)
        db.execute("UPDATE calls SET released = 1 WHERE number = ?", (call.number,))
    return Released(id, "released")


def _void(db: sqlite3.Connection, id: str, now: int) -> Released:
    db.execute(
        "INSERT INTO calls (id, reserved_at, end, lines, facts, released) VALUES (?, ?, ?, '[]', '{}', 1)"
        " ON CONFLICT (id) DO NOTHING",
        (id, now, now // SECOND),
    )
    end_shares(db, id, now)
    return _release(db, id, now)


def _extend(db: sqlite3.Connection, id: str, end: int, now: int) -> Extended:
    call = _find(db, id)
    if call is None or call.end is None:
        raise unknown_call(id)
    state = call.state(now)
    if state == "held":
        accounts = [_moved(load_account_by_id(db, line[0]), now) for line in call.lines]
        if not all(account.counts(call.end, line[5]) for account, line in zip(accounts, call.lines, strict=True)):
            state = "expired"
        elif end > call.end:
            _lengthen(db, call, accounts, end)
        if state == "held":
            _renew_shares(db, call, accounts, now)
        _save(accounts)
    return Extended(id, state, instant_of(call.end * SECOND))


def _reservation(db: sqlite3.Connection, id: str, now: int) -> Reservation | None:
    call = _find(db, id)
    if call is None:
        return None
    lines = tuple(ReservedLine(load_account_by_id(db, line[0]).account, line[1]) for line in call.lines)
    settled = None if call.settled_at is None else _settled_again(db, call)
    ended = instant_of(call.reserved_at if call.end is None else call.end * SECOND)
    at, facts = instant_of(call.reserved_at), facts_value(call.facts)
    return Reservation(id, call.state(now), lines, at, ended, facts, settled)


def _lengthen(db: sqlite3.Connection, call: _Call, accounts: Sequence[AccountRow], end: int) -> None:
    for line, account in zip(call.lines, accounts, strict=True):
        account.unhold(line[1], call.end, line[5])
        account.hold(line[1], end)
        line[5] = account.generation
    call.end = end
    db.execute("UPDATE calls SET end = ?, lines = ? WHERE number = ?", (end, json_text(call.lines), call.number))


def _charge(db: sqlite3.Connection, call: _Call, settlement: Settlement, now: int) -> Settled:
    at = max(now, call.reserved_at)
    accounts = [_moved(load_account_by_id(db, line[0]), now) for line in call.lines]
    held = [ReservedLine(account.account, line[1]) for account, line in zip(accounts, call.lines, strict=True)]
    amounts, others = match_charges(held, settlement.charges)
    late = call.end is not None and call.state(now) != "held"
    if not call.released:
        for account, line, amount in zip(accounts, call.lines, amounts, strict=True):
            if account.unhold(line[1], call.end, line[5]):
                _put_back(db, account, line, amount or 0, now)
            else:
                late = True
    accounts += [_moved(load_account(db, charge.account), now) for charge in others]
    charged = [*amounts, *(charge.amount for charge in others)]
    was_held = [line.amount for line in held] + [0] * len(others)
    lines = []
    for account, amount, was in zip(accounts, charged, was_held, strict=True):
        account.charge(amount or 0, at)
        lines.append(ChargedLine(account.shown, amount or 0, was, account.used, account.held))
    _save(accounts)
    settled = Settled(settlement.call, tuple(lines), settlement.now, late)
    entered = [account for account, amount in zip(accounts, charged, strict=True) if amount is not None]
    _record(db, call, settlement, settled, accounts, entered)
    return settled


def _record(
    db: sqlite3.Connection,
    call: _Call,
    settlement: Settlement,
    settled: Settled,
    accounts: Sequence[AccountRow],
    entered: Sequence[AccountRow],
) -> None:
    """Write the answer, and an entry of each account that was charged."""
    now = micros(settlement.now)
    lines = list(zip(accounts, settled.lines, strict=True))
    made = [
        add_entry(db, now, "charge", call.number, account, line.amount, line.was_held)
        for account, line in lines
        if account in entered
    ]
    kept = [[account.id, *line[1:]] for account, line in lines]
    facts = facts_text({**facts_value(call.facts), **settlement.facts}) if settlement.facts else call.facts
    db.execute(
        "UPDATE calls SET settled_at = ?, late = ?, charged = ?, facts = ?, first_entry = ?, last_entry = ?"
        " WHERE number = ?",
        (now, settled.late, json_text(kept), facts, min(made, default=None), max(made, default=None), call.number),
    )


def _unhold(db: sqlite3.Connection, call: _Call, now: int) -> None:
    for line in call.lines:
        account = _moved(load_account_by_id(db, line[0]), now)
        if account.unhold(line[1], call.end, line[5]):
            _put_back(db, account, line, 0, now)
        account.save()


def _insert_unheld(db: sqlite3.Connection, settlement: Settlement, now: int) -> _Call:
    db.execute("INSERT INTO calls (id, reserved_at, lines, facts) VALUES (?, ?, '[]', '{}')", (settlement.call, now))
    call = _find(db, settlement.call)
    assert call is not None
    return call


def _held_again(db: sqlite3.Connection, call: _Call, hold: Hold, now: int) -> Held:
    if call.end is None:
        raise charged_without_hold(hold.call)
    lines = tuple(LineState(load_account_by_id(db, line[0]).account, *line[1:5], *line[6:9]) for line in call.lines)
    return held_again(hold, lines, call.end, call.state(now))


def _settled_again(db: sqlite3.Connection, call: _Call) -> Settled:
    assert call.settled_at is not None
    lines = tuple(ChargedLine(load_account_by_id(db, line[0]).account, *line[1:]) for line in call.charged)
    return Settled(call.id, lines, instant_of(call.settled_at), bool(call.late), repeated=True)


def _seen(db: sqlite3.Connection, line: HoldLine, account: AccountRow, now: int) -> LineState:
    limit = None if line.limit is None else limit_in_force(db, line.account, line.limit, now)
    return LineState(account.shown, line.amount, limit, account.used, account.held)


def _with_carried(
    db: sqlite3.Connection,
    hold: Hold,
    seen: Sequence[LineState],
    accounts: Sequence[AccountRow],
    now: int,
) -> tuple[tuple[LineState, ...], tuple[tuple[int, ...], ...]]:
    """Return lines under the limits that hold with what is carried over, and what earlier windows of each have used."""
    lines, earlier = [], []
    for line, state, account in zip(hold.lines, seen, accounts, strict=True):
        before: tuple[int, ...] = ()
        if (carry := line.carry) is not None:
            taken = [_taken(db, window, now) if window != line.account else account.taken for window in carry.windows]
            grants = grants_of(db, line.account)
            limit, before = limit_with_carried(carry, line.limit, most_added(hold, line), taken, grants, now)
            state = state._replace(limit=limit)
        lines.append(state)
        earlier.append(before)
    return tuple(lines), tuple(earlier)


def _taken(db: sqlite3.Connection, window: Account, now: int) -> int | None:
    """Return what another window has used and holds, None for one that is not on record; what has expired there is
    freed for good."""
    row = _moved(load_account(db, window), now)
    row.save()
    return None if row.id is None else row.taken


def _find(db: sqlite3.Connection, id: str) -> _Call | None:
    row = db.execute(f"SELECT {_COLUMNS} FROM calls WHERE id = ?", (id,)).fetchone()
    return None if row is None else _Call(row)


def _first_known(db: sqlite3.Connection, calls: Sequence[str]) -> str | None:
    """Return the first of some calls that is on record."""
    marks = ", ".join("?" * len(calls))
    found = {id for (id,) in db.execute(f"SELECT id FROM calls WHERE id IN ({marks})", tuple(calls))}
    return next((call for call in calls if call in found), None)


def _moved(account: AccountRow, now: int) -> AccountRow:
    account.move(now)
    return account


def _save(accounts: Sequence[AccountRow]) -> None:
    for account in accounts:
        account.save()
