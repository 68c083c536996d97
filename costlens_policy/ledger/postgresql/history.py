"""The history in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from costlens_policy.ledger.history import Entry, EntryQuery, Page, place_number
from costlens_policy.ledger.instants import instant_of, micros
from costlens_policy.ledger.json_text import facts_value
from costlens_policy.ledger.postgresql.database import Database
from costlens_policy.ledger.postgresql.wire import account_of

__all__ = ["read_entries"]

_SELECT: Final = """
    SELECT a.budget, a.key, a.unit, a.period, a.starts_at, a.resets_at, a.rolling, e.id, e.at, e.kind, e.amount::text,
        e.was_held::text, coalesce(c.late, false), coalesce(c.id, j.id), coalesce(c.facts, j.facts),
        coalesce(c.more_facts, '{}')
    FROM @ledger.entries AS e JOIN @ledger.accounts AS a ON a.id = e.account
        LEFT JOIN @ledger.calls AS c ON e.kind = 'charge' AND c.number = e.source
        LEFT JOIN @ledger.adjustments AS j ON e.kind <> 'charge' AND j.number = e.source"""


def read_entries(database: Database, query: EntryQuery) -> Page[Entry]:
    filters = list(_filters(query))
    if _may_be_overtaken(query):
        filters.append(("e.id <= %s", (database.call("last_entry"),)))
    where = " AND ".join(condition for condition, _ in filters) or "true"
    values = [value for _, values in filters for value in values]
    order = "DESC" if query.newest_first else "ASC"
    rows = database.rows(f"{_SELECT} WHERE {where} ORDER BY e.id {order} LIMIT %s", *values, query.limit + 1)
    items = tuple(_entry(row) for row in rows[: query.limit])
    return Page(items, items[-1].id if len(rows) > query.limit else "")


def _may_be_overtaken(query: EntryQuery) -> bool:
    """Whether an entry may appear later, before the last one of the page.

    Those of a call are written at once, and those of an account while it is locked. Whoever reads backwards does not
    come back for what is new.
    """
    return query.call is None and query.account is None and not query.newest_first


def _filters(query: EntryQuery) -> Iterator[tuple[str, tuple[Any, ...]]]:
    if query.account is not None:
        yield "e.account = (SELECT id FROM @ledger.accounts WHERE name = %s)", (query.account.name,)
    if query.budget is not None:
        yield "a.budget = %s", (query.budget,)
    if query.key is not None:
        yield "a.key = %s", (query.key,)
    if query.call is not None:
        yield _OF_CALL, (query.call, query.call)
    if query.since is not None:
        since = micros(query.since)
        yield "e.at >= %s", (since,)
        if not query.after and query.account is None:
            yield _FROM_FIRST, (since,)
    if query.until is not None:
        yield "e.at < %s", (micros(query.until),)
    if query.after:
        yield f"e.id {'<' if query.newest_first else '>'} %s", (place_number(query.after),)


# Without `OFFSET 0` the planner would look for the first one by walking through all earlier entries by their id.
_FROM_FIRST: Final = "e.id >= (SELECT min(id) FROM (SELECT id FROM @ledger.entries WHERE at >= %s OFFSET 0) AS later)"
_OF_CALL: Final = """e.id IN (
    SELECT o.id FROM @ledger.calls AS k JOIN @ledger.entries AS o
        ON o.id BETWEEN k.first_entry AND k.last_entry AND o.kind = 'charge' AND o.source = k.number WHERE k.id = %s
    UNION ALL SELECT entry FROM @ledger.adjustments WHERE id = %s)"""


def _entry(row: Any) -> Entry:
    id, at, kind, amount, was_held, late, call, facts, more = row[7:]
    return Entry(
        id=str(id),
        at=instant_of(at),
        kind=kind,
        call=call,
        account=account_of(row[:7]),
        amount=int(amount),
        was_held=int(was_held),
        late=late,
        facts={**facts_value(facts), **facts_value(more)},
    )
