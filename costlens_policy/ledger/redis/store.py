"""The ledger in Redis."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from costlens_policy.ledger.account import Account, AccountBalance
from costlens_policy.ledger.adjustments import Adjusted, Adjustment
from costlens_policy.ledger.alerts import AlertClaim, PendingAlert
from costlens_policy.ledger.answers import charged_without_hold, held_again, unknown_call
from costlens_policy.ledger.charges import Settled, Settlement
from costlens_policy.ledger.history import AccountQuery, Entry, EntryQuery, Page, Reservation, ReservationQuery
from costlens_policy.ledger.holds import CallState, Extended, Held, Hold, Refused, Released
from costlens_policy.ledger.instants import SECOND, instant_of, micros
from costlens_policy.ledger.json_text import facts_text
from costlens_policy.ledger.leases import lease_end
from costlens_policy.ledger.options import ledger_name, number_of, seconds_of, take_options
from costlens_policy.ledger.redis import adjusting, listing, outbox
from costlens_policy.ledger.redis.accounts import Accounts
from costlens_policy.ledger.redis.history import read_entries
from costlens_policy.ledger.redis.server import Server
from costlens_policy.ledger.redis.wire import charge_arguments, charged_line, line_arguments, line_state

__all__ = ["RedisStore"]

_OPTIONS: Final = {"ledger": "costlens", "timeout": "5", "history": "1000000", "remember": "604800"}


class RedisStore:
    """A ``Store`` for any number of machines, as durable as the server.

    Options of the URL: ``ledger`` names one of several in a server, ``timeout`` is in seconds, ``history`` is how
    many entries are kept (balances do not depend on them), ``remember`` for how many seconds a call is known after
    its lease or charge.
    """

    def __init__(self, url: str) -> None:
        url, given = take_options(url, _OPTIONS)
        options = {**_OPTIONS, **given}
        self._history = number_of("history", options["history"])
        self._remember = number_of("remember", options["remember"]) * 1000
        self._server = Server(url, ledger_name(options["ledger"]), seconds_of(options["timeout"]))
        self._accounts = Accounts(self._server)

    def reserve(self, hold: Hold) -> Held | Refused:
        now = micros(hold.now)
        end = lease_end(now, hold.lease)
        arguments = [argument for line in hold.lines for argument in line_arguments(line)]
        about = hold.call, now, end, facts_text(hold.facts), self._remember, len(hold.lines)
        what, *rest = self._server.run("reserve", (f"c:{hold.call}", "open"), *about, *arguments)
        if what == "known":
            return self._held_again(hold, now, *rest)
        lines = tuple([line_state(line.account, row) for line, row in zip(hold.lines, rest[0], strict=True)])
        return Held(hold.call, lines, end) if what == "held" else Refused(hold.call, lines)

    def settle(self, settlement: Settlement) -> Settled:
        return self._settle(settlement, "")

    def charge(self, settlement: Settlement) -> Settled:
        return self._settle(settlement, "1")

    def release(self, call: str, now: datetime) -> Released:
        return Released(call, self._server.run("release", (f"c:{call}", "open"), call, micros(now)))

    def extend(self, call: str, lease: timedelta, now: datetime) -> Extended:
        end = lease_end(micros(now), lease)
        state, ends_at = self._server.run("extend", (f"c:{call}", "open"), call, micros(now), end, self._remember)
        if state == "unknown":
            raise unknown_call(call)
        return Extended(call, state, instant_of(int(ends_at) * SECOND))

    def balances(self, accounts: Sequence[Account], now: datetime) -> tuple[AccountBalance, ...]:
        return listing.read_balances(self._server, accounts, micros(now))

    def accounts(self, query: AccountQuery, now: datetime) -> Page[AccountBalance]:
        return listing.read_accounts(self._server, self._accounts, query, micros(now))

    def adjust(self, adjustment: Adjustment) -> Adjusted:
        return adjusting.adjust(self._server, adjustment, self._remember, self._history)

    def reservations(self, query: ReservationQuery, now: datetime) -> Page[Reservation]:
        return listing.read_reservations(self._server, self._accounts, query, micros(now))

    def entries(self, query: EntryQuery) -> Page[Entry]:
        return read_entries(self._server, self._accounts, query)

    def claim_alert(self, claim: AlertClaim, now: datetime, lease: timedelta) -> bool:
        return outbox.claim(self._server, claim, micros(now), micros(now + lease))

    def pending_alerts(self, now: datetime, lease: timedelta, limit: int = 100) -> tuple[PendingAlert, ...]:
        return outbox.take(self._server, micros(now), micros(now + lease), limit)

    def alert_delivered(self, claim: AlertClaim, now: datetime) -> None:
        outbox.finish(self._server, claim, "", "")

    def alert_failed(self, claim: AlertClaim, retry_at: datetime, problem: str) -> None:
        outbox.finish(self._server, claim, micros(retry_at), problem)

    def close(self) -> None:
        self._server.close()

    def _held_again(self, hold: Hold, now: int, end: str, released: str, settled_at: str, rows: list[Any]) -> Held:
        if not end:
            raise charged_without_hold(hold.call)
        accounts = self._accounts.named([row[0] for row in rows], [line.account for line in hold.lines])
        lines = tuple(line_state(accounts[row[0]], row) for row in rows)
        state: CallState = "settled" if settled_at else "released" if released else "held"
        if state == "held" and now >= int(end) * SECOND:
            state = "expired"
        return held_again(hold, lines, int(end), state)

    def _settle(self, settlement: Settlement, unknown: str) -> Settled:
        charges = settlement.charges
        arguments = [argument for charge in charges for argument in charge_arguments(charge)]
        about = settlement.call, micros(settlement.now), facts_text(settlement.facts)
        limits = self._remember, self._history, unknown, len(charges)
        what, *rest = self._server.run("settle", (f"c:{settlement.call}", "open"), *about, *limits, *arguments)
        if what == "unknown":
            raise unknown_call(settlement.call)
        late, settled_at, rows = rest
        accounts = self._accounts.named([row[0] for row in rows], [charge.account for charge in charges])
        lines = tuple([charged_line(accounts[row[0]], row) for row in rows])
        return Settled(settlement.call, lines, instant_of(int(settled_at)), bool(late), what == "known")
