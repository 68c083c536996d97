"""The way to the ledger's store: what happens when it breaks off, and what is written once it is back."""

from __future__ import annotations

import atexit
import logging
import os
import time
from collections.abc import Callable
from datetime import datetime
from threading import Event, Lock, Thread
from typing import Final, TypeVar
from weakref import WeakSet

from costlens_policy.guard.journal import Journal, Release, RunEnd
from costlens_policy.ledger.calls import Held, Hold, Refused, Released, Settled, Settlement
from costlens_policy.ledger.errors import LedgerBusyError, LedgerError, LedgerUnavailableError
from costlens_policy.ledger.protocol import Store

__all__ = ["Link", "write_at_exit"]

_Answer = TypeVar("_Answer")

_SHORTEST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 30.0
_LONGEST_WAIT: Final = 5.0
"""How long the thread that writes what waits leaves the store alone at most, and how long a call writes or waits for
that thread, in seconds."""
_LOG: Final = logging.getLogger("costlens_policy.guard")


class _PausedError(LedgerUnavailableError):
    """The store was not asked, since it was lost shortly before."""


class _BehindError(_PausedError):
    """The store was not asked, since so much has to be written first."""


class Link:
    """Asks the store, opening it first.

    After a fault the store is left alone for a while, from a quarter of a second up to half a minute: the pause is
    doubled by each attempt after it that fails, not by each call that met the fault. Where only what one call asked
    for is locked by others (``LedgerBusyError``), that call alone has failed.

    Charges and ends of runs that could not be written, and holds that nobody needs or whose answer never came, wait in
    a journal in memory. They go first once the store answers again, and a thread looks after that. ``on_change`` is
    called when the store is lost (with the reason), and when it is back (with an empty text and the number of charges
    that were written late); ``on_written``, when nothing waits any more; ``on_answer``, if there is one, with the
    seconds that each answer took. Safe for threads; a forked process leaves to its parent what waited there.
    """

    def __init__(
        self,
        open_store: Callable[[], Store],
        timer: Callable[[], float],
        on_change: Callable[[str, int], None] = lambda *_: None,
    ) -> None:
        self.on_change = on_change
        self.on_written: Callable[[], None] = lambda: None
        self.on_answer: Callable[[float], None] | None = None
        self._open_store = open_store
        self._store: Store | None = None
        self._timer = timer
        self._start_anew()
        _LINKS.add(self)
        self._fault: LedgerUnavailableError | None = None
        self._epoch = 0
        """How often the store was lost and came back. What was asked before the last change says nothing new."""
        self._pause = _SHORTEST_PAUSE
        self._next_try = 0.0

    def _start_anew(self) -> None:
        self._lock = Lock()
        self._opening = Lock()
        self._journal = Journal()
        self._writer: Thread | None = None
        self._closed = Event()

    @property
    def is_broken(self) -> bool:
        return self._fault is not None

    @property
    def waiting(self) -> int:
        """How many charges and releases wait for the store."""
        return len(self._journal)

    def ask(self, operation: Callable[[Store], _Answer]) -> _Answer:
        """Return what an operation on the store returns. Raises ``LedgerUnavailableError``, at once during a pause."""
        if self._fault is not None:
            self._take_turn()
        epoch = self._epoch
        try:
            store = self._store or self._open()
            if self._journal.is_due and not self._journal.write(store, _LONGEST_WAIT):
                raise _BehindError(f"{len(self._journal)} charges and releases wait to be written to the ledger first")
            answer = operation(store) if self.on_answer is None else self._timed(operation, store, self.on_answer)
        except _BehindError:
            self._next_try = 0.0  # it answers: whoever comes next goes on
            raise
        except LedgerError as error:
            if isinstance(error, LedgerUnavailableError) and not isinstance(error, LedgerBusyError):
                self._lost(error, epoch)
            else:
                self._back()  # it answered
            raise
        except BaseException:
            self._next_try = 0.0  # whoever comes next may try
            raise
        if self._fault is not None:
            self._back()
        return answer

    def _timed(self, operation: Callable[[Store], _Answer], store: Store, observe: Callable[[float], None]) -> _Answer:
        began = self._timer()
        try:
            return operation(store)
        finally:
            observe(self._timer() - began)

    def reserve(self, hold: Hold) -> Held | Refused:
        """Ask for a hold. One whose answer does not come is given back once the store answers again."""
        try:
            return self.ask(lambda store: store.reserve(hold))
        except (_PausedError, LedgerBusyError):
            raise
        except BaseException as fault:
            if isinstance(fault, LedgerUnavailableError) or not isinstance(fault, LedgerError):
                self._keep(Release(hold.call, hold.now), fault)
            raise

    def settle(self, settlement: Settlement) -> Settled:
        """Charge a call. What cannot be written now is kept, and raised is why."""
        try:
            return self.ask(lambda store: store.charge(settlement))
        except BaseException as fault:
            if isinstance(fault, LedgerUnavailableError) or not isinstance(fault, LedgerError):
                self._keep(settlement, fault)
            raise

    def release(self, call: str, now: datetime) -> Released:
        """Give back a hold. What cannot be given back now is kept, and raised is why."""
        try:
            return self.ask(lambda store: store.release(call, now))
        except LedgerUnavailableError as fault:
            self._keep(Release(call, now), fault)
            raise

    def settle_later(self, settlement: Settlement) -> None:
        """Charge what the store was not asked for, since it cannot be reached."""
        self._journal.add(settlement, put_off=False)
        self._start_writer()

    def end_run(self, end: str, now: datetime) -> None:
        """Put the end of a run on record, a call of this id. What cannot be written now is kept, and raised is why."""
        try:
            self.ask(lambda store: store.void(end, now))
        except BaseException as fault:
            if isinstance(fault, LedgerUnavailableError) or not isinstance(fault, LedgerError):
                self._keep(RunEnd(end, now), fault)
            raise

    def release_later(self, call: str, now: datetime) -> None:
        """Give back a hold of which nobody knows whether the store has it."""
        self._journal.add(Release(call, now), put_off=False)
        self._start_writer()

    def keep_hold(self, call: str) -> bool:
        """Let a hold whose answer did not come stand after all; return whether the store may have it."""
        return self._journal.drop_release(call)

    def close(self, *, store_too: bool, patience: float = 5.0) -> int:
        """Write what waits, whatever the pause: once, and again for ``patience`` seconds where more than holds is left.

        Returns how many charges and ends of runs could not be written and are lost.
        """
        deadline = time.monotonic() + patience
        self._closed.set()
        if self._writer is not None:
            self._writer.join(patience)
        while self._journal and not self._write_late() and self._journal.lasting and time.monotonic() < deadline:
            time.sleep(_SHORTEST_PAUSE)
        if self._store is not None and store_too:
            self._store.close()
        return self._journal.lasting

    def _open(self) -> Store:
        with self._opening:
            if self._store is None:
                self._store = self._open_store()
            return self._store

    def _take_turn(self) -> None:
        """Let one caller try again after the pause; raise the fault to all others until that one knows."""
        with self._lock:
            fault = self._fault
            if fault is None:
                return
            if self._timer() < self._next_try:
                raise _PausedError(str(fault))
            self._next_try = float("inf")

    def _lost(self, fault: LedgerUnavailableError, epoch: int) -> None:
        with self._lock:
            if epoch != self._epoch:
                return  # one of many that met the same fault, or met it before the store came back
            first = self._fault is None
            self._fault = fault
            self._epoch += first
            self._pause = _SHORTEST_PAUSE if first else min(2 * self._pause, _LONGEST_PAUSE)
            self._next_try = self._timer() + self._pause
        if first:
            self._journal.take_written()
            self.on_change(str(fault), 0)

    def _back(self) -> None:
        with self._lock:
            was_lost, self._fault = self._fault is not None, None
            self._epoch += was_lost
        if was_lost:
            self.on_change("", self._journal.take_written())

    def _keep(self, entry: Settlement | Release | RunEnd, fault: BaseException) -> None:
        self._journal.add(entry, put_off=isinstance(fault, LedgerBusyError))
        self._start_writer()

    def _start_writer(self) -> None:
        """Start the thread that writes what waits, unless it runs: after a fork it does not."""
        with self._lock:
            if (self._writer is None or not self._writer.is_alive()) and not self._closed.is_set():
                self._writer = Thread(target=self._write_what_waits, name="costlens-policy-journal", daemon=True)
                self._writer.start()

    def _write_what_waits(self) -> None:
        pause = _SHORTEST_PAUSE
        while not self._closed.wait(pause):
            if self._fault is None or self._timer() >= self._next_try:
                self._write_late()
                pause = min(2 * pause, _LONGEST_WAIT)
            with self._lock:
                if not self._journal:
                    self._writer = None
                    return

    def _write_late(self) -> bool:
        """Write what waits, and what was put off; return whether nothing is left. Takes nobody's turn."""
        epoch = self._epoch
        try:
            store = self._store or self._open()
            while not self._journal.write(store, _LONGEST_WAIT):
                pass
            self._back()
            self._journal.write_put_off(store)
            if not self._journal:
                self.on_written()
        except LedgerUnavailableError as fault:
            if self._fault is None:
                self._lost(fault, epoch)
        return not self._journal


_LINKS: Final[WeakSet[Link]] = WeakSet()


def _forked() -> None:
    """Make new locks in a forked child: a thread of its parent may have held the old ones."""
    for link in _LINKS:
        link._start_anew()


@atexit.register
def write_at_exit() -> None:
    """Write once more what waits in guards that nobody has closed."""
    for link in list(_LINKS):
        lost = link.close(store_too=False, patience=0.0) if link.waiting else 0
        if lost:
            _LOG.error(
                "%d charges or ends of runs are lost: the guard was not closed, and the ledger cannot be reached", lost
            )


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
