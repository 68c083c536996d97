"""The ledger in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from costlens_policy.ledger.account import Account, AccountBalance, lease_end
from costlens_policy.ledger.adjustments import Adjusted, Adjustment
from costlens_policy.ledger.alerts import AlertClaim, PendingAlert
from costlens_policy.ledger.amounts import SECOND, instant_of, micros
from costlens_policy.ledger.calls import Extended, Held, Hold, Refused, Released, Settled, Settlement, facts_text
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
from costlens_policy.ledger.postgresql import records
from costlens_policy.ledger.postgresql.connection import Database

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
        what, rows, *known = self._database.call(
            "reserve", hold.call, now, end, facts_text(hold.facts), records.asked(hold.lines)
        )
        lines = records.line_states(rows or [], [line.account for line in hold.lines])
        if what == "known":
            return _held_again(hold, now, lines, *known)
        return Held(hold.call, lines, end) if what == "held" else Refused(hold.call, lines)

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
        return records.read_balances(self._database, accounts, micros(now))

    def accounts(self, query: AccountQuery, now: datetime) -> Page[AccountBalance]:
        return records.read_accounts(self._database, query, micros(now))

    def adjust(self, adjustment: Adjustment) -> Adjusted:
        return records.adjust(self._database, adjustment)

    def reservation(self, call: str, now: datetime) -> Reservation | None:
        return records.read_reservation(self._database, call, micros(now))

    def reservations(self, query: ReservationQuery, now: datetime) -> Page[Reservation]:
        return records.read_reservations(self._database, query, micros(now))

    def entries(self, query: EntryQuery) -> Page[Entry]:
        return records.read_entries(self._database, query)

    def claim_alert(self, claim: AlertClaim, now: datetime, lease: timedelta) -> bool:
        return records.claim(self._database, claim, micros(now), micros(now + lease))

    def pending_alerts(self, now: datetime, lease: timedelta, limit: int = 100) -> tuple[PendingAlert, ...]:
        return records.take(self._database, micros(now), micros(now + lease), limit)

    def alert_delivered(self, claim: AlertClaim, now: datetime) -> None:
        records.mark_delivered(self._database, claim, micros(now))

    def alert_failed(self, claim: AlertClaim, retry_at: datetime, problem: str) -> None:
        records.fail(self._database, claim, micros(retry_at), problem)

    def close(self) -> None:
        self._database.close()

    def _settle(self, settlement: Settlement, unknown: bool) -> Settled:
        facts, charges = facts_text(settlement.facts), settlement.charges
        what, *rest = self._database.call(
            "settle", settlement.call, micros(settlement.now), facts, records.charged(charges), unknown
        )
        if what == "unknown":
            raise unknown_call(settlement.call)
        late, settled_at, rows = rest
        lines = records.charged_lines(rows, [charge.account for charge in charges])
        return Settled(settlement.call, lines, instant_of(settled_at), late, what == "known")


def _held_again(
    hold: Hold, now: int, lines: tuple[Any, ...], end: int | None, released: bool, settled_at: int | None
) -> Held:
    if end is None:
        raise charged_without_hold(hold.call)
    return held_again(hold, lines, end, call_state(end, released, settled_at is not None, now))
