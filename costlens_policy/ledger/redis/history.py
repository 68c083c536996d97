"""The history in Redis: one stream of calls, and one for each account that points into it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from costlens_policy.ledger.errors import AmountError
from costlens_policy.ledger.history import Entry, EntryKind, EntryQuery, Page
from costlens_policy.ledger.instants import instant_of, micros
from costlens_policy.ledger.json_text import facts_value
from costlens_policy.ledger.redis.accounts import Accounts
from costlens_policy.ledger.redis.server import Server
from costlens_policy.ledger.redis.wire import CHARGED, amounts_of, rows_of

__all__ = ["read_entries"]

_AT_ONCE: Final = 500
_PLACE: Final = re.compile(r"([0-9]+-[0-9]+)\.([0-9]+)", re.ASCII)


def read_entries(server: Server, accounts: Accounts, query: EntryQuery) -> Page[Entry]:
    """Read the entries that a query names.

    Where only a budget or a key is asked for, that is a walk through all of them.
    """
    start, line = _place(query.after)
    found: list[Entry] = []
    for id, record in _records(server, query, start):
        for entry in _entries(accounts, id, record, query.newest_first):
            if id == start and _passed(int(entry.id.rpartition(".")[2]), line, query.newest_first):
                continue
            if not query.covers(entry):
                continue
            if len(found) == query.limit:
                return Page(tuple(found), found[-1].id)
            found.append(entry)
    return Page(tuple(found))


def _records(server: Server, query: EntryQuery, start: str) -> Iterator[tuple[str, str]]:
    """Read records of the stream in order, beginning with the one at ``start``."""
    whole = f"{server.prefix}e"
    if query.call is not None:
        ids = _ids_of_call(server, query.call)
        yield from _at(server, whole, [id for id in ids if not start or _in_order(start, id, query.newest_first)])
        return
    stream = whole if query.account is None else f"{server.prefix}e:{query.account.name}"
    for batch in _batches(server, stream, query, start):
        if query.account is None:
            yield from batch
        else:
            yield from _at(server, whole, [id for id, _ in batch])


def _batches(server: Server, stream: str, query: EntryQuery, start: str) -> Iterator[list[tuple[str, str]]]:
    command = "XREVRANGE" if query.newest_first else "XRANGE"
    # Ids follow a clock that never goes back, so whatever is as late as `since` has no id before it.
    oldest = "-" if query.since is None else f"{micros(query.since) // 1000}-0"
    ends = [start or "+", oldest] if query.newest_first else [_later(start, oldest), "+"]
    while True:
        answer = server.command(command, stream, *ends, "COUNT", _AT_ONCE)
        yield [(id, _content(fields)) for id, fields in answer]
        if len(answer) < _AT_ONCE:
            return
        ends[0] = f"({answer[-1][0]}"


def _at(server: Server, stream: str, ids: list[str]) -> Iterator[tuple[str, str]]:
    answers = server.commands([("XRANGE", stream, id, id) for id in ids])
    for answer in answers:
        for id, fields in answer:  # none, where the history was cut meanwhile
            yield id, _content(fields)


def _ids_of_call(server: Server, call: str) -> list[str]:
    (known,) = server.run("calls", (), (call,), ())
    adjusted = server.command("HGET", f"{server.prefix}j:{call}", "entry")
    return sorted((id for id in (*known[:1], adjusted) if id), key=_number)


def _entries(accounts: Accounts, id: str, record: str, newest_first: bool) -> list[Entry]:
    """Return an entry of each line of a record that was charged."""
    at, kind, source, late, facts, more, text = record.split("\0", 6)
    lines = [(index, row) for index, row in enumerate(rows_of(text, CHARGED)) if row[-1] == "1"]
    named = accounts.named([row[0] for _, row in lines])
    together = {**facts_value(facts), **facts_value(more)}
    entries = []
    for index, row in lines:
        amount, was_held = amounts_of(row[1:5])
        where = f"{id}.{index}"
        account, when, is_late = named[row[0]], instant_of(int(at)), bool(late)
        entries.append(Entry(where, when, _kind(kind), source, account, amount, was_held, is_late, together))
    return entries[::-1] if newest_first else entries


def _kind(text: str) -> EntryKind:
    return text  # type: ignore[return-value]  # stored as one of the kinds


def _place(after: str) -> tuple[str, int]:
    if not after:
        return "", -1
    match = _PLACE.fullmatch(after)
    if match is None:
        raise AmountError(f"`{after}` is not where a page of the ledger begins")
    return match[1], int(match[2])


def _passed(number: int, line: int, newest_first: bool) -> bool:
    return number >= line if newest_first else number <= line


def _in_order(start: str, id: str, newest_first: bool) -> bool:
    return _number(id) <= _number(start) if newest_first else _number(id) >= _number(start)


def _later(start: str, oldest: str) -> str:
    if not start or oldest == "-":
        return start or oldest
    return max(start, oldest, key=_number)


def _number(id: str) -> tuple[int, int]:
    ms, _, sequence = id.partition("-")
    return int(ms), int(sequence)


def _content(fields: Any) -> str:
    """Return the only value of a record, which comes in a map or in a row."""
    values = list(fields.values()) if isinstance(fields, dict) else fields[1::2]
    return str(values[0])
