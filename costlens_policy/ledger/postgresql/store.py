"""The ledger in PostgreSQL: calls are written by functions of the database, all else by the statements here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from psycopg.types.json import Jsonb

from costlens_policy.ledger.account import (
    SEPARATOR,
    Account,
    AccountBalance,
    Grants,
    lease_end,
    period_of,
    span_of,
)
from costlens_policy.ledger.adjustments import Adjusted, Adjustment, Grant, adjusted_grants, grants_at
from costlens_policy.ledger.alerts import AlertClaim, PendingAlert
from costlens_policy.ledger.amounts import MICROSECOND, SECOND, instant_of, micros, micros_or_none
from costlens_policy.ledger.calls import (
    Carry,
    Charge,
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
    place_number,
    unknown_call,
)
from costlens_policy.ledger.options import ledger_name, number_of, seconds_of, take_options
from costlens_policy.ledger.postgresql.connection import Connection, Database
from costlens_policy.periods import FIRST_USE

__all__ = ["PostgreSQLStore"]


_OPTIONS: Final = {"ledger": "costlens", "timeout": "5", "connections": "32"}


class PostgreSQLStore:
    """A ``Store`` for any number of machines, as durable as the database.

    Options of the URL: ``ledger`` is the schema, ``timeout`` is in seconds, ``connections`` is how many each process
    has at most; all others are PostgreSQL's. The first to open a ledger needs the right to create the schema.
    With ``read_only`` the ledger must be there.
    """

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        url, given = take_options(url, _OPTIONS)
        options = {**_OPTIONS, **given}
        connections = number_of("connections", options["connections"])
        self._database = Database(
            url, ledger_name(options["ledger"]), seconds_of(options["timeout"]), connections, read_only=read_only
        )

    def reserve(self, hold: Hold) -> Held | Refused:
        now = micros(hold.now)
        end = lease_end(now, hold.lease)
        asked = (hold.call, now, end, facts_text(hold.facts), _asked(hold.lines))
        if hold.shares:
            more = json_text(hold.unless), _sharing(hold)
            what, rows, *known = self._database.call("reserve_sharing", *asked, *more)
        elif hold.unless:
            what, rows, *known = self._database.call("reserve_unless", *asked, json_text(hold.unless))
        else:
            what, rows, *known = self._database.call("reserve", *asked)
        if what == "barred":
            return Refused(hold.call, (), known[0])
        lines = _line_states(rows or [], [line.account for line in hold.lines])
        if what == "known":
            return _held_again(hold, now, lines, *known)
        earlier = _earlier(rows) if any(line.carry is not None for line in hold.lines) else ()
        if what == "held":
            return Held(hold.call, lines, end, earlier=earlier)
        return Refused(hold.call, lines, earlier=earlier)

    def settle(self, settlement: Settlement) -> Settled:
        return self._settle(settlement, unknown=False)

    def charge(self, settlement: Settlement) -> Settled:
        return self._settle(settlement, unknown=True)

    def release(self, call: str, now: datetime) -> Released:
        return Released(call, self._database.call("release", call, micros(now)))

    def void(self, call: str, now: datetime) -> Released:
        return Released(call, self._database.call("void", call, micros(now)))

    def extend(self, call: str, lease: timedelta, now: datetime) -> Extended:
        state, *end = self._database.call("extend", call, micros(now), lease_end(micros(now), lease))
        if not end:
            raise unknown_call(call)
        return Extended(call, state, instant_of(end[0] * SECOND))

    def balances(self, accounts: Sequence[Account], now: datetime) -> tuple[AccountBalance, ...]:
        rows = self._database.rows(
            "SELECT b.used::text, b.held::text, g.grants,"
            " CASE WHEN strpos(n.name, %s) > 0 THEN @ledger.window_of(n.name, %s) END,"
            " @ledger.set_aside(a.id, %s)::text, @ledger.share_left(a.id, %s)::text"
            " FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS n (name, scope, place)"
            " LEFT JOIN @ledger.balance(n.name, %s) AS b ON true LEFT JOIN @ledger.grants AS g ON g.scope = n.scope"
            " LEFT JOIN @ledger.accounts AS a ON a.name = n.name COLLATE \"C\" ORDER BY n.place",
            f"{SEPARATOR}{FIRST_USE}", micros(now), micros(now), micros(now),
            [account.name for account in accounts], [account.scope for account in accounts], micros(now),
        )  # fmt: skip
        return tuple(_balance(account, row, micros(now)) for account, row in zip(accounts, rows, strict=True))

    def next_end(self, account: Account, now: datetime) -> datetime | None:
        ((second,),) = self._database.rows(
            "SELECT min(e.second) FROM @ledger.ends AS e JOIN @ledger.accounts AS a ON a.id = e.account"
            " WHERE a.name = %s AND e.second > %s AND e.held > 0",
            account.name, micros(now) // SECOND,
        )  # fmt: skip
        return None if second is None else instant_of(second * SECOND)

    def accounts(self, query: AccountQuery, now: datetime) -> Page[AccountBalance]:
        first, last = query.names()
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM @ledger.accounts AS a WHERE a.name > %s AND a.name >= %s AND a.name < %s"
            " AND a.budget = coalesce(%s, a.budget) AND a.period = coalesce(%s, a.period)"
            " AND a.unit = coalesce(%s, a.unit) AND a.key = coalesce(%s, a.key) ORDER BY a.name LIMIT %s",
            query.after, first, last, query.budget, query.period, query.unit, query.key, query.limit + 1,
        )  # fmt: skip
        page = [_account_of(row) for row in rows[: query.limit]]
        return Page(self.balances(page, now), page[-1].name if len(rows) > len(page) else "")

    def adjust(self, adjustment: Adjustment) -> Adjusted:
        def operation(connection: Connection) -> Adjusted:
            with connection.transaction():
                return _adjust(connection, self._database, adjustment)

        return self._database.run(operation)

    def reservation(self, call: str, now: datetime) -> Reservation | None:
        rows = self._database.rows(
            "SELECT lines, reserved_at, ends_at, facts, more_facts, released, settled_at, late, charged"
            " FROM @ledger.calls WHERE id = %s",
            call,
        )
        return None if not rows else _known_call(call, micros(now), *rows[0])

    def reservations(self, query: ReservationQuery, now: datetime) -> Page[Reservation]:
        rows = self._database.rows(
            "SELECT c.id, c.lines, c.reserved_at, c.ends_at, c.facts FROM @ledger.calls AS c"
            " WHERE c.settled_at IS NULL AND NOT c.released"
            f" AND c.ends_at {'<=' if query.expired else '>'} %s AND (c.ends_at, c.id) > (%s, %s)"
            " AND (%s::text IS NULL AND %s::text IS NULL OR EXISTS (SELECT 1 FROM jsonb_array_elements(c.lines) AS line"
            " WHERE line.value->0->>1 = coalesce(%s, line.value->0->>1)"
            " AND line.value->0->>2 = coalesce(%s, line.value->0->>2)))"
            " ORDER BY c.ends_at, c.id LIMIT %s",
            micros(now) // SECOND, *query.place(), query.budget, query.key, query.budget, query.key, query.limit + 1,
        )  # fmt: skip
        items = tuple(_reservation(query, *row) for row in rows[: query.limit])
        return Page(items, query.following(items[-1]) if len(rows) > len(items) else "")

    def entries(self, query: EntryQuery) -> Page[Entry]:
        filters = list(_filters(query))
        if _may_be_overtaken(query):
            filters.append(("e.id <= %s", (self._database.call("last_entry"),)))
        where = " AND ".join(condition for condition, _ in filters) or "true"
        values = [value for _, values in filters for value in values]
        order = "DESC" if query.newest_first else "ASC"
        rows = self._database.rows(f"{_SELECT} WHERE {where} ORDER BY e.id {order} LIMIT %s", *values, query.limit + 1)
        items = tuple(_entry(row) for row in rows[: query.limit])
        return Page(items, items[-1].id if len(rows) > query.limit else "")

    def claim_alert(self, claim: AlertClaim, now: datetime, lease: timedelta) -> bool:
        inserted = self._database.execute(
            "INSERT INTO @ledger.alerts"
            " (id, budget, key, period, threshold, facts, claimed_at, visible_at, attempts, problem)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 1, '') ON CONFLICT (id) DO NOTHING",
            claim.id, claim.budget, claim.key, claim.period, claim.threshold, facts_text(claim.facts),
            micros(now), micros(now + lease),
        )  # fmt: skip
        return inserted == 1

    def pending_alerts(self, now: datetime, lease: timedelta, limit: int = 100) -> tuple[PendingAlert, ...]:
        rows = self._database.rows(
            "WITH due AS (SELECT number, visible_at AS due_at FROM @ledger.alerts"
            " WHERE delivered_at IS NULL AND visible_at <= %s ORDER BY visible_at, number LIMIT %s"
            " FOR UPDATE SKIP LOCKED),"
            " taken AS (UPDATE @ledger.alerts AS a SET visible_at = %s, attempts = a.attempts + 1 FROM due"
            " WHERE a.number = due.number"
            " RETURNING a.budget, a.key, a.period, a.threshold, a.facts, a.claimed_at, a.attempts - 1, a.problem,"
            " due.due_at, a.number)"
            " SELECT * FROM taken ORDER BY due_at, number",
            micros(now), limit, micros(now + lease),
        )  # fmt: skip
        return tuple(_pending(*row[:-2]) for row in rows)

    def alert_delivered(self, claim: AlertClaim, now: datetime) -> None:
        self._database.execute(
            "UPDATE @ledger.alerts SET delivered_at = %s WHERE id = %s AND delivered_at IS NULL", micros(now), claim.id
        )

    def alert_failed(self, claim: AlertClaim, retry_at: datetime, problem: str) -> None:
        self._database.execute(
            "UPDATE @ledger.alerts SET visible_at = %s, problem = %s WHERE id = %s", micros(retry_at), problem, claim.id
        )

    def close(self) -> None:
        self._database.close()

    def _settle(self, settlement: Settlement, unknown: bool) -> Settled:
        facts, charges = facts_text(settlement.facts), settlement.charges
        what, *rest = self._database.call(
            "settle", settlement.call, micros(settlement.now), facts, _charged(charges), unknown
        )
        if what == "unknown":
            raise unknown_call(settlement.call)
        late, settled_at, rows = rest
        lines = _charged_lines(rows, [charge.account for charge in charges])
        return Settled(settlement.call, lines, instant_of(settled_at), late, what == "known")


def _held_again(
    hold: Hold, now: int, lines: tuple[Any, ...], end: int | None, released: bool, settled_at: int | None
) -> Held:
    if end is None:
        raise charged_without_hold(hold.call)
    return held_again(hold, lines, end, call_state(end, released, settled_at is not None, now))


_COLUMNS: Final = "a.budget, a.key, a.unit, a.period, a.starts_at, a.resets_at, a.rolling"
_SELECT: Final = f"""
    SELECT {_COLUMNS}, e.id, e.at, e.kind, e.amount::text, e.was_held::text, coalesce(c.late, false),
        coalesce(c.id, j.id), coalesce(c.facts, j.facts), coalesce(c.more_facts, '{{}}')
    FROM @ledger.entries AS e JOIN @ledger.accounts AS a ON a.id = e.account
        LEFT JOIN @ledger.calls AS c ON e.kind = 'charge' AND c.number = e.source
        LEFT JOIN @ledger.adjustments AS j ON e.kind <> 'charge' AND j.number = e.source"""


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
        account=_account_of(row[:7]),
        amount=int(amount),
        was_held=int(was_held),
        late=late,
        facts={**facts_value(facts), **facts_value(more)},
    )


def _balance(account: Account, row: Any, now: int) -> AccountBalance:
    used, held, grants, start, aside, share = row
    in_force = grants_at([Grant(*grant) for grant in grants or ()], account.period, now)
    left = None if share is None else int(share)
    return AccountBalance(account.begun(start), int(used or 0), int(held or 0), in_force, int(aside or 0), left)


def _reservation(query: ReservationQuery, id: str, lines: Any, reserved_at: int, end: int, facts: str) -> Reservation:
    times = instant_of(reserved_at), instant_of(end * SECOND)
    return Reservation(id, query.state, _reserved_lines(lines), *times, facts_value(facts))


def _known_call(
    id: str, now: int, lines: Any, reserved_at: int, end: int | None, facts: str, more_facts: str | None, *after: Any
) -> Reservation:
    released, settled_at, late, charged = after
    settled = None
    if settled_at is not None:
        settled = Settled(id, _charged_lines(charged, ()), instant_of(settled_at), late, repeated=True)
    times = instant_of(reserved_at), instant_of(reserved_at if end is None else end * SECOND)
    state = call_state(end, released, settled is not None, now)
    together = {**facts_value(facts), **facts_value(more_facts or "{}")}
    return Reservation(id, state, _reserved_lines(lines), *times, together, settled)


def _reserved_lines(lines: Any) -> tuple[ReservedLine, ...]:
    ordered = sorted(lines, key=lambda line: line[7])
    return tuple(ReservedLine(_account_of(line[0][1:8]), line[2]) for line in ordered)


def _pending(*row: Any) -> PendingAlert:
    budget, key, period, threshold, facts, claimed_at, attempts, problem = row
    alert = AlertClaim(budget, key, period, threshold, facts_value(facts))
    return PendingAlert(alert, instant_of(claimed_at), attempts, problem)


def _adjust(connection: Connection, database: Database, adjustment: Adjustment) -> Adjusted:
    def one(statement: str, *arguments: Any) -> Any:
        return connection.execute(database.sql(statement), arguments).fetchone()

    account, now = adjustment.account, micros(adjustment.now)
    known = one("SELECT balance FROM @ledger.adjustments WHERE id = %s", adjustment.id)
    if known is not None:
        used, held, override, topup = known[0]
        return Adjusted(adjustment.id, AccountBalance(account, used, held, Grants(override, topup)), repeated=True)
    given = Jsonb(_account_array(account), dumps=json_text)
    id, used = one("SELECT id, used::text FROM @ledger.touched(%s, %s)", given, now)
    grants, amount = _grants(one, adjustment), adjustment.amount
    if adjustment.kind == "set":
        amount -= int(used)
        one("SELECT @ledger.set_used(%s, %s, %s)", id, now, adjustment.amount)
    elif adjustment.kind == "correct":
        _correct(one, adjustment, id, int(used))
    in_force = grants_at(grants, account.period, now)
    used, held = one("SELECT used::text, held::text FROM @ledger.accounts WHERE id = %s", id)
    balance = AccountBalance(account, int(used), int(held), in_force)
    _record(one, adjustment, id, amount, balance)
    return Adjusted(adjustment.id, balance)


def _correct(one: Any, correction: Adjustment, account: int, used: int) -> None:
    """Add what a correction adds, or take away what it takes: the rest of a rolling window then counts from now."""
    left, now = correction.corrected(used), micros(correction.now)
    if correction.amount < 0:
        one("SELECT @ledger.set_used(%s, %s, %s)", account, now, left)
        return
    if correction.account.period.first_use is not None:
        one("SELECT @ledger.set_used(%s, %s, %s)", account, now, left)
        return
    one("UPDATE @ledger.accounts SET used = used + %s WHERE id = %s RETURNING id", correction.amount, account)
    one(
        "INSERT INTO @ledger.buckets AS b (account, bucket, used)"
        " SELECT id, %s / width, %s FROM @ledger.accounts WHERE id = %s AND width > 0"
        " ON CONFLICT ON CONSTRAINT buckets_pkey DO UPDATE SET used = b.used + excluded.used RETURNING account",
        now, correction.amount, account,
    )  # fmt: skip


def _grants(one: Any, adjustment: Adjustment) -> tuple[Grant, ...]:
    """Return the grants of the scope, after the adjustment has changed them."""
    scope = adjustment.account.scope
    one("INSERT INTO @ledger.grants VALUES (%s, '[]') ON CONFLICT DO NOTHING RETURNING scope", scope)
    (rows,) = one("SELECT grants FROM @ledger.grants WHERE scope = %s FOR UPDATE", scope)
    grants = tuple(Grant(*row) for row in rows)
    grants = adjusted_grants(grants, adjustment)
    kept = Jsonb([grant.to_json() for grant in grants], dumps=json_text)
    one("UPDATE @ledger.grants SET grants = %s WHERE scope = %s RETURNING scope", kept, scope)
    return grants


def _record(one: Any, adjustment: Adjustment, account: int, amount: int, balance: AccountBalance) -> None:
    kept = [balance.used, balance.held, balance.grants.override, balance.grants.topup]
    (number,) = one(
        "INSERT INTO @ledger.adjustments (id, balance, facts) VALUES (%s, %s, %s) RETURNING number",
        adjustment.id, Jsonb(kept, dumps=json_text), facts_text(adjustment.facts()),
    )  # fmt: skip
    (entry,) = one(
        "INSERT INTO @ledger.entries (at, kind, source, account, amount, was_held)"
        " VALUES (%s, %s, %s, %s, %s, 0) RETURNING id",
        micros(adjustment.now), adjustment.kind, number, account, amount,
    )  # fmt: skip
    one("UPDATE @ledger.adjustments SET entry = %s WHERE number = %s RETURNING number", entry, number)


def _asked(lines: Iterable[HoldLine]) -> str:
    """Return lines for ``reserve`` as JSON, in the order in which accounts are locked."""
    rows = [
        (_account_array(line.account), line.account.scope, line.amount, line.limit, place, *_rule(line.carry))
        for place, line in enumerate(lines)
    ]
    return json_text(sorted(rows, key=lambda row: row[0][0]))


def _rule(carry: Carry | None) -> tuple[Mapping[str, Any], ...]:
    """Return what a line carries over as ``functions_2_carry.sql`` takes it, if it does."""
    return () if carry is None else (_rule_of(carry),)


@lru_cache(maxsize=4096)
def _rule_of(carry: Carry) -> Mapping[str, Any]:
    rule = carry.rule
    return {
        "windows": [window.name for window in carry.windows],
        "ends": [micros_or_none(window.period.resets_at) for window in carry.windows],
        "place": carry.place + 1,
        "counting": carry.counting,
        "share": str(rule.share),
        "most": None if rule.most is None else str(rule.most),
        "periods": rule.periods,
    }


def _earlier(rows: list[Any]) -> tuple[tuple[int, ...], ...]:
    """Return what earlier windows of each line have used, in the order of the call."""
    ordered = sorted(rows, key=lambda row: row[7])
    return tuple(tuple(row[8]) if len(row) > 8 else () for row in ordered)


def _sharing(hold: Hold) -> str:
    """Return the shares of a call for ``reserve_sharing`` as JSON, by the numbers that ``_asked`` gives its lines."""
    numbers = {name: number for number, name in enumerate(sorted(line.account.name for line in hold.lines), 1)}
    return json_text(
        [
            (numbers[share.account.name], numbers[share.of.name], share.lease // MICROSECOND, share.ends)
            for share in hold.shares
        ]
    )


def _charged(charges: Iterable[Charge]) -> str:
    """Return charges for ``settle`` as JSON."""
    rows = [(_account_array(charge.account), charge.account.scope, charge.amount) for charge in charges]
    return json_text(rows)


def _line_states(rows: list[Any], known: Iterable[Account]) -> tuple[LineState, ...]:
    """Return the lines of ``reserve`` in the order of the call; ``known`` accounts need not be made anew."""
    accounts = {account.name: account for account in known}
    return tuple(
        LineState(_known_account(accounts, row[0]), *row[2:6], *(row[9] if len(row) > 9 else ()))
        for row in sorted(rows, key=lambda row: row[7])
    )


def _known_account(accounts: Mapping[str, Account], row: Any) -> Account:
    known = accounts.get(row[0])
    return _account_of(row[1:8]) if known is None else known.begun(row[5])


def _charged_lines(rows: list[Any], known: Iterable[Account]) -> tuple[ChargedLine, ...]:
    """Return the lines of ``settle``: those that were held, then the others."""
    accounts = {account.name: account for account in known}
    return tuple(
        ChargedLine(_known_account(accounts, row[0]), row[1], row[2], row[3], row[4])
        for row in sorted(rows, key=lambda row: row[6])
    )


@lru_cache(maxsize=4096)
def _account_array(account: Account) -> tuple[Any, ...]:
    """Return an account as the functions take it."""
    return (account.name, account.budget, account.key, account.unit, account.period.id, *span_of(account.period))


def _account_of(row: Any) -> Account:
    """Return the account of budget, key, unit, period, start, reset and length."""
    budget, key, unit, period, *span = row
    return Account(budget, key, unit, period_of(period, *span))
