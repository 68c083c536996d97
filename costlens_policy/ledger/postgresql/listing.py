"""Balances, accounts and reservations in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from costlens_policy.ledger.account import Account, AccountBalance
from costlens_policy.ledger.answers import call_state
from costlens_policy.ledger.charges import Settled
from costlens_policy.ledger.grants import Grant, grants_at
from costlens_policy.ledger.history import AccountQuery, Page, Reservation, ReservationQuery, ReservedLine
from costlens_policy.ledger.instants import SECOND, instant_of
from costlens_policy.ledger.json_text import facts_value
from costlens_policy.ledger.postgresql.database import Database
from costlens_policy.ledger.postgresql.wire import account_of, charged_lines

__all__ = ["read_accounts", "read_balances", "read_reservation", "read_reservations"]

_COLUMNS = "a.budget, a.key, a.unit, a.period, a.starts_at, a.resets_at, a.rolling"


def read_balances(database: Database, accounts: Sequence[Account], now: int) -> tuple[AccountBalance, ...]:
    rows = database.rows(
        "SELECT b.used::text, b.held::text, g.grants"
        " FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS n (name, scope, place)"
        " LEFT JOIN @ledger.balance(n.name, %s) AS b ON true LEFT JOIN @ledger.grants AS g ON g.scope = n.scope"
        " ORDER BY n.place",
        [account.name for account in accounts], [account.scope for account in accounts], now,
    )  # fmt: skip
    return tuple(_balance(account, row, now) for account, row in zip(accounts, rows, strict=True))


def read_accounts(database: Database, query: AccountQuery, now: int) -> Page[AccountBalance]:
    first, last = query.names()
    rows = database.rows(
        f"SELECT {_COLUMNS} FROM @ledger.accounts AS a WHERE a.name > %s AND a.name >= %s AND a.name < %s"
        " AND a.budget = coalesce(%s, a.budget) AND a.period = coalesce(%s, a.period) AND a.unit = coalesce(%s, a.unit)"
        " AND a.key = coalesce(%s, a.key) ORDER BY a.name LIMIT %s",
        query.after, first, last, query.budget, query.period, query.unit, query.key, query.limit + 1,
    )  # fmt: skip
    page = [account_of(row) for row in rows[: query.limit]]
    return Page(read_balances(database, page, now), page[-1].name if len(rows) > len(page) else "")


def read_reservation(database: Database, call: str, now: int) -> Reservation | None:
    rows = database.rows(
        "SELECT lines, reserved_at, ends_at, facts, more_facts, released, settled_at, late, charged"
        " FROM @ledger.calls WHERE id = %s",
        call,
    )
    return None if not rows else _known_call(call, now, *rows[0])


def read_reservations(database: Database, query: ReservationQuery, now: int) -> Page[Reservation]:
    rows = database.rows(
        "SELECT c.id, c.lines, c.reserved_at, c.ends_at, c.facts FROM @ledger.calls AS c"
        " WHERE c.settled_at IS NULL AND NOT c.released"
        f" AND c.ends_at {'<=' if query.expired else '>'} %s AND (c.ends_at, c.id) > (%s, %s)"
        " AND (%s::text IS NULL AND %s::text IS NULL OR EXISTS (SELECT 1 FROM jsonb_array_elements(c.lines) AS line"
        " WHERE line.value->0->>1 = coalesce(%s, line.value->0->>1)"
        " AND line.value->0->>2 = coalesce(%s, line.value->0->>2)))"
        " ORDER BY c.ends_at, c.id LIMIT %s",
        now // SECOND, *query.place(), query.budget, query.key, query.budget, query.key, query.limit + 1,
    )  # fmt: skip
    items = tuple(_reservation(query, *row) for row in rows[: query.limit])
    return Page(items, query.following(items[-1]) if len(rows) > len(items) else "")


def _balance(account: Account, row: Any, now: int) -> AccountBalance:
    used, held, grants = row
    in_force = grants_at([Grant(*grant) for grant in grants or ()], account.period.id, now)
    return AccountBalance(account, int(used or 0), int(held or 0), in_force)


def _reservation(query: ReservationQuery, id: str, lines: Any, reserved_at: int, end: int, facts: str) -> Reservation:
    times = instant_of(reserved_at), instant_of(end * SECOND)
    return Reservation(id, query.state, _reserved_lines(lines), *times, facts_value(facts))


def _known_call(
    id: str, now: int, lines: Any, reserved_at: int, end: int | None, facts: str, more_facts: str | None, *after: Any
) -> Reservation:
    released, settled_at, late, charged = after
    settled = None
    if settled_at is not None:
        settled = Settled(id, charged_lines(charged, ()), instant_of(settled_at), late, repeated=True)
    times = instant_of(reserved_at), instant_of(reserved_at if end is None else end * SECOND)
    state = call_state(end, released, settled is not None, now)
    together = {**facts_value(facts), **facts_value(more_facts or "{}")}
    return Reservation(id, state, _reserved_lines(lines), *times, together, settled)


def _reserved_lines(lines: Any) -> tuple[ReservedLine, ...]:
    ordered = sorted(lines, key=lambda line: line[7])
    return tuple(ReservedLine(account_of(line[0][1:8]), line[2]) for line in ordered)
