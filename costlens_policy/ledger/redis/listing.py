"""Balances, accounts and reservations in Redis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, Final

from costlens_policy.ledger.account import Account, AccountBalance
from costlens_policy.ledger.answers import call_state
from costlens_policy.ledger.charges import ChargedLine, Settled
from costlens_policy.ledger.grants import grants_at
from costlens_policy.ledger.history import AccountQuery, Page, Reservation, ReservationQuery, ReservedLine
from costlens_policy.ledger.instants import SECOND, instant_of
from costlens_policy.ledger.json_text import facts_value
from costlens_policy.ledger.redis.accounts import Accounts
from costlens_policy.ledger.redis.server import Server
from costlens_policy.ledger.redis.wire import CHARGED, HELD, account_named, amounts_of, grants_of, rows_of

__all__ = ["read_accounts", "read_balances", "read_reservation", "read_reservations"]

_AT_ONCE: Final = 500


def read_balances(server: Server, accounts: Sequence[Account], now: int) -> tuple[AccountBalance, ...]:
    if not accounts:
        return ()
    names = [text for account in accounts for text in (account.name, account.scope)]
    answer = server.run("balances", (), names, (now,))
    rows = zip(accounts, answer[::2], answer[1::2], strict=True)
    return tuple(_balance(account, numbers, grants, now) for account, numbers, grants in rows)


def read_accounts(server: Server, accounts: Accounts, query: AccountQuery, now: int) -> Page[AccountBalance]:
    found: list[Account] = []
    for name in _names(server, query):
        account = accounts.named([name])[name]
        if not query.covers(account):
            continue
        if len(found) == query.limit:
            return Page(read_balances(server, found, now), found[-1].name)
        found.append(account)
    return Page(read_balances(server, found, now))


def read_reservation(server: Server, call: str, now: int) -> Reservation | None:
    answer = server.run("reservation", (f"c:{call}",), (), ())
    if answer is None:
        return None
    reserved_at, end, released, settled_at, late, facts, more_facts, held, charged, *spans = answer
    rows, charged_rows = rows_of(held, HELD), rows_of(charged, CHARGED)
    named = [account_named(row[0], span) for row, span in zip(rows + charged_rows, spans, strict=True)]
    lines = tuple(ReservedLine(account, amounts_of(row[1:3])[0]) for account, row in zip(named, rows, strict=False))
    settled = None
    if settled_at:
        pairs = zip(named[len(rows) :], charged_rows, strict=True)
        made = tuple(ChargedLine(account, *amounts_of(row[1:9])) for account, row in pairs)
        settled = Settled(call, made, instant_of(int(settled_at)), bool(late), repeated=True)
    state = call_state(int(end) if end else None, bool(released), settled is not None, now)
    times = instant_of(int(reserved_at)), instant_of(int(end) * SECOND if end else int(reserved_at))
    return Reservation(call, state, lines, *times, {**facts_value(facts), **facts_value(more_facts)}, settled)


def read_reservations(server: Server, accounts: Accounts, query: ReservationQuery, now: int) -> Page[Reservation]:
    found: list[Reservation] = []
    for item in _reservations(server, accounts, query, now // SECOND):
        if not query.covers(item):
            continue
        if len(found) == query.limit:
            return Page(tuple(found), query.following(found[-1]))
        found.append(item)
    return Page(tuple(found))


def _names(server: Server, query: AccountQuery) -> Iterator[str]:
    first, last = query.names()
    start = f"({query.after}" if query.after > first else f"[{first}"
    while True:
        key = f"{server.prefix}accounts"
        names: list[str] = server.command("ZRANGEBYLEX", key, start, f"({last}", "LIMIT", 0, _AT_ONCE)
        yield from names
        if len(names) < _AT_ONCE:
            return
        start = f"({names[-1]}"


def _reservations(server: Server, accounts: Accounts, query: ReservationQuery, second: int) -> Iterator[Reservation]:
    """Go through the open calls by the end of their lease, leaving out those before the page."""
    place = query.place()
    for pairs in _open_calls(server, query, second):
        wanted = [id for id, score in pairs if (int(score), id) > place]
        for id, row in zip(wanted, server.run("calls", (), wanted, ()), strict=True):
            if row:
                yield _reservation(accounts, query, id, row)


def _open_calls(server: Server, query: ReservationQuery, second: int) -> Iterator[list[tuple[str, float]]]:
    """Yield ids and the ends of their leases, many at once."""
    key, place = f"{server.prefix}open", query.place()
    first, last = (max(place[0], 0), second) if query.expired else (max(place[0], second + 1), "+inf")
    for offset in count(0, _AT_ONCE):
        limit = "LIMIT", offset, _AT_ONCE
        pairs = _pairs(server.command("ZRANGEBYSCORE", key, first, last, "WITHSCORES", *limit))
        yield pairs
        if len(pairs) < _AT_ONCE:
            return


def _pairs(answer: list[Any]) -> list[tuple[str, float]]:
    """Return members and scores, which come in pairs or in a row, by the version of the protocol."""
    if answer and isinstance(answer[0], list | tuple):
        return [(member, float(score)) for member, score in answer]
    return list(zip(answer[::2], map(float, answer[1::2]), strict=True))


def _reservation(accounts: Accounts, query: ReservationQuery, id: str, row: list[Any]) -> Reservation:
    _, reserved_at, end, facts, lines = row
    rows = rows_of(lines, HELD)
    named = accounts.named([line[0] for line in rows])
    held = tuple(ReservedLine(named[line[0]], amounts_of(line[1:3])[0]) for line in rows)
    ends_at = instant_of(int(end) * SECOND)
    return Reservation(id, query.state, held, instant_of(int(reserved_at)), ends_at, facts_value(facts))


def _balance(account: Account, numbers: str, grants: str, now: int) -> AccountBalance:
    used, held = amounts_of(numbers.split("\0")[:4])
    return AccountBalance(account, used, held, grants_at(grants_of(grants), account.period.id, now))
