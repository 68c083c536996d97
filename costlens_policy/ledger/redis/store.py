"""The ledger in Redis."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from costlens_policy.ledger.account import Account, AccountBalance
from costlens_policy.ledger.adjustments import Adjusted, Adjustment
from costlens_policy.ledger.alerts import AlertClaim, PendingAlert
from costlens_policy.ledger.answers import charged_without_hold, held_again, unknown_call
from costlens_policy.ledger.charges import ChargedLine, Settled, Settlement
from costlens_policy.ledger.history import AccountQuery, Entry, EntryQuery, Page, Reservation, ReservationQuery
from costlens_policy.ledger.holds import CallState, Extended, Held, Hold, LineState, Refused, Released
from costlens_policy.ledger.instants import SECOND, instant_of, micros
from costlens_policy.ledger.json_text import facts_text
from costlens_policy.ledger.leases import lease_end
from costlens_policy.ledger.options import ledger_name, number_of, seconds_of, take_options
from costlens_policy.ledger.redis import adjusting, listing, outbox
from costlens_policy.ledger.redis.accounts import Accounts
from costlens_policy.ledger.redis.history import read_entries
from costlens_policy.ledger.redis.server import Server
from costlens_policy.ledger.redis.wire import amounts_in, charge_arguments, line_arguments

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
        about = hold.call, now, end, self._remember, [line_arguments(line) for line in hold.lines]
        answer = self._server.run("reserve", (f"c:{hold.call}", "open"), about, facts_text(hold.facts))
        if not isinstance(answer, str):
            return self._held_again(hold, now, *answer)
        numbers = amounts_in(f"0 {answer}")
        lines = tuple(
            LineState(
                line.account, line.amount, None if line.limit is None else numbers[at], numbers[at + 1], numbers[at + 2]
            )
            for at, line in zip(range(1, len(numbers), 3), hold.lines, strict=True)
        )
        return Held(hold.call, lines, end) if numbers[0] else Refused(hold.call, lines)

    def settle(self, settlement: Settlement) -> Settled:
        return self._settle(settlement, unknown=False)

    def charge(self, settlement: Settlement) -> Settled:
        return self._settle(settlement, unknown=True)

    def release(self, call: str, now: datetime) -> Released:
        about = call, micros(now), self._remember
        return Released(call, self._server.run("release", (f"c:{call}", "open"), about))

    def extend(self, call: str, lease: timedelta, now: datetime) -> Extended:
        about = call, micros(now), lease_end(micros(now), lease), self._remember
        state, *end = self._server.run("extend", (f"c:{call}", "open"), about)
        if not end:
            raise unknown_call(call)
        return Extended(call, state, instant_of(int(end[0]) * SECOND))

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
        outbox.finish(self._server, claim, 0, "")

    def alert_failed(self, claim: AlertClaim, retry_at: datetime, problem: str) -> None:
        outbox.finish(self._server, claim, micros(retry_at), problem)

    def close(self) -> None:
        self._server.close()

    def _held_again(self, hold: Hold, now: int, state: CallState, end: int | str, rows: list[Any]) -> Held:
        if not end:
            raise charged_without_hold(hold.call)
        accounts = self._accounts.named([name for name, _ in rows], [line.account for line in hold.lines])
        lines = []
        for name, numbers in rows:
            amount, limit, used, held = amounts_in(numbers)
            lines.append(LineState(accounts[name], amount, None if limit < 0 else limit, used, held))
        if state == "held" and now >= int(end) * SECOND:
            state = "expired"
        return held_again(hold, tuple(lines), int(end), state)

    def _settle(self, settlement: Settlement, unknown: bool) -> Settled:
        charges = settlement.charges
        about = settlement.call, micros(settlement.now), self._remember, self._history, unknown
        answer = self._server.run(
            "settle",
            (f"c:{settlement.call}", "open"),
            (*about, [charge_arguments(charge) for charge in charges]),
            facts_text(settlement.facts),
        )
        if answer is None:
            raise unknown_call(settlement.call)
        known, late, settled_at, *rows = answer
        accounts = self._accounts.named(rows[::2], [charge.account for charge in charges])
        lines = tuple(
            [
                ChargedLine(accounts[name], *amounts_in(numbers))
                for name, numbers in zip(rows[::2], rows[1::2], strict=True)
            ]
        )
        return Settled(settlement.call, lines, instant_of(int(settled_at)), bool(late), bool(known))
