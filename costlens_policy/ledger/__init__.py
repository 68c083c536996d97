"""The ledger: what was spent and what is held, exactly, for every budget, key and period.

``open_ledger`` gives a ``Store``. Before a call its worst case is reserved on every budget that it counts against;
afterwards the real charge settles it, or it is released. ``docs/ledger.md`` says what holds when processes die and
clocks differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costlens_policy.ledger.account import Account, AccountBalance, Grants
from costlens_policy.ledger.adjustments import Adjusted, Adjustment, AdjustmentKind
from costlens_policy.ledger.alerts import AlertClaim, PendingAlert
from costlens_policy.ledger.amounts import MAX_AMOUNT, MAX_LIMIT, Unit, amount_of, decimal_of, limit_of
from costlens_policy.ledger.calls import (
    CallState,
    Carry,
    Charge,
    ChargedLine,
    Extended,
    Facts,
    Held,
    Hold,
    HoldLine,
    LineState,
    Refused,
    Released,
    Settled,
    Settlement,
    Share,
)
from costlens_policy.ledger.errors import (
    AdjustmentError,
    AmountError,
    CallConflictError,
    LedgerBusyError,
    LedgerError,
    LedgerUnavailableError,
    UnknownCallError,
)
from costlens_policy.ledger.history import (
    AccountQuery,
    Entry,
    EntryQuery,
    Page,
    Reservation,
    ReservationQuery,
    ReservedLine,
)
from costlens_policy.ledger.opening import Opener, OpenOptions, open_ledger
from costlens_policy.ledger.protocol import Store
from costlens_policy.on_demand import on_demand
from costlens_policy.periods import Period

if TYPE_CHECKING:
    from costlens_policy.ledger.memory import MemoryStore

__all__ = [
    "MAX_AMOUNT", "MAX_LIMIT", "Account", "AccountBalance", "AccountQuery", "Adjusted", "Adjustment",
    "AdjustmentError", "AdjustmentKind", "AlertClaim", "AmountError", "CallConflictError", "CallState", "Carry",
    "Charge", "ChargedLine", "Entry", "EntryQuery", "Extended", "Facts", "Grants", "Held", "Hold", "HoldLine",
    "LedgerBusyError", "LedgerError", "LedgerUnavailableError", "LineState", "MemoryStore", "OpenOptions", "Opener",
    "Page", "PendingAlert", "Period", "Refused", "Released", "Reservation", "ReservationQuery", "ReservedLine",
    "Settled", "Settlement", "Share", "Store", "Unit", "UnknownCallError", "amount_of", "decimal_of", "limit_of",
    "open_ledger",
]  # fmt: skip

__getattr__ = on_demand(__name__, {"MemoryStore": "costlens_policy.ledger.memory"})
