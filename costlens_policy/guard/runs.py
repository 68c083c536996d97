"""Runs in code: blocks whose calls belong to a run, and to the runs around it.

A block is a context variable, so tasks and threads that inherit the context inherit the run.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Final

from costlens_policy.guard.errors import GuardError
from costlens_policy.runs import RUN, RUN_SEPARATOR, run_at, run_depth, run_problem

__all__ = ["AsyncRecordedRun", "RecordedRun", "Run", "in_run", "place_of", "run", "run_now"]


class Run:
    """A run, and the block of code that it lasts for: ``with run("nightly"):``.

    Once the block is left, the run has ended, and so have all runs within it: code that goes on with it, such as a task
    that nobody waited for, gets a ``RunEndedError`` from the guards of its process.
    """

    __slots__ = ("_ended", "_outer", "_token", "path")

    def __init__(self, path: str, outer: Run | None) -> None:
        self.path: Final = path
        self._outer = outer
        self._ended = False
        self._token: Token[Run | None] | None = None

    @property
    def root(self) -> str:
        """The path of the outermost run."""
        return run_at(self.path, 1)

    @property
    def parent(self) -> str | None:
        """The path of the run around this one; None for a root."""
        return self.path.rpartition(RUN_SEPARATOR)[0] or None

    @property
    def depth(self) -> int:
        """How many runs are on the path: 1 for a root."""
        return run_depth(self.path)

    @property
    def ended(self) -> str | None:
        """The path of the run that has ended, this one or one around it; None while all of them last."""
        run: Run | None = self
        while run is not None:
            if run._ended:
                return run.path
            run = run._outer
        return None

    def __enter__(self) -> Run:
        if self._token is not None or self._ended:
            raise GuardError(f"the run `{self.path}` was entered before; make a new one")
        self._token = _RUN.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended = True
        if self._token is not None:
            _RUN.reset(self._token)

    def __repr__(self) -> str:
        return f"Run({self.path!r})"


_RUN: Final[ContextVar[Run | None]] = ContextVar("costlens_policy_run", default=None)


class RecordedRun(Run):
    """A run whose end its guard puts on record: from then on it is over for every process, and for good."""

    __slots__ = ("_end",)

    def __init__(self, path: str, outer: Run | None, end: Callable[[str], None]) -> None:
        super().__init__(path, outer)
        self._end = end

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, traceback)
        self._end(self.path)


class AsyncRecordedRun(Run):
    """As ``RecordedRun``, for ``async with``."""

    __slots__ = ("_end",)

    def __init__(self, path: str, outer: Run | None, end: Callable[[str], Awaitable[None]]) -> None:
        super().__init__(path, outer)
        self._end = end

    def __enter__(self) -> Run:
        raise GuardError(f"the run `{self.path}` of an `AsyncGuard` must be entered with `async with`")

    async def __aenter__(self) -> Run:
        return super().__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, traceback)
        await self._end(self.path)


def run(name: str | None = None, *, parent: str | None = None) -> Run:
    """Begin a run: all calls of this block belong to it, ``with run("nightly") as this:``.

    Within another block it is a run of that one: its path, ``this.path``, is the path around it and its name. ``name``
    may be a path itself. Without one, the run gets a name that nobody else has, as two runs of the same name are one
    and the same run. ``parent`` is the path of a run elsewhere, such as that of the process which asked for this work.

    A request with a ``run`` of its own keeps it. The end of the block is known to this process; ``guard.run`` puts it
    on record for all. Raises ``GuardError`` for what is not a path, such as one on which a run is its own ancestor.
    """
    return Run(*place_of(name, parent))


def place_of(name: str | None, parent: str | None) -> tuple[str, Run | None]:
    """Return the path of a run that begins here, and the run around it. Raises ``GuardError``."""
    outer = run_now()
    for text in (name, parent):
        if text is not None and not isinstance(text, str):
            raise GuardError(f"a run must be a string, got `{text!r}`")
    name = os.urandom(8).hex() if name is None else name
    above = parent if parent is not None else None if outer is None else outer.path
    path = name if above is None else f"{above}{RUN_SEPARATOR}{name}"
    if problem := run_problem(path):
        raise GuardError(f"the run `{path[:300]}` {problem}")
    return path, outer


def run_now() -> Run | None:
    """Return the run of the blocks around; None outside of all."""
    return _RUN.get()


def in_run(request: Mapping[str, Any], run: Run | None) -> Mapping[str, Any]:
    """Return the request with the path of a run, unless it has one of its own."""
    if run is None or not isinstance(request, Mapping) or request.get(RUN) is not None:
        return request
    return {**request, RUN: run.path}
