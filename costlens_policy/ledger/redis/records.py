"""What is read of a ledger, and written beside calls: balances, entries, calls, adjustments, the outbox of alerts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import count
from typing import Any, Final

from costlens_policy.ledger.account import SEPARATOR, Account, AccountBalance, period_of, span_of
from costlens_policy.ledger.adjustments import Adjusted, Adjustment, Grant, adjusted_grants, grants_at
from costlens_policy.ledger.alerts import AlertClaim, PendingAlert
from costlens_policy.ledger.amounts import MAX_LIMIT, MICROSECOND, SECOND, instant_of, join_limbs, micros, split_limbs
from costlens_policy.ledger.calls import (
    Carry,
    Charge,
    ChargedLine,
    Hold,
    HoldLine,
    LineState,
    Settled,
    facts_text,
    facts_value,
    json_text,
)
from costlens_policy.ledger.errors import LedgerUnavailableError
from costlens_policy.ledger.history import (
    AccountQuery,
    Entry,
    EntryKind,
    EntryQuery,
    Page,
    Reservation,
    ReservationQuery,
    ReservedLine,
    call_state,
    no_page,
)
from costlens_policy.ledger.redis.connection import Server

__all__ = [
    "CHARGED",
    "HELD",
    "Accounts",
    "account_named",
    "adjust",
    "amounts_of",
    "begun",
    "charge_numbers",
    "charge_texts",
    "claim",
    "earlier_of",
    "finish",
    "grants_of",
    "grants_text",
    "line_numbers",
    "line_texts",
    "read_accounts",
    "read_balances",
    "read_entries",
    "read_reservation",
    "read_reservations",
    "rows_of",
    "rules_text",
    "shares_text",
    "span_numbers",
    "take",
    "with_shares",
]


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
    if text == "withdraw":  # the word of older ledgers
        return "revoke"
    return text  # type: ignore[return-value]  # stored as one of the kinds


def _place(after: str) -> tuple[str, int]:
    if not after:
        return "", -1
    match = _PLACE.fullmatch(after)
    if match is None:
        raise no_page(after)
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


_MOST: Final = 10_000


class Accounts:
    """From names to accounts. A name never stands for another one, so what was read once is kept, up to a number."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._known: dict[str, Account] = {}

    def named(self, names: Iterable[str], given: Iterable[Account] = ()) -> Mapping[str, Account]:
        """Return the accounts of these names; those that are ``given`` need not be asked for."""
        found = {account.name: account for account in given}
        missing = []
        for name in dict.fromkeys(names):
            if name in found:
                continue
            known = self._known.get(name)
            if known is None:
                missing.append(name)
            else:
                found[name] = known
        if missing:
            found |= self._read(missing)
        return found

    def _read(self, names: list[str]) -> dict[str, Account]:
        answer = self._server.run("spans", (), names, ())
        read = {name: account_named(name, span) for name, span in zip(names, answer, strict=True)}
        if len(self._known) + len(read) > _MOST:
            self._known = {}  # a new one, since other threads may be reading the old one
        self._known.update(read)
        return read


HELD: Final = 10
"""Values of a line held: name, limbs of amount, limit, used and held before, generation."""
CHARGED: Final = 10
"""Values of a line charged: name, limbs of amount, of what had been held, of used and held after, whether charged."""
_SHARED: Final = 7
"""Values of what shares do to a line: its number, limbs of what was set aside for them, is drawn, is set aside more."""


def line_texts(line: HoldLine) -> tuple[str, ...]:
    account = line.account
    return account.name, account.scope, account.period.id


def line_numbers(line: HoldLine) -> tuple[int, ...]:
    limit = (-1, 0) if line.limit is None else split_limbs(line.limit)
    return (*split_limbs(line.amount), *limit, *span_numbers(line.account))


def rules_text(lines: Sequence[HoldLine]) -> str:
    """Return what lines carry over as ``carry.lua`` takes it."""
    return f"[{','.join(_rule_text(line.carry, number) for number, line in enumerate(lines, 1) if line.carry)}]"


@lru_cache(maxsize=4096)
def _rule_text(carry: Carry, line: int) -> str:
    rule, periods = carry.rule, [window.period for window in carry.windows]
    ends = [-1 if period.resets_at is None else micros(period.resets_at) for period in periods]
    return json_text(
        {
            "line": line,
            "windows": [(period.id, end) for period, end in zip(periods, ends, strict=True)],
            "place": carry.place + 1,
            "counting": carry.counting,
            "share": int(rule.share * 1_000_000),
            "most": split_limbs(MAX_LIMIT if rule.most is None else int(rule.most)),
            "periods": rule.periods,
        }
    )


def earlier_of(text: str) -> tuple[int, ...]:
    """Return the amounts of a text of limbs."""
    return tuple(amounts_of([limb for pair in text.split() for limb in pair.split(",")]))


def shares_text(hold: Hold) -> str:
    """Return the shares of a call as JSON; lines have numbers from 1."""
    places = {line.account.name: number for number, line in enumerate(hold.lines, 1)}
    return json_text(
        [
            (places[share.account.name], places[share.of.name], share.lease // MICROSECOND, share.ends)
            for share in hold.shares
        ]
    )


def with_shares(lines: Iterable[LineState], text: str) -> tuple[LineState, ...]:
    """Return lines with what shares do to them, given as scripts answer it."""
    shared = {int(row[0]): amounts_of(row[1:]) for row in rows_of(text, _SHARED)}
    return tuple([LineState(*line[:5], *shared.get(place, ())) for place, line in enumerate(lines, 1)])


def charge_texts(charge: Charge) -> tuple[str, ...]:
    return charge.account.scope, charge.account.name


def charge_numbers(charge: Charge) -> tuple[int, ...]:
    return (*split_limbs(charge.amount), *span_numbers(charge.account))


@lru_cache(maxsize=4096)
def span_numbers(account: Account) -> tuple[int, ...]:
    """Return the width of the account's buckets, and start, reset and length of its period in microseconds, -1 for
    none.
    """
    *span, width = span_of(account.period)
    return (width, *(-1 if number is None else number for number in span))


def rows_of(text: str, width: int) -> list[list[str]]:
    """Return the values of a text in which each ends with a zero byte, in rows."""
    values = text.split("\0")
    return [values[at : at + width] for at in range(0, len(values) - 1, width)]


def amounts_of(limbs: Sequence[str]) -> list[int]:
    """Return the amounts of limbs, high and low in turn."""
    return [join_limbs(int(limbs[at]), int(limbs[at + 1])) for at in range(0, len(limbs), 2)]


def account_named(name: str, span: str) -> Account:
    """Return the account of a name, and of start, reset and length of its period."""
    budget, period, unit, key = name.split(SEPARATOR, 3)
    parts = [None if part == "-1" else int(part) for (part,) in rows_of(span, 1)]
    return Account(budget, key, unit, period_of(period, *parts))


def grants_text(grants: Iterable[Grant]) -> str:
    """Return grants as JSON in which amounts are two limbs, since scripts read numbers as doubles."""
    return json_text([[it.kind, *split_limbs(it.amount), it.until, it.period] for it in grants])


def grants_of(text: str) -> tuple[Grant, ...]:
    rows = json.loads(text) if text else []
    return tuple(Grant(kind, join_limbs(high, low), until, period) for kind, high, low, until, period in rows)


_LISTED_AT_ONCE: Final = 500


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
        names: list[str] = server.command("ZRANGEBYLEX", key, start, f"({last}", "LIMIT", 0, _LISTED_AT_ONCE)
        yield from names
        if len(names) < _LISTED_AT_ONCE:
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
    for offset in count(0, _LISTED_AT_ONCE):
        limit = "LIMIT", offset, _LISTED_AT_ONCE
        pairs = _pairs(server.command("ZRANGEBYSCORE", key, first, last, "WITHSCORES", *limit))
        yield pairs
        if len(pairs) < _LISTED_AT_ONCE:
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
    *limbs, start, _ = numbers.split("\0")
    used, held, aside, share = amounts_of(limbs)
    in_force = grants_at(grants_of(grants), account.period, now)
    return AccountBalance(begun(account, start), used, held, in_force, aside, None if share < 0 else share)


def begun(account: Account, start: str) -> Account:
    """Return the account with its window from first use, given when that began as scripts answer it."""
    return account.begun(None if start == "-1" else int(start))


def claim(server: Server, alert: AlertClaim, now: int, visible_at: int) -> bool:
    keys = f"n:{alert.id}", "pending"
    return bool(server.run("claim_alert", keys, (alert.id,), (now, visible_at), facts_text(alert.facts)))


def take(server: Server, now: int, visible_at: int, limit: int) -> tuple[PendingAlert, ...]:
    rows = server.run("take_alerts", ("pending",), (), (now, visible_at, limit))
    return tuple(_pending(*row) for row in rows)


def finish(server: Server, alert: AlertClaim, retry_at: int, problem: str) -> None:
    server.run("finish_alert", (f"n:{alert.id}", "pending"), (alert.id,), (retry_at,), problem)


def _pending(id: str, claimed_at: str, facts: str, attempts: str, problem: str) -> PendingAlert:
    budget, period, threshold, key = id.split(SEPARATOR, 3)
    alert = AlertClaim(budget, key, period, threshold, facts_value(facts))
    return PendingAlert(alert, instant_of(int(claimed_at)), int(attempts), problem)


_ATTEMPTS: Final = 100
_KNOWN: Final = 1
_TOO_LITTLE: Final = 2


def adjust(server: Server, adjustment: Adjustment, remember: int, history: int) -> Adjusted:
    """Work out the new grants here, and put them there unless others were first; then begin again with theirs."""
    account, now = adjustment.account, micros(adjustment.now)
    for _ in range(_ATTEMPTS):
        answer = _put(server, adjustment, remember, history)
        if answer is not None:
            known, numbers, grants = answer
            used, held = amounts_of(numbers.split("\0")[:4])
            if known == _TOO_LITTLE:
                adjustment.corrected(used)
            in_force = grants_at(grants_of(grants), account.period, now)
            return Adjusted(adjustment.id, AccountBalance(account, used, held, in_force), known == _KNOWN)
    raise LedgerUnavailableError(f"too many concurrent adjustments of `{account.budget}`; try again")


def _put(server: Server, adjustment: Adjustment, remember: int, history: int) -> Any:
    """Return the answer, or None where the grants were changed meanwhile."""
    account, grants_key, own_key = adjustment.account, f"g:{adjustment.account.scope}", f"j:{adjustment.id}"
    seen, known = server.commands([("GET", f"{server.prefix}{grants_key}"), ("EXISTS", f"{server.prefix}{own_key}")])
    seen = new = seen or ""
    if not known:
        new = grants_text(adjusted_grants(grants_of(seen), adjustment))
    texts = adjustment.id, adjustment.kind, account.name
    numbers = micros(adjustment.now), *split_limbs(adjustment.amount), remember, history, *span_numbers(account)
    return server.run("adjust", (own_key, grants_key), texts, numbers, facts_text(adjustment.facts()), seen, new)
