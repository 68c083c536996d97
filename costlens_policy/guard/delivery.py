"""Delivering events in a thread of its own, so that no call waits for an alert."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from costlens_policy.frozen import frozen
from costlens_policy.guard.events import Event, Sink
from costlens_policy.guard.link import Link
from costlens_policy.ledger.alerts import AlertClaim
from costlens_policy.ledger.errors import LedgerError

__all__ = ["Delivery"]

LEASE: Final = timedelta(seconds=60)
"""How long a claimed alert is left to its process before others deliver it."""

_LONGEST_DELAY: Final = 3600.0
_MOST_ATTEMPTS: Final = 20
_BROKEN_POLL: Final = 2.0
_REMEMBERED: Final = 10_000
_LOG: Final = logging.getLogger("costlens_policy.guard")


@frozen
class _Task:
    """An event to deliver. ``claim`` is absent where no ledger remembers it, so that it is kept here."""

    event: Event
    claim: AlertClaim | None
    attempts: int
    due: float


class Delivery:
    """Takes events to all sinks, each at least once.

    A sink that raises is asked again with growing delays (``first_delay`` seconds, doubled each time, up to an hour).
    An alert stays in the ledger until every sink has it: if this process dies, another one that uses the ledger
    delivers it. ``poll`` is how often, in seconds, it looks for such alerts.
    """

    def __init__(
        self,
        link: Link,
        sinks: Sequence[Sink],
        clock: Callable[[], datetime],
        *,
        first_delay: float = 1.0,
        poll: float = 30.0,
    ) -> None:
        self._link = link
        self._sinks = tuple(sinks)
        self._clock = clock
        self._first_delay = first_delay
        self._poll = poll
        self._thread: threading.Thread | None = None
        self._next_poll: float = 0.0
        self._start_anew()

    def submit(self, event: Event, claim: AlertClaim | None) -> None:
        """Deliver an event soon. With ``claim`` the ledger remembers it until it is delivered."""
        self.start()
        with self._wake:
            self._tasks.append(_Task(event, claim, 1, 0.0))
            self._wake.notify_all()

    def start(self) -> None:
        """Start the thread, unless it runs: after a fork it does not."""
        if self._process != os.getpid():
            self._start_anew()
        with self._wake:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="costlens-policy-events", daemon=True)
                self._thread.start()

    def look_soon(self) -> None:
        """Look after the ledger before its turn: it was lost just now."""
        self.start()
        with self._wake:
            self._next_poll = min(self._next_poll, time.monotonic() + _BROKEN_POLL)
            self._wake.notify_all()

    def flush(self, timeout: float) -> bool:
        """Wait until every event was taken to every sink once; return whether that happened in time."""
        deadline = time.monotonic() + timeout
        with self._wake:
            while self._busy or any(task.attempts == 1 for task in self._tasks):
                left = deadline - time.monotonic()
                if left <= 0 or self._thread is None:
                    return False
                self._wake.wait(left)
        return True

    def close(self, timeout: float) -> None:
        """Deliver what is under way, then stop the thread."""
        self.flush(timeout)
        with self._wake:
            self._closed = True
            thread, self._thread = self._thread, None
            self._wake.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def _start_anew(self) -> None:
        self._process = os.getpid()
        self._wake = threading.Condition()
        self._tasks: deque[_Task] = deque()
        self._thread = None
        self._busy = False
        self._closed = False
        self._next_poll = time.monotonic() + random.uniform(0, self._poll / 10)
        self._retries: list[float] = []
        """When alerts that the ledger remembers are to be tried again."""
        self._reached: dict[str, set[int]] = {}

    def _run(self) -> None:
        while True:
            with self._wake:
                task = self._next()
                while task is None and not self._closed and time.monotonic() < self._next_poll:
                    self._wake.wait(self._until_next())
                    task = self._next()
                if self._closed:
                    return
                self._busy = True
            try:
                if task is not None:
                    self._deliver(task)
                if time.monotonic() >= self._next_poll:
                    self._look()
            except Exception:
                _LOG.exception("an event was not delivered")
            finally:
                with self._wake:
                    self._busy = False
                    self._wake.notify_all()

    def _next(self) -> _Task | None:
        """Take the first task that is due. Called with the lock."""
        now = time.monotonic()
        for task in self._tasks:
            if task.due <= now:
                self._tasks.remove(task)
                return task
        return None

    def _until_next(self) -> float:
        dues = [task.due for task in self._tasks]
        return max(0.0, min([*dues, self._next_poll]) - time.monotonic())

    def _look(self) -> None:
        """Take over alerts that nobody has delivered."""
        now = time.monotonic()
        self._retries = [due for due in self._retries if due > now]
        pause = min(_BROKEN_POLL, self._poll) if self._link.is_broken else self._poll
        self._next_poll = min([now + pause, *self._retries])
        try:
            pending = self._link.ask(lambda store: store.pending_alerts(self._clock(), LEASE))
        except LedgerError as error:
            _LOG.info("pending alerts cannot be read: %s", error)
            return
        for alert in pending:
            self._deliver(_Task(Event.from_dict(alert.claim.facts), alert.claim, alert.attempts, 0.0))

    def _deliver(self, task: _Task) -> None:
        problems = self._try_sinks(task.event)
        if problems:
            self._again(task, "; ".join(problems))
        elif task.claim is not None:
            self._report(lambda store, claim: store.alert_delivered(claim, self._clock()), task.claim)

    def _try_sinks(self, event: Event) -> list[str]:
        if len(self._reached) > _REMEMBERED:
            self._reached.clear()
        reached = self._reached.setdefault(event.id, set())
        problems = []
        for number, sink in enumerate(self._sinks):
            if number in reached:
                continue
            try:
                sink(event)
            except Exception as error:
                problems.append(f"{type(sink).__name__}: {error}")
                _LOG.warning("event `%s` was not delivered to %s: %s", event.text, type(sink).__name__, error)
            else:
                reached.add(number)
        if not problems:
            del self._reached[event.id]
        return problems

    def _again(self, task: _Task, problem: str) -> None:
        delay = min(self._first_delay * 2 ** (task.attempts - 1), _LONGEST_DELAY) * random.uniform(1.0, 1.25)
        if task.claim is not None:
            retry_at = self._clock() + timedelta(seconds=delay)
            self._report(lambda store, claim: store.alert_failed(claim, retry_at, problem[:500]), task.claim)
            self._retries.append(time.monotonic() + delay)
            self._next_poll = min(self._next_poll, self._retries[-1])
        elif task.attempts < _MOST_ATTEMPTS:
            with self._wake:
                self._tasks.append(_Task(task.event, None, task.attempts + 1, time.monotonic() + delay))
        else:
            _LOG.error("event `%s` was not delivered and is dropped: %s", task.event.text, problem)

    def _report(self, report: Callable[..., None], claim: AlertClaim) -> None:
        try:
            self._link.ask(lambda store: report(store, claim))
        except LedgerError as error:
            _LOG.info("the ledger does not know what became of an alert, which may be delivered again: %s", error)
