"""The history in the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any, Final

from costlens_policy.ledger.amounts import join_limbs, split_limbs
from costlens_policy.ledger.history import Entry, EntryKind, EntryQuery, Page, place_number
from costlens_policy.ledger.instants import instant_of, micros
from costlens_policy.ledger.json_text import facts_value
from costlens_policy.ledger.sqlite.accounts import ACCOUNT_COLUMNS, AccountRow, account_of

__all__ = ["add_entry", "read_entries"]

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
