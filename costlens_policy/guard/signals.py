"""External signals: your own code asked for their values before the decision, within their time limits.

A source that fails, takes too long, or gives what its declaration does not allow leaves its signal absent, so that its
default counts, and is reported to the log once until it works again. One that hangs does so to no other source.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from inspect import iscoroutinefunction
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from costlens_policy.checker.attributes import SIGNALS, WARM_TOKENS
from costlens_policy.compiler.plan import Plan
from costlens_policy.diagnostics.suggestion import did_you_mean
from costlens_policy.engine.request import admit_request
from costlens_policy.guard.errors import GuardError
from costlens_policy.signals import Signal, Value
from costlens_policy.signals.given import External

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future

__all__ = ["AsyncSignalSource", "SignalSource", "Sources", "as_asked"]

_LOG: Final = logging.getLogger("costlens_policy.guard")
_MOST_UNDER_WAY: Final = 64
"""Threads of one source, and coroutines of one that go on after their time; beyond them, the source is not asked."""


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


_ADDED: Final = frozenset({SIGNALS, WARM_TOKENS})


def as_asked(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what makes a request the same one when it is asked again.

    By then a classifier may answer differently, and a prompt cache hold something else.
    """
    if _ADDED.isdisjoint(request):
        return request
    return {name: value for name, value in request.items() if name not in _ADDED}


class Sources:
    """The sources of a guard by the names of their signals. Safe for threads.

    No source takes anything from another: each has its own threads, and is waited for by its own limit.
    """

    def __init__(self, sources: Mapping[str, _Source], plan: Plan, *, awaits: bool) -> None:
        """Raises ``GuardError`` for a source of a signal that there is none of, or that this guard cannot call."""
        if not isinstance(sources, Mapping):
            raise GuardError(f"`signals` must map the names of external signals to functions, got `{sources!r}`")
        self._sources: Final = dict(sources)
        self._faulty: Final[set[str]] = set()
        self._under_way: Final[Counter[str]] = Counter()
        self._late: Final[set[Future[_Answer]]] = set()
        """Coroutines that do not end when they are cancelled; an event loop alone would forget them."""
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
            usual = external[name].default
            what = "absent" if usual is None else f"`{usual}`, its default,"
            _LOG.warning("the signal `%s` has no source; it is %s unless requests come with it", name, what)

    def asks(self, plan: Plan, request: Any) -> bool:
        """Return whether a source has to be asked before a request is decided."""
        return bool(self._sources) and next(self._missing(plan, request), None) is not None

    def resolved(self, plan: Plan, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the request with the values of the external signals that rules read; wait no longer than they may.

        Raises ``RequestError`` for a request that cannot be decided, and asks nobody about it.
        """
        missing = self._to_ask(plan, request)
        begun: list[tuple[Signal, SimpleQueue[_Answer]]] = []
        since = monotonic()
        for signal, source in missing:
            answers: SimpleQueue[_Answer] = SimpleQueue()
            self._begin(signal, source, request, answers.put)
            begun.append((signal, answers))
        values = {
            signal.name: self._checked(plan, signal, _wait(answers, _limit(signal) - (monotonic() - since)))
            for signal, answers in begun
        }
        return _with(request, values)

    async def resolved_async(self, plan: Plan, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do the same without blocking the event loop: plain functions are called in threads."""
        import asyncio  # for who awaits

        missing = self._to_ask(plan, request)
        found = await asyncio.gather(*(self._awaited(signal, source, request) for signal, source in missing))
        values = {
            signal.name: self._checked(plan, signal, answer) for (signal, _), answer in zip(missing, found, strict=True)
        }
        return _with(request, values)

    def _to_ask(self, plan: Plan, request: Any) -> list[tuple[Signal, Any]]:
        """Return whom to ask about a request. Raises ``RequestError`` for one that would be refused afterwards."""
        missing = list(self._missing(plan, request)) if self._sources else []
        if missing:
            identified = request if not plan.reads_id or request.get("id") is not None else {**request, "id": "-"}
            admit_request(plan, identified)
        return missing

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
        """Return what a source answers within its time. What goes on after it is cancelled, and not waited for."""
        import asyncio

        loop = asyncio.get_running_loop()
        answer: Future[_Answer]
        if not _is_async(source):
            answer = loop.create_future()
            self._begin(signal, source, request, partial(_hand_over, loop, answer))
        elif self._under_way[signal.name] >= _MOST_UNDER_WAY:
            return None, _TOO_MANY
        else:
            answer = asyncio.ensure_future(_asked(source, request, monotonic() + _limit(signal)))
        try:
            done, _ = await asyncio.wait([answer], timeout=_limit(signal))
        finally:  # who asked may have been cancelled, which is no fault of the source
            if not answer.done():
                answer.cancel()
                if _is_async(source):
                    self._let_go(signal.name, answer)
        return answer.result() if done else (None, _LATE)

    def _let_go(self, name: str, answer: Future[_Answer]) -> None:
        """Keep a coroutine that was cancelled until it ends, whenever that is."""

        def ended(answer: Future[_Answer]) -> None:
            self._late.discard(answer)
            self._count(name, -1)

        self._late.add(answer)
        self._count(name, 1)
        answer.add_done_callback(ended)

    def _count(self, name: str, change: int) -> None:
        with self._lock:
            self._under_way[name] += change

    def _begin(
        self, signal: Signal, source: Callable[..., Any], request: Mapping[str, Any], hand: Callable[[_Answer], object]
    ) -> None:
        """Call a source in a thread of its own, which keeps no process from ending, and hand over its answer."""
        name, end = signal.name, monotonic() + _limit(signal)
        with self._lock:
            too_many = self._under_way[name] >= _MOST_UNDER_WAY
            self._under_way[name] += not too_many
        if too_many:
            hand((None, _TOO_MANY))
            return

        def call() -> None:
            try:
                answer = source(request), ""
            except BaseException as error:  # in a thread of its own, nothing of it is meant for anybody else
                answer = None, _failure(error)
            self._count(name, -1)
            hand(_in_time(answer, end))

        try:
            Thread(target=call, name=f"costlens-policy-signal-{name}", daemon=True).start()
        except RuntimeError:  # the system has no more threads
            self._count(name, -1)
            hand((None, "could not be called, as no thread can be started"))

    def _checked(self, plan: Plan, signal: Signal, answer: _Answer) -> Value | None:
        """Return the value if it is one that the declaration allows, and report what is wrong."""
        value, fault = answer
        if value is not None:
            try:
                value = plan.admit[SIGNALS]({signal.name: value})[signal.name]
            except ValueError as problem:
                value, fault = None, f"gave a wrong value: it {str(problem).partition(' ')[2]}"
        self._report(signal, fault)
        return value

    def _report(self, signal: Signal, fault: str) -> None:
        """Report a source that has come to fail, once."""
        if not fault:
            self._faulty.discard(signal.name)
            return
        with self._lock:
            is_known = signal.name in self._faulty
            self._faulty.add(signal.name)
        if not is_known:
            instead = "the signal is absent" if signal.default is None else f"the signal is `{signal.default}`"
            _LOG.warning("the source of the signal `%s` %s; %s", signal.name, fault, instead)


_LATE: Final = "did not answer in time"
_TOO_MANY: Final = f"has {_MOST_UNDER_WAY} calls under way, as many as it may have"


async def _asked(source: Callable[..., Awaitable[Any]], request: Mapping[str, Any], end: float) -> _Answer:
    """Await a source. Of what it raises only the wish of the user to end the program is not its own fault."""
    try:
        answer = await source(request), ""
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also its own `CancelledError`, such as that of a task that others await, too
        answer = None, _failure(error)
    return _in_time(answer, end)


def _failure(error: BaseException) -> str:
    return f"failed with `{type(error).__name__}`"


def _in_time(answer: _Answer, end: float) -> _Answer:
    """Return an answer, unless it came after its end: who waits for another source may still see it then."""
    return answer if monotonic() <= end else (None, _LATE)


def _hand_over(loop: AbstractEventLoop, future: Future[_Answer], answer: _Answer) -> None:
    """Set the result of a future from another thread, if anybody still waits for it."""

    def set_result() -> None:
        if not future.done():
            future.set_result(answer)

    with suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(set_result)


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
