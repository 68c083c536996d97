"""External signals: your own code asked for their values before the decision, within their time limits.

A source that fails, takes too long, or gives what its declaration does not allow leaves its signal absent, so that its
default counts, and is reported to the log once until it works again.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from inspect import iscoroutinefunction
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from time import monotonic
from typing import Any, Final, Protocol, TypeAlias

from costlens_policy.checker.attributes import SIGNALS
from costlens_policy.compiler.plan import Plan
from costlens_policy.diagnostics.suggestion import did_you_mean
from costlens_policy.guard.errors import GuardError
from costlens_policy.signals import Signal, Value
from costlens_policy.signals.given import External

__all__ = ["AsyncSignalSource", "SignalSource", "Sources", "without_signals"]

_LOG: Final = logging.getLogger("costlens_policy.guard")
_MOST_WAITING: Final = 64
"""Threads of sources that did not answer in time; beyond them, none is asked."""


class SignalSource(Protocol):
    """Gives the value of an external signal: a label, a number or a truth value, or None where it has none.

    ``request`` is the request as its caller gave it; a source must not change it. It is called in a thread.
    """

    def __call__(self, request: Mapping[str, Any], /) -> Value | None: ...


class AsyncSignalSource(Protocol):
    """As ``SignalSource``, for an ``AsyncGuard``, which awaits it in its event loop."""

    def __call__(self, request: Mapping[str, Any], /) -> Awaitable[Value | None]: ...


_Source: TypeAlias = SignalSource | AsyncSignalSource
_Answer: TypeAlias = tuple[Value | None, str]
"""A value, and why there is none where that is a fault."""


def without_signals(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what makes a request the same one when it is asked again: a classifier may answer differently."""
    if SIGNALS not in request:
        return request
    return {name: value for name, value in request.items() if name != SIGNALS}


class Sources:
    """The sources of a guard by the names of their signals. Safe for threads."""

    def __init__(self, sources: Mapping[str, _Source], plan: Plan, *, awaits: bool) -> None:
        """Raises ``GuardError`` for a source of a signal that there is none of, or that this guard cannot call."""
        self._sources: Final = dict(sources)
        self._faulty: Final[set[str]] = set()
        self._waiting = 0
        self._lock: Final = Lock()
        external = {name: item for name, item in plan.signals.items() if isinstance(item.kind, External)}
        for name, source in sources.items():
            if name not in external:
                meant = did_you_mean(name, external) or "declare it as `external` in a document of signals"
                raise GuardError(f"there is no external signal `{name}`; {meant}")
            if not callable(source):
                raise GuardError(f"the source of the signal `{name}` must be a function, got `{source!r}`")
            if not awaits and _is_async(source):
                raise GuardError(f"the source of the signal `{name}` is asynchronous; use it with an `AsyncGuard`")
        for name in sorted(external.keys() & plan.reads_signals - sources.keys()):
            _LOG.warning("the signal `%s` has no source; it is absent unless requests come with it", name)

    def asks(self, plan: Plan, request: Any) -> bool:
        """Return whether a source has to be asked before a request is decided."""
        return bool(self._sources) and next(self._missing(plan, request), None) is not None

    def resolved(self, plan: Plan, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the request with the values of the external signals that rules read; wait no longer than they may."""
        if not self._sources:
            return request
        begun = [(signal, self._begin(source, request)) for signal, source in self._missing(plan, request)]
        since = monotonic()
        values = {
            signal.name: self._checked(plan, signal, _wait(answers, _limit(signal) - (monotonic() - since)))
            for signal, answers in begun
        }
        return _with(request, values)

    async def resolved_async(self, plan: Plan, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do the same without blocking the event loop: plain functions are called in threads."""
        import asyncio  # for who awaits

        missing = list(self._missing(plan, request)) if self._sources else []
        found = await asyncio.gather(*(self._awaited(signal, source, request) for signal, source in missing))
        values = {
            signal.name: self._checked(plan, signal, answer) for (signal, _), answer in zip(missing, found, strict=True)
        }
        return _with(request, values)

    def _missing(self, plan: Plan, request: Any) -> Iterator[tuple[Signal, Any]]:
        """Yield the signals that rules read and the request does not come with, each with its source."""
        if not isinstance(request, Mapping):
            return
        given = request.get(SIGNALS)
        for name, source in self._sources.items():
            signal = plan.signals.get(name) if name in plan.reads_signals else None
            known = isinstance(given, Mapping) and name in given
            if signal is not None and isinstance(signal.kind, External) and not known:
                yield signal, source

    async def _awaited(self, signal: Signal, source: Any, request: Mapping[str, Any]) -> _Answer:
        import asyncio

        if not _is_async(source):
            return await asyncio.to_thread(lambda: _wait(self._begin(source, request), _limit(signal)))
        try:
            async with asyncio.timeout(_limit(signal)):
                return await source(request), ""
        except TimeoutError:
            return None, _LATE
        except Exception as error:
            return None, f"failed with `{type(error).__name__}`"

    def _begin(self, source: Callable[..., Any], request: Mapping[str, Any]) -> SimpleQueue[_Answer]:
        """Call a source in a thread of its own, which keeps no process from ending."""
        answers: SimpleQueue[_Answer] = SimpleQueue()
        with self._lock:
            if self._waiting >= _MOST_WAITING:
                answers.put((None, "has too many calls under way"))
                return answers
            self._waiting += 1

        def call() -> None:
            try:
                answers.put((source(request), ""))
            except Exception as error:
                answers.put((None, f"failed with `{type(error).__name__}`"))
            finally:
                with self._lock:
                    self._waiting -= 1

        Thread(target=call, name="costlens-policy-signal", daemon=True).start()
        return answers

    def _checked(self, plan: Plan, signal: Signal, answer: _Answer) -> Value | None:
        """Return the value if it is one that the declaration allows, and report what is wrong."""
        value, fault = answer
        if value is not None:
            try:
                value = plan.admit[SIGNALS]({signal.name: value})[signal.name]
            except ValueError as problem:
                value, fault = None, f"gave a wrong value: it {str(problem).partition(' ')[2]}"
        self._report(signal.name, fault)
        return value

    def _report(self, name: str, fault: str) -> None:
        """Report a source that has come to fail, once."""
        if not fault:
            self._faulty.discard(name)
        elif name not in self._faulty:
            self._faulty.add(name)
            _LOG.warning("the source of the signal `%s` %s; the signal is absent", name, fault)


_LATE: Final = "did not answer in time"


def _limit(signal: Signal) -> float:
    assert isinstance(signal.kind, External)
    return signal.kind.time_limit


def _wait(answers: SimpleQueue[_Answer], seconds: float) -> _Answer:
    try:
        return answers.get(timeout=max(seconds, 0.0))
    except Empty:
        return None, _LATE


def _with(request: Mapping[str, Any], values: Mapping[str, Value | None]) -> Mapping[str, Any]:
    return request if not values else {**request, SIGNALS: {**(request.get(SIGNALS) or {}), **values}}


def _is_async(source: Any) -> bool:
    return iscoroutinefunction(source) or iscoroutinefunction(getattr(source, "__call__", None))  # noqa: B004
