"""Work for later: what waits in memory, in bounds, until a thread has done it. Whoever adds to it never waits."""

from __future__ import annotations

import atexit
import os
import time
from collections import deque
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import Any, Final, Generic, TypeVar
from weakref import WeakSet

__all__ = ["Backlog"]

_Item = TypeVar("_Item")

_BATCH: Final = 256
_TOGETHER: Final = 0.05
"""Seconds for which items gather before they are worked on."""


class Backlog(Generic[_Item]):
    """Hands items to ``work`` in a thread, some at a time and in order; it returns how many of them failed.

    At most ``most`` items wait; what comes then, or after the end, is not taken and counted in ``full``. Counts are
    exact. What waits is done when the process ends. A forked child begins with nothing. Safe for threads.
    """

    def __init__(self, work: Callable[[list[_Item]], int], most: int) -> None:
        self._work = work
        self._most = most
        self._closed = False
        self._start_anew()
        _ALL.add(self)

    def _start_anew(self) -> None:
        self._waiting: deque[_Item] = deque()
        self._some = Event()
        self._lock = Lock()
        self._thread: Thread | None = None
        self._taken = 0
        self.done = 0
        self.failed = 0
        self.full = 0

    @property
    def waiting(self) -> int:
        """How many items are not done yet."""
        return len(self._waiting) + self._taken

    def add(self, item: _Item) -> bool:
        """Take an item, unless there is no room for it; return whether it was taken."""
        if len(self._waiting) >= self._most or self._closed:
            with self._lock:
                self.full += 1
            return False
        self._waiting.append(item)
        if not self._some.is_set():
            self._some.set()
        if self._thread is None:
            self._start()
        return True

    def flush(self, timeout: float) -> bool:
        """Wait until nothing waits; return whether that was within ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while self.waiting:
            if time.monotonic() > deadline:
                return False
            self._some.set()
            time.sleep(0.005)
        return True

    def close(self, timeout: float) -> None:
        """Do what waits, within ``timeout`` seconds, and take no more."""
        self._closed = True
        self._some.set()
        self.flush(timeout)
        if self._thread is not None:
            self._thread.join(timeout)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = Thread(target=self._go_on, name="costlens-policy-backlog", daemon=True)
                self._thread.start()

    def _go_on(self) -> None:
        while True:
            self._some.wait()
            self._some.clear()
            if not self._closed:
                time.sleep(_TOGETHER)
            while self._waiting:
                self._do_some()
            if self._closed:
                return

    def _do_some(self) -> None:
        items: list[_Item] = []
        for _ in range(min(_BATCH, len(self._waiting))):
            self._taken += 1  # first, so that it is never in neither place
            items.append(self._waiting.popleft())
        try:
            failed = self._work(items)
        except Exception:  # whatever it is, the next ones have their turn
            failed = len(items)
        self.failed += failed
        self.done += len(items) - failed
        self._taken = 0


_ALL: Final[WeakSet[Backlog[Any]]] = WeakSet()


def _forked() -> None:
    for backlog in list(_ALL):
        backlog._start_anew()


@atexit.register
def _finish() -> None:
    """Do what waits where nobody has closed it."""
    for backlog in list(_ALL):
        backlog.flush(2.0)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
