"""The history in Redis: one stream of calls, and one for each account that points into it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from costlens_policy.ledger.amounts import join_limbs
from costlens_policy.ledger.errors import AmountError
from costlens_policy.ledger.history import Entry, EntryQuery, Page
from costlens_policy.ledger.instants import instant_of, micros
from costlens_policy.ledger.json_text import facts_value
from costlens_policy.ledger.redis.accounts import Accounts
from costlens_policy.ledger.redis.server import Server

__all__ = ["read_entries"]

_AT_ONCE: Final = 500
_PLACE: Final = re.compile(r"([0-9]+-[0-9]+)\.([0-9]+)", re.ASCII)
_FIELDS: Final = 5


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


def _records(server: Server, query: EntryQuery, start: str) -> Iterator[tuple[str, dict[str, str]]]:
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


def _batches(server: Server, stream: str, query: EntryQuery, start: str) -> Iterator[list[tuple[str, dict[str, str]]]]:
    command = "XREVRANGE" if query.newest_first else "XRANGE"
    # Ids follow a clock that never goes back, so whatever is as late as `since` has no id before it.
    oldest = "-" if query.since is None else f"{micros(query.since) // 1000}-0"
    ends = [start or "+", oldest] if query.newest_first else [_later(start, oldest), "+"]
    while True:
        answer = server.command(command, stream, *ends, "COUNT", _AT_ONCE)
        yield [(id, _fields(fields)) for id, fields in answer]
        if len(answer) < _AT_ONCE:
            return
        ends[0] = f"({answer[-1][0]}"


def _at(server: Server, stream: str, ids: list[str]) -> Iterator[tuple[str, dict[str, str]]]:
    answers = server.commands([("XRANGE", stream, id, id) for id in ids])
    for answer in answers:
        for id, fields in answer:  # none, where the history was cut meanwhile
            yield id, _fields(fields)


def _ids_of_call(server: Server, call: str) -> list[str]:
    (known,) = server.run("calls", (), ([call],))
    adjusted = server.command("HGET", f"{server.prefix}j:{call}", "entry")
    return sorted((id for id in (*known[:1], adjusted) if id), key=_number)


def _entries(accounts: Accounts, id: str, record: dict[str, str], newest_first: bool) -> list[Entry]:
    parts = record["lines"].split("\0")
    lines = [parts[index : index + _FIELDS] for index in range(0, len(parts), _FIELDS)]
    named = accounts.named([line[0] for line in lines])
    facts = {**facts_value(record["facts"]), **facts_value(record["more"])}
    entries = [
        Entry(
            id=f"{id}.{index}",
            at=instant_of(int(record["at"])),
            kind=record["kind"],  # type: ignore[arg-type]  # stored as one of the kinds
            call=record["source"],
            account=named[name],
            amount=join_limbs(int(high), int(low)),
            was_held=join_limbs(int(held_high), int(held_low)),
            late=bool(record["late"]),
            facts=facts,
        )
        for index, (name, high, low, held_high, held_low) in enumerate(lines)
    ]
    return entries[::-1] if newest_first else entries


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


def _fields(answer: Any) -> dict[str, str]:
    """Return the fields of a record, which come as a map or in a row."""
    return dict(answer) if isinstance(answer, dict) else dict(zip(answer[::2], answer[1::2], strict=True))
