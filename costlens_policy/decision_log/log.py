"""``DecisionLog``: an observer that keeps what it is told in memory, and a thread that writes it."""

from __future__ import annotations

import atexit
import logging
import os
import time
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from threading import Event, Lock, Thread
from typing import Any, Final, TypeAlias
from weakref import WeakSet

from costlens_policy.decision_log.entries import charge_entry, decision_entry
from costlens_policy.decision_log.files import JsonLinesFile
from costlens_policy.engine.decision import Decision
from costlens_policy.engine.mask import Mask
from costlens_policy.frozen import frozen
from costlens_policy.observers import ChargedCall

__all__ = ["DecisionLog", "EntrySink", "LogStatus"]

EntrySink: TypeAlias = Callable[[Sequence[dict[str, Any]]], object]
"""Takes entries as JSON data, several at a time, in the thread of the log; it raises where it could not keep them."""

_LOG: Final = logging.getLogger("costlens_policy.decision_log")
_BATCH: Final = 256
_TOGETHER: Final = 0.05
"""Seconds for which entries gather before they are written."""


@frozen
class LogStatus:
    """What became of the entries: how many were ``written``, ``dropped``, left out by ``sampled_out``, or are waiting.

    Dropped are those that the buffer had no room for (``full``), and those that the sink did not take (``failed``).
    """

    written: int
    full: int
    failed: int
    sampled_out: int
    waiting: int

    @property
    def dropped(self) -> int:
        return self.full + self.failed


class DecisionLog:
    """Writes each decision and charge as an entry. Pass it as ``log`` to a guard, an engine, ``load`` or live policies.

    ``sink`` is a file of JSON lines, or a function that takes entries. ``mask`` says what is shown of texts, by default
    their sizes. ``sample`` is the share of allowed decisions that is kept, with their charges, by a hash of the id;
    denials are always kept. ``record`` adds every rule in order, which takes longer, and can be had later by deciding
    again. ``context`` returns what to add to each entry as ``context``, such as the id of a trace; it is called in the
    thread that decides.

    Deciding never waits for it: ``buffer`` entries wait in memory at most, and what does not fit is dropped and
    counted. A process that is killed loses what waits, which is what came within about 50 milliseconds unless decisions
    come faster than they are written. Safe for threads, and for processes that fork.
    """

    def __init__(
        self,
        sink: EntrySink | str | os.PathLike[str],
        *,
        mask: Mask | None = None,
        sample: float = 1.0,
        buffer: int = 10_000,
        record: bool = False,
        context: Callable[[], dict[str, Any]] | None = None,
    ) -> None:
        if not 0 <= sample <= 1:
            raise ValueError(f"`sample` must be a share from 0 to 1, got `{sample}`")
        if buffer < 1:
            raise ValueError(f"`buffer` must be at least 1, got `{buffer}`")
        self._sink: EntrySink = JsonLinesFile(sink) if isinstance(sink, str | os.PathLike) else sink
        self._mask = mask or Mask()
        self._sample = sample
        self._most = buffer
        self._record = record
        self._context = context
        self._closed = False
        self._start_anew()
        _ALL.add(self)

    def _start_anew(self) -> None:
        self._waiting: deque[Callable[[], dict[str, Any]]] = deque()
        self._some = Event()
        self._lock = Lock()
        self._thread: Thread | None = None
        self._written = self._full = self._failed = self._sampled_out = self._taken = 0
        self._is_failing = False

    @property
    def status(self) -> LogStatus:
        """What became of the entries so far."""
        waiting = len(self._waiting) + self._taken
        return LogStatus(self._written, self._full, self._failed, self._sampled_out, waiting)

    def decided(self, decision: Decision, id: str, held: bool = False) -> None:
        """Keep a decision; see ``Observer``."""
        if decision.allowed and not self._is_kept(id):
            self._leave_out()
            return
        self._add(lambda: decision_entry(decision, id, held, self._mask, record=self._record), sampled=decision.allowed)

    def charged(self, decision: Decision, charge: ChargedCall, at: datetime) -> None:
        """Keep a charge; see ``Observer``."""
        if self._is_kept(charge.call):
            self._add(lambda: charge_entry(decision, charge, at, self._mask), sampled=True)
        else:
            self._leave_out()

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until all that was told is written or dropped; return whether that was within ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while self._waiting or self._taken:
            if time.monotonic() > deadline:
                return False
            self._some.set()
            time.sleep(0.005)
        return True

    def close(self, timeout: float = 5.0) -> None:
        """Write what waits, and take no more; what comes later is dropped and counted."""
        self._closed = True
        self._some.set()
        self.flush(timeout)
        if self._thread is not None:
            self._thread.join(timeout)
        closing = getattr(self._sink, "close", None)
        if callable(closing):
            closing()

    def __enter__(self) -> DecisionLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _is_kept(self, id: str) -> bool:
        return self._sample >= 1 or zlib.crc32(id.encode("utf-8", "replace")) < self._sample * 2**32

    def _leave_out(self) -> None:
        with self._lock:
            self._sampled_out += 1

    def _add(self, entry: Callable[[], dict[str, Any]], *, sampled: bool) -> None:
        if len(self._waiting) >= self._most or self._closed:
            with self._lock:
                self._full += 1
            return
        more: dict[str, Any] = {}
        if sampled and self._sample < 1:
            more["sample"] = self._sample
        if self._context is not None:
            more["context"] = self._context()
        self._waiting.append((lambda: {**entry(), **more}) if more else entry)
        if not self._some.is_set():
            self._some.set()
        if self._thread is None:
            self._start()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = Thread(target=self._write_on, name="costlens-policy-log", daemon=True)
                self._thread.start()

    def _write_on(self) -> None:
        while True:
            self._some.wait()
            self._some.clear()
            if not self._closed:
                time.sleep(_TOGETHER)
            while self._waiting:
                self._write_some()
            if self._closed:
                return

    def _write_some(self) -> None:
        entries: list[dict[str, Any]] = []
        for _ in range(min(_BATCH, len(self._waiting))):
            self._taken += 1
            make = self._waiting.popleft()
            try:
                entries.append(make())
            except Exception:
                self._fail(1)
        try:
            self._sink(entries)
        except Exception:
            self._fail(len(entries))
        else:
            self._written += len(entries)
            self._is_failing = False
        self._taken = 0

    def _fail(self, count: int) -> None:
        """Count entries that are lost, and report the first of them. Called where an exception is handled."""
        self._failed += count
        if not self._is_failing:
            _LOG.exception("the decision log drops entries that cannot be written")
        self._is_failing = True


_ALL: Final[WeakSet[DecisionLog]] = WeakSet()


def _forked() -> None:
    """Leave to the parent what waited there, and begin with locks and counts of the child's own."""
    for log in list(_ALL):
        log._start_anew()


@atexit.register
def _write_at_exit() -> None:
    """Write what waits in logs that nobody has closed."""
    for log in list(_ALL):
        log.flush(2.0)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
