"""What can go wrong in the ledger. Every message says what to do."""

from __future__ import annotations

from costlens_policy.errors import CostlensPolicyError

__all__ = [
    "AdjustmentError", "AmountError", "CallConflictError", "LedgerBusyError", "LedgerError", "LedgerUnavailableError",
    "UnknownCallError",
]  # fmt: skip


class LedgerError(CostlensPolicyError):
    """The ledger cannot do what was asked; nothing was recorded."""


class LedgerUnavailableError(LedgerError):
    """The store cannot be reached, is full, read-only, damaged or of another version.

    Every write carries an id, so the same call may be repeated: what had been recorded before the fault is not
    recorded again.
    """


class LedgerBusyError(LedgerUnavailableError):
    """Others kept what this operation needs for too long: a row, the file, every connection of the process.

    This operation was not done. The store answers, so others need not wait.
    """


class AmountError(LedgerError, ValueError):
    """An amount, text or time that the ledger cannot hold: negative, not finite, not whole, too large."""


class UnknownCallError(LedgerError):
    """A call was settled or extended that was never reserved here."""


class CallConflictError(LedgerError):
    """One call id was used for two different calls."""


class AdjustmentError(LedgerError):
    """An adjustment that cannot be made, such as an override while another one is in force."""
