"""Connections that threads take and put back, and that a forked process does not inherit."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Final, Generic, Protocol, TypeVar

from costlens_policy.ledger.errors import LedgerError, LedgerUnavailableError

__all__ = ["Pool"]


class _Closable(Protocol):
    def close(self) -> None: ...


_Connection = TypeVar("_Connection", bound=_Closable)

_INHERITED: Final[list[Any]] = []
"""Connections that a forked child must neither use nor close, since they are its parent's."""


class _Process(Generic[_Connection]):
    """Idle connections of one process, and a lock that no thread of its parent can have left locked."""

    def __init__(self) -> None:
        self.id = os.getpid()
        self.idle: list[_Connection] = []
        self.lock = Lock()


class Pool(Generic[_Connection]):
    """As many connections as there are operations at one time."""

    def __init__(self, connect: Callable[[], _Connection]) -> None:
        self._connect = connect
        self._process: _Process[_Connection] = _Process()
        self._closed = False

    @contextmanager
    def connection(self) -> Iterator[_Connection]:
        """Lend a connection. After a fault of the connection, that is any error but ``LedgerError``, it is closed."""
        process = self._own()
        try:
            connection = process.idle.pop()
        except IndexError:
            connection = self._connect()
        sound = False
        try:
            yield connection
            sound = True
        except LedgerError:
            sound = True
            raise
        finally:
            if sound and not self._closed:
                process.idle.append(connection)
            else:
                connection.close()

    @property
    def lock(self) -> Lock:
        """A lock of this process."""
        return self._own().lock

    def clear(self) -> None:
        """Close the idle connections: one that was found broken is seldom the only one."""
        idle = self._own().idle
        while idle:
            idle.pop().close()

    def close(self) -> None:
        """Close what is idle, and what is lent once it comes back."""
        self._closed = True
        if self._process.id == os.getpid():
            while self._process.idle:
                self._process.idle.pop().close()

    def _own(self) -> _Process[_Connection]:
        if self._closed:
            raise LedgerUnavailableError("the ledger was closed; open it again with `open_ledger`")
        if self._process.id != os.getpid():
            _INHERITED.append(self._process)
            self._process = _Process()
        return self._process
