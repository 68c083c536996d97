"""Balances, accounts and reservations in the file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

from costlens_policy.ledger.account import Account, AccountBalance
from costlens_policy.ledger.history import AccountQuery, Page, Reservation, ReservationQuery, ReservedLine
from costlens_policy.ledger.instants import SECOND, instant_of
from costlens_policy.ledger.json_text import facts_value
from costlens_policy.ledger.sqlite.accounts import ACCOUNT_COLUMNS, account_of, load_account, load_account_by_id
from costlens_policy.ledger.sqlite.grants import grants_in_force

__all__ = ["read_accounts", "read_balances", "read_reservations"]


def read_balances(db: sqlite3.Connection, accounts: Iterable[Account], now: int) -> tuple[AccountBalance, ...]:
    return tuple(
        AccountBalance(account, *load_account(db, account).at(now), grants_in_force(db, account, now))
        for account in accounts
    )


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
