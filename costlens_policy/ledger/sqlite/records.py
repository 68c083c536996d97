"""What is read of a ledger, and written beside calls: entries, balances, adjustments, the outbox of alerts."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, Final

from costlens_policy.ledger.account import Account, AccountBalance, Grants
from costlens_policy.ledger.adjustments import Adjusted, Adjustment, Grant, adjusted_grants, grants_at
from costlens_policy.ledger.alerts import AlertClaim, PendingAlert
from costlens_policy.ledger.amounts import SECOND, instant_of, join_limbs, micros, split_limbs
from costlens_policy.ledger.calls import facts_text, facts_value, json_text
from costlens_policy.ledger.history import (
    AccountQuery,
    Entry,
    EntryKind,
    EntryQuery,
    Page,
    Reservation,
    ReservationQuery,
    ReservedLine,
    place_number,
)
from costlens_policy.ledger.sqlite.accounts import (
    ACCOUNT_COLUMNS,
    AccountRow,
    account_of,
    load_account,
    load_account_by_id,
)
from costlens_policy.ledger.sqlite.shares import set_aside_at, share_at

__all__ = [
    "add_entry",
    "adjust",
    "claim",
    "fail",
    "grants_in_force",
    "grants_of",
    "limit_in_force",
    "mark_delivered",
    "read_accounts",
    "read_balances",
    "read_entries",
    "read_reservations",
    "take",
]


_SELECT: Final = f"""
    SELECT {ACCOUNT_COLUMNS}, e.id, e.at, e.kind, e.high, e.low, e.held_high, e.held_low, c.late,
        coalesce(c.id, j.id), coalesce(c.facts, j.facts)
    FROM entries AS e JOIN accounts AS a ON a.id = e.account
        LEFT JOIN calls AS c ON e.kind = 'charge' AND c.number = e.source
        LEFT JOIN adjustments AS j ON e.kind <> 'charge' AND j.number = e.source"""


def add_entry(
    db: sqlite3.Connection, at: int, kind: EntryKind, source: int, account: AccountRow, amount: int, was_held: int
) -> int:
    """Write one entry.

    ``source`` is the row of the call or, unless it is a charge, of the adjustment. Returns its id.
    """
    last = db.execute("SELECT clock FROM entries ORDER BY id DESC LIMIT 1").fetchone()
    clock = at if last is None else max(at, last[0])
    inserted = db.execute(
        "INSERT INTO entries (at, clock, kind, source, account, high, low, held_high, held_low)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (at, clock, kind, source, account.id, *split_limbs(amount), *split_limbs(was_held)),
    )
    assert inserted.lastrowid is not None
    return inserted.lastrowid


def read_entries(db: sqlite3.Connection, query: EntryQuery) -> Page[Entry]:
    filters = list(_filters(query))
    if query.call is not None:
        filters += _of_call(db, query.call)
    where = " AND ".join(condition for condition, _ in filters) or "1"
    values = [value for _, values in filters for value in values]
    order = "DESC" if query.newest_first else "ASC"
    rows = db.execute(f"{_SELECT} WHERE {where} ORDER BY e.id {order} LIMIT ?", (*values, query.limit + 1)).fetchall()
    items = tuple(_entry(row) for row in rows[: query.limit])
    return Page(items, items[-1].id if len(rows) > query.limit else "")


def _filters(query: EntryQuery) -> Iterator[tuple[str, tuple[Any, ...]]]:
    if query.account is not None:
        yield "e.account = (SELECT id FROM accounts WHERE name = ?)", (query.account.name,)
    if query.budget is not None:
        yield "a.budget = ?", (query.budget,)
    if query.key is not None:
        yield "a.key = ?", (query.key,)
    if query.since is not None:
        since = micros(query.since)
        # The clock of entries never goes back, so whatever is as late as this comes after it.
        yield (
            "e.id >= (SELECT id FROM entries WHERE clock >= ? ORDER BY clock, id LIMIT 1) AND e.at >= ?",
            (since, since),
        )
    if query.until is not None:
        yield "e.at < ?", (micros(query.until),)
    if query.after:
        yield f"e.id {'<' if query.newest_first else '>'} ?", (place_number(query.after),)


def _of_call(db: sqlite3.Connection, id: str) -> list[tuple[str, tuple[Any, ...]]]:
    """Return where the entries of a call or an adjustment stand: those of one stand side by side."""
    ranges = db.execute(
        "SELECT first_entry, last_entry FROM calls WHERE id = ?1 AND first_entry IS NOT NULL"
        " UNION ALL SELECT entry, entry FROM adjustments WHERE id = ?1",
        (id,),
    ).fetchall()
    if not ranges:
        return [("0", ())]
    return [(f"({' OR '.join(['e.id BETWEEN ? AND ?'] * len(ranges))})", tuple(at for span in ranges for at in span))]


def _entry(row: Any) -> Entry:
    id, at, kind, high, low, held_high, held_low, late, call, facts = row[7:]
    return Entry(
        id=str(id),
        at=instant_of(at),
        kind=kind,
        call=call,
        account=account_of(row[:7]),
        amount=join_limbs(high, low),
        was_held=join_limbs(held_high, held_low),
        late=bool(late),
        facts=facts_value(facts),
    )


def limit_in_force(db: sqlite3.Connection, account: Account, limit: int, now: int) -> int:
    """Return the policy's limit with what is granted on top of it or instead."""
    return grants_in_force(db, account, now).applied_to(limit)


def grants_in_force(db: sqlite3.Connection, account: Account, now: int) -> Grants:
    return grants_at(grants_of(db, account), account.period, now)


def adjust(db: sqlite3.Connection, adjustment: Adjustment) -> Adjusted:
    account, now = adjustment.account, micros(adjustment.now)
    known = db.execute("SELECT balance FROM adjustments WHERE id = ?", (adjustment.id,)).fetchone()
    if known is not None:
        used, held, override, topup = json.loads(known[0])
        balance = AccountBalance(account, used, held, Grants(override, topup))
        return Adjusted(adjustment.id, balance, repeated=True)
    row, amount = load_account(db, account), adjustment.amount
    row.move(now)
    row.enter()
    if adjustment.kind == "set":
        amount = row.set(amount, now)
    elif adjustment.kind == "correct":
        row.correct(adjustment, now)
    else:
        _put_grants(db, account, adjusted_grants(grants_of(db, account), adjustment))
    row.save()
    grants = grants_in_force(db, account, now)
    kept = json_text([row.used, row.held, grants.override, grants.topup])
    inserted = db.execute(
        "INSERT INTO adjustments (id, balance, facts) VALUES (?, ?, ?)",
        (adjustment.id, kept, facts_text(adjustment.facts())),
    )
    assert inserted.lastrowid is not None
    entry = add_entry(db, now, adjustment.kind, inserted.lastrowid, row, amount, 0)
    db.execute("UPDATE adjustments SET entry = ? WHERE number = ?", (entry, inserted.lastrowid))
    return Adjusted(adjustment.id, AccountBalance(account, row.used, row.held, grants))


def grants_of(db: sqlite3.Connection, account: Account) -> tuple[Grant, ...]:
    row = db.execute("SELECT grants FROM grants WHERE scope = ?", (account.scope,)).fetchone()
    return () if row is None else tuple(Grant(*grant) for grant in json.loads(row[0]))


def _put_grants(db: sqlite3.Connection, account: Account, grants: tuple[Grant, ...]) -> None:
    text = json_text([grant.to_json() for grant in grants])
    db.execute(
        "INSERT INTO grants (scope, grants) VALUES (?, ?) ON CONFLICT (scope) DO UPDATE SET grants = excluded.grants",
        (account.scope, text),
    )


def read_balances(db: sqlite3.Connection, accounts: Iterable[Account], now: int) -> tuple[AccountBalance, ...]:
    return tuple(_balance(db, load_account(db, account), now) for account in accounts)


def _balance(db: sqlite3.Connection, row: AccountRow, now: int) -> AccountBalance:
    grants, second = grants_in_force(db, row.account, now), now // SECOND
    shares = set_aside_at(db, row.id, second), share_at(db, row.id, second)
    return AccountBalance(row.shown_at(now), *row.at(now), grants, *shares)


def read_accounts(db: sqlite3.Connection, query: AccountQuery, now: int) -> Page[AccountBalance]:
    first, last = query.names()
    rows = db.execute(
        f"SELECT {ACCOUNT_COLUMNS} FROM accounts AS a WHERE a.name > ?1 AND a.name >= ?2 AND a.name < ?3"
        " AND (?4 IS NULL OR a.budget = ?4) AND (?5 IS NULL OR a.period = ?5) AND (?6 IS NULL OR a.unit = ?6)"
        " AND (?7 IS NULL OR a.key = ?7) ORDER BY a.name LIMIT ?8",
        (query.after, first, last, query.budget, query.period, query.unit, query.key, query.limit + 1),
    ).fetchall()
    page = [account_of(row) for row in rows[: query.limit]]
    return Page(read_balances(db, page, now), page[-1].name if len(rows) > len(page) else "")


def read_reservations(db: sqlite3.Connection, query: ReservationQuery, now: int) -> Page[Reservation]:
    """Go through the open calls by the end of their lease.

    Where a budget or key is asked for, that can be all of them.
    """
    rows = db.execute(
        "SELECT end, id, reserved_at, lines, facts FROM calls WHERE settled_at IS NULL AND released = 0"
        f" AND end {'<=' if query.expired else '>'} ? AND (end, id) > (?, ?) ORDER BY end, id",
        (now // SECOND, *query.place()),
    )
    found: list[Reservation] = []
    for end, id, reserved_at, lines, facts in rows:
        held = tuple(ReservedLine(load_account_by_id(db, line[0]).account, line[1]) for line in json.loads(lines))
        item = Reservation(id, query.state, held, instant_of(reserved_at), instant_of(end * SECOND), facts_value(facts))
        if not query.covers(item):
            continue
        if len(found) == query.limit:
            return Page(tuple(found), query.following(found[-1]))
        found.append(item)
    return Page(tuple(found))


def claim(db: sqlite3.Connection, alert: AlertClaim, now: int, visible_at: int) -> bool:
    inserted = db.execute(
        "INSERT INTO alerts (id, budget, key, period, threshold, facts, claimed_at, visible_at, attempts, problem)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, '') ON CONFLICT (id) DO NOTHING",
        (alert.id, alert.budget, alert.key, alert.period, alert.threshold, facts_text(alert.facts), now, visible_at),
    )
    return inserted.rowcount == 1


def take(db: sqlite3.Connection, now: int, visible_at: int, limit: int) -> tuple[PendingAlert, ...]:
    rows = db.execute(
        "SELECT budget, key, period, threshold, facts, claimed_at, attempts, problem, number FROM alerts"
        " WHERE delivered_at IS NULL AND visible_at <= ? ORDER BY visible_at, number LIMIT ?",
        (now, limit),
    ).fetchall()
    taken = [(visible_at, row[-1]) for row in rows]
    db.executemany("UPDATE alerts SET visible_at = ?, attempts = attempts + 1 WHERE number = ?", taken)
    return tuple(_pending(*row[:-1]) for row in rows)


def mark_delivered(db: sqlite3.Connection, alert: AlertClaim, now: int) -> None:
    db.execute("UPDATE alerts SET delivered_at = ? WHERE id = ? AND delivered_at IS NULL", (now, alert.id))


def fail(db: sqlite3.Connection, alert: AlertClaim, retry_at: int, problem: str) -> None:
    db.execute("UPDATE alerts SET visible_at = ?, problem = ? WHERE id = ?", (retry_at, problem, alert.id))


def _pending(*row: Any) -> PendingAlert:
    budget, key, period, threshold, facts, claimed_at, attempts, problem = row
    alert = AlertClaim(budget, key, period, threshold, facts_value(facts))
    return PendingAlert(alert, instant_of(claimed_at), attempts, problem)
