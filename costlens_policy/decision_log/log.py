"""``DecisionLog``: an observer that keeps what it is told in memory, and a thread that writes it."""

from __future__ import annotations

import logging
import os
import zlib
from collections.abc import Callable, Sequence
from datetime import datetime
from threading import Lock
from typing import Any, Final, TypeAlias

from costlens_policy.backlog import Backlog
from costlens_policy.decision_log.entries import charge_entry, decision_entry, release_entry
from costlens_policy.decision_log.files import JsonLinesFile
from costlens_policy.engine.decision import Decision
from costlens_policy.engine.mask import Mask
from costlens_policy.errors import InputError
from costlens_policy.frozen import frozen
from costlens_policy.observers import ChargedCall

__all__ = ["DecisionLog", "EntrySink", "LogStatus"]

EntrySink: TypeAlias = Callable[[Sequence[dict[str, Any]]], object]
"""Takes entries as JSON data, several at a time, in the thread of the log; it raises where it could not keep them."""

_LOG: Final = logging.getLogger("costlens_policy.decision_log")


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
    come faster than they are written. Safe for threads, and for processes that fork. Raises ``InputError`` for a file
    that cannot be written.
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
        self._sink: EntrySink = _file(sink) if isinstance(sink, str | os.PathLike) else sink
        self._mask = mask or Mask()
        self._sample = sample
        self._record = record
        self._context = context
        self._backlog: Backlog[Callable[[], dict[str, Any]]] = Backlog(self._write, buffer)
        self._lock = Lock()
        self._sampled_out = 0
        self._is_failing = False
        self._has_no_context = False

    @property
    def status(self) -> LogStatus:
        """What became of the entries so far."""
        backlog = self._backlog
        return LogStatus(backlog.done, backlog.full, backlog.failed, self._sampled_out, backlog.waiting)

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

    def released(self, decision: Decision, id: str, at: datetime) -> None:
        """Keep that a call was given back; see ``Observer``."""
        if self._is_kept(id):
            self._add(lambda: release_entry(decision, id, at), sampled=True)
        else:
            self._leave_out()

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until all that was told is written or dropped; return whether that was within ``timeout`` seconds."""
        return self._backlog.flush(timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Write what waits, and take no more; what comes later is dropped and counted."""
        self._backlog.close(timeout)
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
        more: dict[str, Any] = {}
        if sampled and self._sample < 1:
            more["sample"] = self._sample
        if self._context is not None:
            more["context"] = self._context_now(self._context)
        self._backlog.add((lambda: {**entry(), **more}) if more else entry)

    def _context_now(self, context: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
        try:
            return context()
        except Exception:  # an entry without its context is better than none
            if not self._has_no_context:
                _LOG.exception("the `context` of the decision log failed; entries are kept without it")
            self._has_no_context = True
            return None

    def _write(self, items: list[Callable[[], dict[str, Any]]]) -> int:
        """Write entries; return how many are lost."""
        entries: list[dict[str, Any]] = []
        for make in items:
            try:
                entries.append(make())
            except Exception:
                self._report()
        try:
            self._sink(entries)
        except Exception:
            self._report()
            return len(items)
        if len(entries) == len(items):
            self._is_failing = False
        return len(items) - len(entries)

    def _report(self) -> None:
        """Log the first of the entries that are lost. Called where an exception is handled."""
        if not self._is_failing:
            _LOG.exception("the decision log drops entries that cannot be written")
        self._is_failing = True


def _file(path: str | os.PathLike[str]) -> JsonLinesFile:
    try:
        return JsonLinesFile(path)
    except OSError as error:
        raise InputError(f"`{os.fspath(path)}` cannot be written: {(error.strerror or str(error)).lower()}") from error
