"""``LivePolicies``: an engine whose policies are replaced while it serves."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Event, RLock, Thread
from typing import TYPE_CHECKING, Final
from weakref import WeakSet, ref

from costlens_policy.api import Engine
from costlens_policy.clock import system_now
from costlens_policy.errors import CostlensPolicyError, InputError
from costlens_policy.frozen import frozen
from costlens_policy.live.source import Fetched, Source

if TYPE_CHECKING:
    from costlens_policy.bundles import Trust
    from costlens_policy.observers import Observer

__all__ = ["LivePolicies", "PolicyStatus"]

_LOG: Final = logging.getLogger("costlens_policy.live")
_LONGEST_PROBLEM: Final = 2_000
_PATIENCE: Final = 120.0
"""Seconds after which a source that has not answered yet is a problem."""


@frozen
class PolicyStatus:
    """Which policies serve since when, and what became of the attempts to replace them.

    ``problem`` says why the policies of the source are not the ones that serve, and is empty where they are;
    ``failing_since`` is when that began. ``loads`` counts the versions that were taken over, the first one included,
    ``failures`` the attempts that failed.
    """

    source: str
    version: str
    policy_digest: str
    catalogue_digest: str
    loaded_at: datetime
    checked_at: datetime
    problem: str = ""
    failing_since: datetime | None = None
    loads: int = 1
    failures: int = 0

    @property
    def is_current(self) -> bool:
        """Whether the policies that serve are those that the source had when it was last asked."""
        return not self.problem


class LivePolicies(Engine):
    """An engine whose policies are those that a source has, as long as they are right.

    ``source`` is a file, folder or bundle, as ``load`` takes it, the URL of a bundle, or a ``Source``. It is asked
    every ``interval`` seconds by a thread, and by ``refresh``; with None, by ``refresh`` alone. A version takes over as
    a whole, between two decisions. One that cannot be read, is wrong or refused by ``accept`` changes nothing: the last
    good one goes on serving, while ``status`` and the log report the problem. ``accept`` is called with the engine of a
    new version before it serves, and refuses it by raising an exception. ``trust`` says whose bundles are
    used, as in ``load``. ``on_change`` is called with each new status: after a new version, a new problem, or the end
    of one. ``log`` is told of each decision, as ``Engine`` says.

    A guard takes it in place of an engine: its calls are decided by the policies of the moment, and charged by those
    that they were decided by. Safe for threads, and for processes that fork.

    Raises ``CostlensPolicyError`` where the first version cannot be had: there is nothing to serve yet.
    """

    __slots__ = (
        "__weakref__", "_accept", "_asked_at", "_clock", "_closed", "_fetched", "_interval", "_lock", "_on_change",
        "_refused", "_source", "_status", "_thread",
    )  # fmt: skip

    def __init__(
        self,
        source: Source | str | os.PathLike[str],
        *,
        interval: float | None = 2.0,
        accept: Callable[[Engine], object] | None = None,
        on_change: Callable[[PolicyStatus], object] | None = None,
        trust: Trust | None = None,
        log: Observer | Sequence[Observer] | None = None,
        clock: Callable[[], datetime] = system_now,
    ) -> None:
        if interval is not None and not interval > 0:
            raise ValueError(f"`interval` must be a positive number of seconds or None, got `{interval}`")
        self._source: Source = _opened(source, trust)
        self._interval = interval
        self._accept = accept
        self._on_change = on_change
        self._clock = clock
        self._refused: tuple[str, CostlensPolicyError] | None = None
        self._start_anew()
        self._fetched = self._accepted(self._source.fetch())
        super().__init__(self._fetched.plan, log=log)
        self._status = self._first_status()
        self._start()
        _ALL.add(self)

    def _start_anew(self) -> None:
        self._lock = RLock()
        """Held by who looks at the source: one at a time."""
        self._closed = Event()
        self._thread: Thread | None = None
        self._asked_at: float | None = None
        """Since when the source is being asked, on the monotonic clock."""

    @property
    def status(self) -> PolicyStatus:
        """Which policies serve, and whether they are those of the source, as far as it answers."""
        status, asked_at = self._status, self._asked_at
        waited = 0.0 if asked_at is None else time.monotonic() - asked_at
        if asked_at is None or waited < _PATIENCE or status.problem:
            return status
        since = self._clock() - timedelta(seconds=waited)
        return replace(status, problem=f"the source has not answered for {waited:.0f} seconds", failing_since=since)

    def refresh(self) -> PolicyStatus:
        """Look at the source now, and take over what it has. What is wrong there is not raised: the status says it."""
        with self._lock:
            self._asked_at = time.monotonic()
            try:
                fetched = self._source.fetch()
                if fetched.version != self._fetched.version:
                    self._take_over(self._accepted(fetched))
                else:
                    self._checked()
            except CostlensPolicyError as error:
                self._failed(str(error))
            except Exception as error:  # a source of somebody else's, or a defect: what serves goes on serving
                self._failed(str(_broken("the source failed", error)))
            finally:
                self._asked_at = None
            return self._status

    def close(self) -> None:
        """Look at the source no more. The policies that serve go on serving."""
        self._closed.set()

    def __enter__(self) -> LivePolicies:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"LivePolicies({self._source.name!r}, version={self._status.version[:16]!r})"

    def _accepted(self, fetched: Fetched) -> Fetched:
        """Return a version that may serve; what was refused is refused again without being examined."""
        if self._refused is not None and self._refused[0] == fetched.version:
            raise self._refused[1]
        try:
            if self._accept is not None:
                self._accept(Engine(fetched.plan))
        except Exception as error:
            refused = error if isinstance(error, CostlensPolicyError) else _broken("`accept` failed", error)
            self._refused = fetched.version, refused
            raise refused from error
        self._refused = None
        return fetched

    def _take_over(self, fetched: Fetched) -> None:
        before, now = self._status, self._clock()
        self._fetched = fetched
        self.plan = fetched.plan
        self._status = replace(self._first_status(), loads=before.loads + 1, failures=before.failures, checked_at=now)
        _LOG.info("policies of `%s` replaced: %s by %s", self._source.name, _short(before), _short(self._status))
        self._report()

    def _checked(self) -> None:
        ended = not self._status.is_current
        self._status = replace(self._status, checked_at=self._clock(), problem="", failing_since=None)
        if ended:
            _LOG.info("the policies of `%s` are again those that serve, %s", self._source.name, _short(self._status))
            self._report()

    def _failed(self, problem: str) -> None:
        before, now = self._status, self._clock()
        problem = problem[:_LONGEST_PROBLEM] or "it failed without a reason"
        since = before.failing_since or now
        self._status = replace(
            before, checked_at=now, problem=problem, failing_since=since, failures=before.failures + 1
        )
        if problem != before.problem:
            _LOG.error(
                "policies of `%s` refused; %s goes on serving: %s", self._source.name, _short(self._status), problem
            )
            self._report()

    def _first_status(self) -> PolicyStatus:
        plan, now = self._fetched.plan, self._clock()
        version = self._fetched.version
        return PolicyStatus(self._source.name, version, plan.policy_digest, plan.catalogue_digest, now, now)

    def _report(self) -> None:
        if self._on_change is None:
            return
        try:
            self._on_change(self._status)
        except Exception:
            _LOG.exception("`on_change` failed")

    def _start(self) -> None:
        if self._interval is not None and self._thread is None:
            watched = ref(self), self._closed, self._interval
            self._thread = Thread(target=_watch, args=watched, name="costlens-policy-reload", daemon=True)
            self._thread.start()


def _watch(policies: ref[LivePolicies], closed: Event, interval: float) -> None:
    """Look at the source again and again, until the policies are closed or nobody has them any more."""
    while not closed.wait(interval):
        live = policies()
        if live is None:
            return
        live.refresh()
        del live


def _broken(what: str, error: Exception) -> InputError:
    return InputError(f"{what}: {type(error).__name__}: {error}")


def _opened(source: Source | str | os.PathLike[str], trust: Trust | None) -> Source:
    if isinstance(source, str | os.PathLike):
        from costlens_policy.live.sources import source_at

        return source_at(source, trust=trust)
    if trust is not None:
        raise ValueError("`trust` belongs to the source; give it to `BundleSource` or its like")
    return source


def _short(status: PolicyStatus) -> str:
    """Return a version as the log names it: a digest by its beginning, words as they are."""
    version = status.version
    return version if " " in version else f"version {version[:16]}"


_ALL: Final[WeakSet[LivePolicies]] = WeakSet()


def _forked() -> None:
    """Make new locks and threads in a forked child: it has no thread but the one that forked."""
    for policies in list(_ALL):
        closed = policies._closed.is_set()
        policies._start_anew()
        if closed:
            policies.close()
        else:
            policies._start()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
