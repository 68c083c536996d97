"""One connection, and calls of the ledger's functions on it.

The connection is psycopg's, but functions are called through libpq here: they are all that reserving and settling ask
of the database, and psycopg's cursors take about as long as the functions do. An answer is waited for no longer than
the timeout, so that a server that hangs is reported as a server that is gone.
"""

from __future__ import annotations

import json
import select
import time
from collections.abc import Callable, Generator
from typing import Any, Final

import psycopg
from psycopg import errors, pq

from costlens_policy.ledger.postgresql.faults import NoAnswer

__all__ = ["GRACE", "Connection", "PatientConnection", "Session"]

Connection = psycopg.Connection[Any]

GRACE: Final = 1.0
"""Seconds that the server has to say that it could not answer in time."""
_BIGINT, _TEXT, _JSONB = 20, 25, 3802
_READ: Final[dict[int, Callable[[bytes], Any]]] = {_BIGINT: int, _TEXT: bytes.decode, _JSONB: json.loads}
"""How to read what a function returns, by the number of its type."""


class PatientConnection(psycopg.Connection[Any]):
    """A connection on which every answer is waited for at most ``patience`` seconds."""

    patience: float = 60.0

    def wait(self, gen: Any, *arguments: Any, **keywords: Any) -> Any:
        return super().wait(_bounded(gen, time.monotonic() + self.patience), *arguments, **keywords)


def _bounded(steps: Generator[Any, Any, Any], deadline: float) -> Generator[Any, Any, Any]:
    """Pass on what a generator of psycopg waits for; it is asked again, with nothing ready, several times a second."""
    try:
        awaited = next(steps)
        while True:
            ready = yield awaited
            if not ready and time.monotonic() >= deadline:
                raise NoAnswer("no answer")
            awaited = steps.send(ready)
    except StopIteration as end:
        return end.value


class Session:
    """A connection and the calls that are prepared there."""

    def __init__(self, connection: PatientConnection) -> None:
        self.connection: Connection = connection
        self._libpq = connection.pgconn
        self._patience = int(connection.patience * 1000)
        self._prepared: set[bytes] = set()

    def call(self, schema: str, function: str, arguments: tuple[str | int | bool, ...]) -> Any:
        """Return what a function of the schema returns. Raises errors of psycopg."""
        name = function.encode()
        if name not in self._prepared:
            marks = ", ".join(f"${number + 1}" for number in range(len(arguments)))
            self._libpq.send_prepare(name, f'SELECT "{schema}".{function}({marks})'.encode())
            self._result()
            self._prepared.add(name)
        self._libpq.send_query_prepared(name, [str(argument).encode() for argument in arguments])
        result = self._result()
        value = result.get_value(0, 0)
        return None if value is None else _READ[result.ftype(0)](value)

    def close(self) -> None:
        self.connection.close()

    def _result(self) -> pq.abc.PGresult:
        """Return the result of the only statement that was sent."""
        while self._libpq.flush():
            self._wait(select.POLLIN | select.POLLOUT)
        found = None
        while True:
            while self._libpq.is_busy():
                self._wait(select.POLLIN)
            result = self._libpq.get_result()
            if result is None:
                break
            found = found or result
        if found is None:
            raise psycopg.OperationalError("the connection was lost")
        if found.status not in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
            raise errors.error_from_result(found)
        return found

    def _wait(self, events: int) -> None:
        """Wait until the connection is ready, and read what has come."""
        poll = select.poll()
        poll.register(self._libpq.socket, events)
        ready = poll.poll(self._patience)
        if not ready:
            raise NoAnswer("no answer")
        if ready[0][1] != select.POLLOUT:
            self._libpq.consume_input()
