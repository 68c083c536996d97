"""What one process may spend while the ledger cannot be reached."""

from __future__ import annotations

from decimal import Decimal
from threading import Lock
from typing import Final

from costlens_policy.money import ZERO, total

__all__ = ["Allowance"]


class Allowance:
    """A bound in US dollars on calls whose charges no ledger has yet. It starts anew once the ledger has them.

    Safe for threads. It is in memory: each process has its own, and a new process a new one.
    """

    def __init__(self, limit: Decimal) -> None:
        self.limit: Final = limit
        self._lock = Lock()
        self._held: dict[str, Decimal] = {}
        self._used = ZERO

    @property
    def taken(self) -> Decimal:
        """What is spent and held of it."""
        return total((self._used, *self._held.values()))

    def take(self, call: str, amount: Decimal) -> bool:
        """Hold an amount for a call; say whether there is room for it."""
        with self._lock:
            if total((self.taken, amount)) > self.limit:
                return False
            self._held[call] = amount
            return True

    def spend(self, call: str, amount: Decimal) -> None:
        """Replace what is held for a call by what it cost."""
        with self._lock:
            self._held.pop(call, None)
            self._used = total((self._used, amount))

    def give_back(self, call: str) -> None:
        """Free what is held for a call: it was released, or the ledger has its charge."""
        with self._lock:
            self._held.pop(call, None)

    def renew(self) -> None:
        """Forget what was spent: the ledger has it now."""
        with self._lock:
            self._used = ZERO
