"""The ledger in Redis."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from costlens_policy.ledger.account import Account, AccountBalance, lease_end
from costlens_policy.ledger.adjustments import Adjusted, Adjustment
from costlens_policy.ledger.alerts import AlertClaim, PendingAlert
from costlens_policy.ledger.amounts import SECOND, instant_of, micros
from costlens_policy.ledger.calls import (
    ChargedLine,
    Extended,
    Held,
    Hold,
    LineState,
    Refused,
    Released,
    Settled,
    Settlement,
    facts_text,
)
from costlens_policy.ledger.history import (
    AccountQuery,
    Entry,
    EntryQuery,
    Page,
    Reservation,
    ReservationQuery,
    call_state,
    charged_without_hold,
    held_again,
    unknown_call,
)
from costlens_policy.ledger.options import ledger_name, number_of, seconds_of, take_options
from costlens_policy.ledger.redis import records
from costlens_policy.ledger.redis.connection import Server

__all__ = ["RedisStore"]

_OPTIONS: Final = {
    "ledger": "costlens", "timeout": "5", "connections": "64", "history": "1000000", "remember": "604800",
}  # fmt: skip


class RedisStore:
    """A ``Store`` for any number of machines, as durable as the server.

    Options of the URL: ``ledger`` names one of several in a server, ``timeout`` is in seconds, ``connections`` is how
    many each process has at most, ``history`` is how many entries are kept (balances do not depend on them),
    ``remember`` for how many seconds a call is known after its lease or charge. With ``read_only`` the ledger must be
    there.
    """

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        url, given = take_options(url, _OPTIONS)
        options = {**_OPTIONS, **given}
        self._history = number_of("history", options["history"])
        self._remember = number_of("remember", options["remember"]) * 1000
        connections = number_of("connections", options["connections"])
        self._server = Server(
            url, ledger_name(options["ledger"]), seconds_of(options["timeout"]), connections, read_only=read_only
        )
        self._accounts = records.Accounts(self._server)

    def reserve(self, hold: Hold) -> Held | Refused:
        now = micros(hold.now)
        end = lease_end(now, hold.lease)
        texts, numbers = [hold.call], [now, end, self._remember]
        for line in hold.lines:
            texts += records.line_texts(line)
            numbers += records.line_numbers(line)
        keys = (f"c:{hold.call}", "open", *[f"c:{call}" for call in hold.unless])
        carries = any(line.carry is not None for line in hold.lines)
        more = [records.rules_text(hold.lines)] if carries or hold.shares else []
        more += [records.shares_text(hold)] if hold.shares else []
        answer = self._server.run("reserve", keys, texts, numbers, facts_text(hold.facts), *more)
        what, _, rest = answer.partition("\0")
        if what == "2":
            return Refused(hold.call, (), hold.unless[int(rest)])
        what, *before = what.split("/")
        earlier = tuple(map(records.earlier_of, before)) if carries else ()
        what, _, starts = what.partition(":")
        if what not in "01":
            return self._held_again(hold, now, what, rest)
        accounts = [line.account for line in hold.lines]
        shared, rest = _shared(hold, rest)
        if starts:
            accounts = list(map(records.begun, accounts, starts.split(",")))
        rows = records.rows_of(rest, records.HELD)
        lines = tuple([_state(row, account) for row, account in zip(rows, accounts, strict=True)])
        if shared:
            lines = records.with_shares(lines, shared)
        if what == "1":
            return Held(hold.call, lines, end, earlier=earlier)
        return Refused(hold.call, lines, earlier=earlier)

    def settle(self, settlement: Settlement) -> Settled:
        return self._settle(settlement, unknown=False)

    def charge(self, settlement: Settlement) -> Settled:
        return self._settle(settlement, unknown=True)

    def release(self, call: str, now: datetime) -> Released:
        return self._release(call, now, unknown=False)

    def void(self, call: str, now: datetime) -> Released:
        return self._release(call, now, unknown=True)

    def extend(self, call: str, lease: timedelta, now: datetime) -> Extended:
        numbers = micros(now), lease_end(micros(now), lease), self._remember
        state, *end = self._server.run("extend", (f"c:{call}", "open"), (call,), numbers)
        if not end:
            raise unknown_call(call)
        return Extended(call, state, instant_of(int(end[0]) * SECOND))

    def balances(self, accounts: Sequence[Account], now: datetime) -> tuple[AccountBalance, ...]:
        return records.read_balances(self._server, accounts, micros(now))

    def next_end(self, account: Account, now: datetime) -> datetime | None:
        second = self._server.run("next_end", (), (account.name,), (micros(now) // SECOND,))
        return None if second is None else instant_of(second * SECOND)

    def accounts(self, query: AccountQuery, now: datetime) -> Page[AccountBalance]:
        return records.read_accounts(self._server, self._accounts, query, micros(now))

    def adjust(self, adjustment: Adjustment) -> Adjusted:
        return records.adjust(self._server, adjustment, self._remember, self._history)

    def reservation(self, call: str, now: datetime) -> Reservation | None:
        return records.read_reservation(self._server, call, micros(now))

    def reservations(self, query: ReservationQuery, now: datetime) -> Page[Reservation]:
        return records.read_reservations(self._server, self._accounts, query, micros(now))

    def entries(self, query: EntryQuery) -> Page[Entry]:
        return records.read_entries(self._server, self._accounts, query)

    def claim_alert(self, claim: AlertClaim, now: datetime, lease: timedelta) -> bool:
        return records.claim(self._server, claim, micros(now), micros(now + lease))

    def pending_alerts(self, now: datetime, lease: timedelta, limit: int = 100) -> tuple[PendingAlert, ...]:
        return records.take(self._server, micros(now), micros(now + lease), limit)

    def alert_delivered(self, claim: AlertClaim, now: datetime) -> None:
        records.finish(self._server, claim, 0, "")

    def alert_failed(self, claim: AlertClaim, retry_at: datetime, problem: str) -> None:
        records.finish(self._server, claim, micros(retry_at), problem)

    def close(self) -> None:
        self._server.close()

    def _release(self, call: str, now: datetime, unknown: bool) -> Released:
        numbers = micros(now), self._remember, int(unknown)
        return Released(call, self._server.run("release", (f"c:{call}", "open"), (call,), numbers))

    def _held_again(self, hold: Hold, now: int, what: str, rest: str) -> Held:
        end, _, held = rest.partition("\0")
        if not end:
            raise charged_without_hold(hold.call)
        shared, held = _shared(hold, held)
        rows = records.rows_of(held, records.HELD)
        accounts = self._accounts.named([row[0] for row in rows], [line.account for line in hold.lines])
        state = call_state(int(end), what == "released", what == "settled", now)
        lines = records.with_shares([_state(row, accounts[row[0]]) for row in rows], shared)
        return held_again(hold, lines, int(end), state)

    def _settle(self, settlement: Settlement, unknown: bool) -> Settled:
        texts, numbers = [settlement.call], [micros(settlement.now), self._remember, self._history, int(unknown)]
        for charge in settlement.charges:
            texts += records.charge_texts(charge)
            numbers += records.charge_numbers(charge)
        facts = facts_text(settlement.facts)
        answer = self._server.run("settle", (f"c:{settlement.call}", "open"), texts, numbers, facts)
        if answer is None:
            raise unknown_call(settlement.call)
        known, late, settled_at, charged = answer.split("\0", 3)
        rows = records.rows_of(charged, records.CHARGED)
        accounts = self._accounts.named([row[0] for row in rows], [charge.account for charge in settlement.charges])
        lines = tuple([ChargedLine(accounts[row[0]], *records.amounts_of(row[1:9])) for row in rows])
        return Settled(settlement.call, lines, instant_of(int(settled_at)), bool(late), known == "1")


def _shared(hold: Hold, answer: str) -> tuple[str, str]:
    """Return what shares do to the lines of an answer, and the lines."""
    shared, _, lines = answer.partition("|") if hold.shares else ("", "", answer)
    return shared, lines


def _state(row: list[str], account: Account) -> LineState:
    amount, limit, used, held = records.amounts_of(row[1:9])
    return LineState(account, amount, None if limit < 0 else limit, used, held)
