"""The way to the ledger's store: what happens when it breaks off, and what is written once it is back."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import Final, TypeVar

from costlens_policy.ledger.charges import Settlement
from costlens_policy.ledger.errors import LedgerError, LedgerUnavailableError
from costlens_policy.ledger.protocol import Store

__all__ = ["Link"]

_Answer = TypeVar("_Answer")

_SHORTEST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 30.0
_LOG: Final = logging.getLogger("costlens_policy.guard")


class Link:
    """Asks the store, opening it first.

    After a fault the store is left alone for a while, from a quarter of a second up to half a minute.

    Settlements that could not be written wait in a journal in memory, and go first once the store answers again.
    ``on_change`` is told when the store is lost (with the reason), and when it is back (with an empty text and the
    number of settlements that were written late). Safe for threads.
    """

    def __init__(
        self,
        open_store: Callable[[], Store],
        timer: Callable[[], float],
        on_change: Callable[[str, int], None] = lambda *_: None,
    ) -> None:
        self.on_change = on_change
        self._open_store = open_store
        self._store: Store | None = None
        self._timer = timer
        self._lock = Lock()
        self._opening = Lock()
        self._journal: deque[Settlement] = deque()
        self._fault: LedgerUnavailableError | None = None
        self._pause = _SHORTEST_PAUSE
        self._next_try = 0.0

    @property
    def is_broken(self) -> bool:
        return self._fault is not None

    @property
    def waiting(self) -> int:
        """How many settlements wait for the store."""
        return len(self._journal)

    def ask(self, operation: Callable[[Store], _Answer]) -> _Answer:
        """Return what an operation on the store returns. Raises ``LedgerUnavailableError``, at once during a pause."""
        if self._fault is not None:
            self._take_turn()
        written = 0
        try:
            store = self._store or self._open()
            if self._journal:
                written = self._write_journal(store)
            answer = operation(store)
        except LedgerUnavailableError as fault:
            self._lost(fault)
            raise
        except LedgerError:
            self._back(written)  # it answered
            raise
        self._back(written)
        return answer

    def settle_later(self, settlement: Settlement) -> None:
        """Keep a settlement until the store answers again."""
        self._journal.append(settlement)

    def catch_up(self) -> None:
        """Write what waits, if the store answers."""
        if self._journal:
            try:
                self.ask(lambda _: None)
            except LedgerUnavailableError:
                return

    def close(self, *, store_too: bool) -> int:
        """Write what waits, and return how many settlements could not be written and are lost."""
        self.catch_up()
        if self._store is not None and store_too:
            self._store.close()
        return len(self._journal)

    def _open(self) -> Store:
        with self._opening:
            if self._store is None:
                self._store = self._open_store()
            return self._store

    def _take_turn(self) -> None:
        """Let one caller try again after the pause; raise the fault to all others."""
        with self._lock:
            fault = self._fault
            if fault is None:
                return
            if self._timer() < self._next_try:
                raise LedgerUnavailableError(str(fault))
            self._next_try = self._timer() + self._pause

    def _write_journal(self, store: Store) -> int:
        written = 0
        while True:
            with self._lock:
                if not self._journal:
                    return written
                settlement = self._journal.popleft()
            try:
                store.charge(settlement)
            except LedgerUnavailableError:
                self._journal.appendleft(settlement)
                raise
            except LedgerError as error:
                _LOG.error("the charge of call `%s` cannot be written and is lost: %s", settlement.call, error)
            written += 1

    def _lost(self, fault: LedgerUnavailableError) -> None:
        with self._lock:
            first = self._fault is None
            self._fault = fault
            self._pause = _SHORTEST_PAUSE if first else min(2 * self._pause, _LONGEST_PAUSE)
            self._next_try = self._timer() + self._pause
        if first:
            self.on_change(str(fault), 0)

    def _back(self, written: int) -> None:
        if self._fault is None:
            return
        with self._lock:
            was_lost, self._fault = self._fault is not None, None
        if was_lost:
            self.on_change("", written)
