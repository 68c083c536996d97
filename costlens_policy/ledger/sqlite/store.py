"""The ledger in a SQLite file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from costlens_policy.ledger.account import Account, AccountBalance, lease_end
from costlens_policy.ledger.adjustments import Adjusted, Adjustment
from costlens_policy.ledger.alerts import AlertClaim, PendingAlert
from costlens_policy.ledger.amounts import micros
from costlens_policy.ledger.calls import Extended, Held, Hold, Refused, Released, Settled, Settlement
from costlens_policy.ledger.history import AccountQuery, Entry, EntryQuery, Page, Reservation, ReservationQuery
from costlens_policy.ledger.sqlite import calls, records
from costlens_policy.ledger.sqlite.file import LedgerFile

__all__ = ["SQLiteStore"]


class SQLiteStore:
    """A ``Store`` for any number of threads and processes of one machine.

    What it has answered survives a crash of the machine.

    The file, and its folder if the file is new, must be writable and on a local disk. ``timeout`` is how many seconds
    to wait for other writers. A version that is not the one of this package is brought up to date if older, and
    refused if newer. With ``read_only`` the file must be there, and need not be writable.
    """

    def __init__(self, path: str, timeout: float = 10.0, *, read_only: bool = False) -> None:
        self._file = LedgerFile(path, timeout, read_only=read_only)
        self._file.open()

    def reserve(self, hold: Hold) -> Held | Refused:
        with self._file.writing() as db:
            return calls.reserve(db, hold)

    def settle(self, settlement: Settlement) -> Settled:
        with self._file.writing() as db:
            return calls.settle(db, settlement, unknown=False)

    def charge(self, settlement: Settlement) -> Settled:
        with self._file.writing() as db:
            return calls.settle(db, settlement, unknown=True)

    def release(self, call: str, now: datetime) -> Released:
        with self._file.writing() as db:
            return calls.release(db, call, micros(now))

    def void(self, call: str, now: datetime) -> Released:
        with self._file.writing() as db:
            return calls.void(db, call, micros(now))

    def extend(self, call: str, lease: timedelta, now: datetime) -> Extended:
        end = lease_end(micros(now), lease)
        with self._file.writing() as db:
            return calls.extend(db, call, end, micros(now))

    def balances(self, accounts: Sequence[Account], now: datetime) -> tuple[AccountBalance, ...]:
        with self._file.reading() as db:
            return records.read_balances(db, accounts, micros(now))

    def accounts(self, query: AccountQuery, now: datetime) -> Page[AccountBalance]:
        with self._file.reading() as db:
            return records.read_accounts(db, query, micros(now))

    def adjust(self, adjustment: Adjustment) -> Adjusted:
        with self._file.writing() as db:
            return records.adjust(db, adjustment)

    def reservation(self, call: str, now: datetime) -> Reservation | None:
        with self._file.reading() as db:
            return calls.read_reservation(db, call, micros(now))

    def reservations(self, query: ReservationQuery, now: datetime) -> Page[Reservation]:
        with self._file.reading() as db:
            return records.read_reservations(db, query, micros(now))

    def entries(self, query: EntryQuery) -> Page[Entry]:
        with self._file.reading() as db:
            return records.read_entries(db, query)

    def claim_alert(self, claim: AlertClaim, now: datetime, lease: timedelta) -> bool:
        with self._file.writing() as db:
            return records.claim(db, claim, micros(now), micros(now + lease))

    def pending_alerts(self, now: datetime, lease: timedelta, limit: int = 100) -> tuple[PendingAlert, ...]:
        with self._file.writing() as db:
            return records.take(db, micros(now), micros(now + lease), limit)

    def alert_delivered(self, claim: AlertClaim, now: datetime) -> None:
        with self._file.writing() as db:
            records.mark_delivered(db, claim, micros(now))

    def alert_failed(self, claim: AlertClaim, retry_at: datetime, problem: str) -> None:
        with self._file.writing() as db:
            records.fail(db, claim, micros(retry_at), problem)

    def close(self) -> None:
        self._file.close()
