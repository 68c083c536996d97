"""The one protocol behind which every store stands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from costlens_policy.ledger.account import Account, AccountBalance
from costlens_policy.ledger.adjustments import Adjusted, Adjustment
from costlens_policy.ledger.alerts import AlertClaim, PendingAlert
from costlens_policy.ledger.calls import Extended, Held, Hold, Refused, Released, Settled, Settlement
from costlens_policy.ledger.history import AccountQuery, Entry, EntryQuery, Page, Reservation, ReservationQuery

__all__ = ["Store"]


class Store(Protocol):
    """Keeps accounts. Every operation is atomic, and safe from any thread and any process.

    Every write carries an id and may be repeated: the first one counts, and its answer is given again. Where a store
    cannot do what was asked it raises ``LedgerError``, ``LedgerUnavailableError`` when the fault lies outside of the
    request. The current time is always the caller's, so clocks of several machines need not agree: what a clock that
    is ahead has freed or reset stays so, and what was spent stays spent.

    An account whose period has a ``first_use`` has windows that begin with its first hold or charge. Only the store
    knows them: the accounts that it reports have the times of the window in force (``Account.begun``).
    """

    def reserve(self, hold: Hold) -> Held | Refused:
        """Hold every line, or none where ``used + held + amount <= limit`` fails on one, or a call of ``unless``
        is known.

        Raises ``CallConflictError`` where the id is that of another call.
        """

    def settle(self, settlement: Settlement) -> Settled:
        """Replace what is held by what was charged, once. Raises ``UnknownCallError`` for a call never held."""

    def charge(self, settlement: Settlement) -> Settled:
        """Do as ``settle`` does, and record the charges also of a call that was never held."""

    def release(self, call: str, now: datetime) -> Released:
        """Give back what is held. A settlement that arrives later counts nevertheless."""

    def void(self, call: str, now: datetime) -> Released:
        """Do as ``release`` does, and remember the call also where it is unknown: a request to hold it that is still on
        its way then holds nothing, but is answered as one for a call that was released.
        """

    def extend(self, call: str, lease: timedelta, now: datetime) -> Extended:
        """Make the lease last from ``now`` on, unless the hold has ended. Raises ``UnknownCallError``."""

    def balances(self, accounts: Sequence[Account], now: datetime) -> tuple[AccountBalance, ...]:
        """Return the balances of accounts, in their order; zero for one that was never touched. Writes nothing."""

    def next_end(self, account: Account, now: datetime) -> datetime | None:
        """Return when the next of the holds that the account has at ``now`` ends by itself; None where it has none.

        Writes nothing.
        """

    def accounts(self, query: AccountQuery, now: datetime) -> Page[AccountBalance]:
        """Return balances of all accounts that were ever touched and that the query names. Writes nothing."""

    def adjust(self, adjustment: Adjustment) -> Adjusted:
        """Change an account or its limit manually. Raises ``AdjustmentError`` where an override is in force already."""

    def reservation(self, call: str, now: datetime) -> Reservation | None:
        """Return what is known of a call, whatever became of it, in one round trip; None where nothing is.

        Its state is the one at ``now``. Writes nothing.
        """

    def reservations(self, query: ReservationQuery, now: datetime) -> Page[Reservation]:
        """Return calls that are held, or that were and nobody came back for."""

    def entries(self, query: EntryQuery) -> Page[Entry]:
        """Return the history of charges and adjustments."""

    def claim_alert(self, claim: AlertClaim, now: datetime, lease: timedelta) -> bool:
        """Return True to one caller ever. It has the lease's time to deliver before others find the alert pending."""

    def pending_alerts(self, now: datetime, lease: timedelta, limit: int = 100) -> tuple[PendingAlert, ...]:
        """Take alerts that nobody has reported as delivered, the oldest first; others do not see them before the
        lease ends.
        """

    def alert_delivered(self, claim: AlertClaim, now: datetime) -> None:
        """Take the alert out of those pending. It stays claimed."""

    def alert_failed(self, claim: AlertClaim, retry_at: datetime, problem: str) -> None:
        """Let the alert be pending again from ``retry_at`` on."""

    def close(self) -> None:
        """Close connections of the calling process. The store cannot be used afterwards."""
