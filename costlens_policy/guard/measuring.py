"""Keeping up with what calls come to, for budgets that hold a quantile of that; in a thread, so that no call waits."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from costlens_policy.compiler.plan import Plan
from costlens_policy.guard.link import Link
from costlens_policy.ledger import LedgerError
from costlens_policy.ledger.measured import CallHistory
from costlens_policy.quantiles import Measures

__all__ = ["Measuring"]

_LOG: Final = logging.getLogger("costlens_policy.guard")
_EVERY: Final = 10.0
"""Seconds after which the history is read again, if somebody asks."""
_NOTHING: Final[Measures] = {}


class Measuring:
    """What is known of calls, as the ledger's history had it at most some seconds ago. Safe for threads.

    Nothing is read, and no thread started, for a plan whose budgets hold worst cases. What an earlier version of the
    policies (``before``) has read is taken over where the budgets are the same.
    """

    __slots__ = (
        "_closed",
        "_due",
        "_history",
        "_link",
        "_lock",
        "_process",
        "_quantiles",
        "_reading",
        "_timer",
        "known",
    )

    def __init__(self, plan: Plan, link: Link, timer: Callable[[], float], before: Measuring | None = None) -> None:
        steps = plan.stages.quantiles
        units = {step.id: step.unit for step in steps}
        self._quantiles: Mapping[str, Decimal] = {
            step.id: step.hold.quantile for step in steps if step.hold is not None
        }
        same = before if before is not None and before._history.units == units else None
        self._history: CallHistory = CallHistory(units) if same is None else same._history
        self._lock: threading.Lock = threading.Lock() if same is None else same._lock
        """Held while the history is read."""
        self._link = link
        self._timer = timer
        self._due = float("-inf")
        self._reading = self._closed = False
        self._process = os.getpid()
        self.known: Measures = _NOTHING
        """Replaced as a whole."""
        if same is not None and same._quantiles == self._quantiles:
            self.known = same.known

    def now_known(self) -> Measures:
        """Return what is known, and let it be read again if it is time for that."""
        if self._quantiles and self._timer() >= self._due:
            self._read_soon()
        return self.known

    def read(self) -> None:
        """Read the history now. Raises ``LedgerError``; then what was known stays."""
        if not self._quantiles:
            return
        with self._lock:
            if self._closed:
                return
            self._due = self._timer() + _EVERY
            self._history.read(lambda query: self._link.ask(lambda store: store.entries(query)))
            self.known = self._history.measures(self._quantiles)

    def _read_soon(self) -> None:
        if self._process != os.getpid():  # after a fork: no thread is reading, and nobody holds the lock
            self._process, self._reading, self._lock = os.getpid(), False, threading.Lock()
        if self._reading:
            return
        self._reading = True
        self._due = self._timer() + _EVERY
        threading.Thread(target=self.read_if_possible, name="costlens-policy-measures", daemon=True).start()

    def close(self, patience: float) -> None:
        """Read nothing any more, and wait for the thread that reads, so that the ledger can be closed."""
        self._closed = True
        if self._quantiles and self._lock.acquire(timeout=patience):
            self._lock.release()

    def read_if_possible(self) -> None:
        """Read the history now; what was known stays where the ledger does not answer."""
        try:
            self.read()
        except LedgerError as error:
            _LOG.warning("what calls have come to could not be read: %s", error)
        finally:
            self._reading = False
