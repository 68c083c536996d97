"""Connections that threads take and put back, and that a forked process does not inherit."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition, Lock
from typing import Any, Final, Generic, Protocol, TypeVar

from costlens_policy.ledger.errors import LedgerBusyError, LedgerError, LedgerUnavailableError

__all__ = ["Pool"]


class _Closable(Protocol):
    def close(self) -> None: ...


_Connection = TypeVar("_Connection", bound=_Closable)

_LONGEST_IDLE: Final = 60.0
"""Seconds after which an idle connection is made anew: firewalls and balancers forget such ones without a word."""
_INHERITED: Final[list[Any]] = []
"""Connections that a forked child must neither use nor close, since they are its parent's."""


class _Process(Generic[_Connection]):
    """Connections of one process, and locks that no thread of its parent can have left locked.

    ``idle`` has each connection with the time when it came back; ``made`` counts those and the ones that are lent.
    """

    def __init__(self) -> None:
        self.id = os.getpid()
        self.idle: list[tuple[_Connection, float]] = []
        self.lock = Lock()
        self.changed = Condition()
        self.made = 0
        self.waiting = 0


class Pool(Generic[_Connection]):
    """As many connections as there are operations at one time, but at most ``most``: then operations queue.

    Who has waited for ``patience`` seconds is refused with ``LedgerBusyError``. ``is_full`` says of an error while
    connecting that the server has no connections left: whoever has others waits for one of those.
    """

    def __init__(
        self,
        connect: Callable[[], _Connection],
        most: int,
        patience: float,
        is_full: Callable[[Exception], bool] = lambda _: False,
    ) -> None:
        self._connect = connect
        self._most = most
        self._patience = patience
        self._is_full = is_full
        self._process: _Process[_Connection] = _Process()
        self._closed = False

    @contextmanager
    def connection(self) -> Iterator[_Connection]:
        """Lend a connection. After a fault of the connection, that is any error but ``LedgerError``, it is closed."""
        process = self._own()
        connection = self._taken(process)
        sound = False
        try:
            yield connection
            sound = True
        except LedgerError:
            sound = True
            raise
        finally:
            if sound and not self._closed:
                process.idle.append((connection, time.monotonic()))
            else:
                self._discard(process, connection)
            if process.waiting:
                with process.changed:
                    process.changed.notify()

    @property
    def lock(self) -> Lock:
        """A lock of this process."""
        return self._own().lock

    def clear(self) -> None:
        """Close the idle connections: one that was found broken is seldom the only one."""
        if not self._closed:
            self._close_idle(self._own())

    def close(self) -> None:
        """Close what is idle, and what is lent once it comes back."""
        self._closed = True
        if self._process.id == os.getpid():
            self._close_idle(self._process)

    def _taken(self, process: _Process[_Connection]) -> _Connection:
        while not process.waiting:  # whoever waits already comes first
            try:
                connection, since = process.idle.pop()
            except IndexError:
                return self._made(process) or self._awaited(process)
            if time.monotonic() - since < _LONGEST_IDLE:
                return connection
            self._discard(process, connection)
        return self._awaited(process)

    def _made(self, process: _Process[_Connection]) -> _Connection | None:
        """Return a new connection, or None where no more may be made and others will come back."""
        with process.changed:
            if process.made >= self._most:
                return None
            process.made += 1
        try:
            return self._connect()
        except BaseException as error:
            with process.changed:
                process.made -= 1
                if process.made and isinstance(error, Exception) and self._is_full(error):
                    return None
                process.changed.notify()
            raise

    def _awaited(self, process: _Process[_Connection]) -> _Connection:
        """Return a connection that another thread has put back, or one made in place of one that it has closed."""
        deadline = time.monotonic() + self._patience
        while (left := deadline - time.monotonic()) > 0:
            with process.changed:
                process.waiting += 1  # before looking, so that whoever puts one back now sees that it is waited for
                try:
                    if not process.idle:
                        # Where more may be made the server was full, and may be no longer.
                        process.changed.wait(left if process.made >= self._most else min(left, 0.05))
                    if process.idle:
                        return process.idle.pop()[0]
                finally:
                    process.waiting -= 1
                    if process.idle and process.waiting:
                        process.changed.notify()
            connection = self._made(process)
            if connection is not None:
                return connection
        raise LedgerBusyError(
            f"all {process.made} connections of this process to the ledger were in use for {self._patience:g} s;"
            " look for what holds them, or raise `connections` or `timeout` in the URL"
        )

    def _discard(self, process: _Process[_Connection], connection: _Connection) -> None:
        with process.changed:
            process.made -= 1
        connection.close()

    def _close_idle(self, process: _Process[_Connection]) -> None:
        while True:
            try:
                connection, _ = process.idle.pop()
            except IndexError:
                return
            self._discard(process, connection)

    def _own(self) -> _Process[_Connection]:
        if self._closed:
            raise LedgerUnavailableError("the ledger was closed; open it again with `open_ledger`")
        if self._process.id != os.getpid():
            _INHERITED.append(self._process)
            self._process = _Process()
        return self._process
