"""The connections to a server: sessions with prepared statements, a pool of them, faults, and the ledger's tables.

The tables are made in steps from each version of them to the next. A step that was released never changes.

The connection is psycopg's, but functions are called through libpq here: they are all that reserving and settling ask
of the database, and psycopg's cursors take about as long as the functions do. An answer is waited for no longer than
the timeout, so that a server that hangs is reported as a server that is gone.
"""

from __future__ import annotations

import json
import select
import time
from collections.abc import Callable, Generator
from importlib.resources import files
from typing import Any, Final, TypeVar

import psycopg
from psycopg import errors, pq
from psycopg.conninfo import conninfo_to_dict

from costlens_policy.ledger.errors import LedgerBusyError, LedgerUnavailableError
from costlens_policy.ledger.pool import Pool

__all__ = [
    "GRACE",
    "MIGRATIONS",
    "TIMED_OUT",
    "Connection",
    "Database",
    "NoAnswer",
    "PatientConnection",
    "Session",
    "is_full",
    "may_be_repeated",
    "migrate",
    "statements",
    "unavailable",
]


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
        try:
            result = self._called(schema, function, arguments)
        except errors.InvalidSqlStatementName:  # psycopg forgets all that is prepared when it rolls back
            self._prepared.discard(function.encode())
            result = self._called(schema, function, arguments)
        value = result.get_value(0, 0)
        return None if value is None else _READ[result.ftype(0)](value)

    def _called(self, schema: str, function: str, arguments: tuple[str | int | bool, ...]) -> pq.abc.PGresult:
        name = function.encode()
        if name not in self._prepared:
            marks = ", ".join(f"${number + 1}" for number in range(len(arguments)))
            self._libpq.send_prepare(name, f'SELECT "{schema}".{function}({marks})'.encode())
            self._result()
            self._prepared.add(name)
        self._libpq.send_query_prepared(name, [str(argument).encode() for argument in arguments])
        return self._result()

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


class NoAnswer(psycopg.OperationalError):
    """The server said nothing, not even that it could not answer in time."""


_MEANINGS: Final[tuple[tuple[type[psycopg.Error], str], ...]] = (
    (
        errors.ReadOnlySqlTransaction,
        "cannot be written, since it is a standby or read-only; name the primary in the URL",
    ),
    (errors.DiskFull, "is on a full disk; free some space"),
    (
        errors.InsufficientPrivilege,
        "does not let this user use the ledger; grant the missing privilege: {error}",
    ),
    (errors.InvalidPassword, "rejects the user or password in the URL"),
    (errors.InvalidAuthorizationSpecification, "rejects the user in the URL"),
    (errors.TooManyConnections, "has no connections left; raise `max_connections`, or put a pooler in front of it"),
    (NoAnswer, "did not answer in time; raise `timeout` in the URL"),
    (errors.UndefinedTable, "has lost its tables since it was opened; open the ledger again"),
    (errors.UndefinedFunction, "has lost its functions since it was opened; open the ledger again"),
    (errors.InvalidSchemaName, "has lost its schema since it was opened; open the ledger again"),
    (errors.DataCorrupted, "is damaged; restore it from a backup"),
    (errors.IndexCorrupted, "is damaged; restore it from a backup"),
)
TIMED_OUT: Final = (errors.QueryCanceled, errors.LockNotAvailable)
"""What the server says of a statement that took too long, most often since others have locked a row."""
_BUSY: Final[tuple[tuple[tuple[type[psycopg.Error], ...], str], ...]] = (
    (TIMED_OUT, "did not answer in time; look for what locks rows of the ledger, or raise `timeout` in the URL"),
    ((errors.DeadlockDetected,), "reports a deadlock; look for what else locks the ledger"),
    ((errors.SerializationFailure,), "could not serialize this with concurrent operations; try again"),
)
"""What one operation met. The server works, and serves others."""
_REPEATED: Final = (
    errors.UniqueViolation,  # another process recorded the same call at the same moment: the next attempt finds it
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.ReadOnlySqlTransaction,  # the primary became a standby: with several hosts in the URL there is another one
)


_FULL: Final = ("too many clients", "too many connections", "remaining connection slots", "no more connections allowed")
"""Errors while connecting have a text only."""


def may_be_repeated(error: psycopg.Error) -> bool:
    """Whether another attempt can succeed. It never records twice, since every write carries an id."""
    if isinstance(error, _REPEATED):
        return True
    if isinstance(error, NoAnswer):
        return False
    return isinstance(error, psycopg.OperationalError) and error.sqlstate is None  # the connection is gone


def is_full(error: Exception) -> bool:
    """Whether the server, or a pooler before it, refuses a connection because it has too many."""
    if getattr(error, "sqlstate", None) == errors.TooManyConnections.sqlstate:
        return True
    return isinstance(error, psycopg.OperationalError) and any(words in str(error) for words in _FULL)


def unavailable(where: str, error: psycopg.Error) -> LedgerUnavailableError:
    """Return what to raise instead of an error of the database."""
    for kinds, meaning in _BUSY:
        if isinstance(error, kinds):
            return LedgerBusyError(f"the PostgreSQL at {where} {meaning}")
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    for kind, meaning in _MEANINGS:
        if isinstance(error, kind):
            return LedgerUnavailableError(f"the PostgreSQL at {where} {meaning.format(error=text)}")
    if isinstance(error, psycopg.OperationalError):
        return LedgerUnavailableError(f"the PostgreSQL at {where} cannot be reached ({text})")
    return LedgerUnavailableError(f"the PostgreSQL at {where} cannot be used ({text})")


_Result = TypeVar("_Result")

_ATTEMPTS: Final = 4


class Database:
    """A schema of a database. Each statement is a transaction of its own; ``timeout`` is in seconds."""

    def __init__(self, url: str, schema: str, timeout: float, connections: int, *, read_only: bool) -> None:
        self.schema = schema
        self._url = url
        self._timeout = timeout
        try:
            known = conninfo_to_dict(url)
        except psycopg.Error as error:
            raise LedgerUnavailableError(f"the URL of the ledger cannot be used: {str(error).strip()}") from error
        self._where = str(known.get("host") or "localhost")
        self._pool = Pool(self._connect, connections, timeout, is_full)
        self.run(lambda connection: migrate(connection, schema, read_only=read_only))

    def run(self, operation: Callable[[Connection], _Result]) -> _Result:
        """Do something on a connection, and again on another one where that can help."""
        return self._run(lambda session: operation(session.connection))

    def _run(self, operation: Callable[[Session], _Result]) -> _Result:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with self._pool.connection() as session:
                    try:
                        return operation(session)
                    except TIMED_OUT as error:  # the connection is as good as before
                        raise unavailable(self._where, error) from error
            except psycopg.Error as error:
                if attempt == _ATTEMPTS or not may_be_repeated(error):
                    raise unavailable(self._where, error) from error
                self._pool.clear()
        raise AssertionError("the last attempt returns or raises")

    def call(self, function: str, *arguments: str | int | bool) -> Any:
        """Run a function of the ledger in one round trip."""
        return self._run(lambda session: session.call(self.schema, function, arguments))

    def rows(self, statement: str, *arguments: Any) -> list[Any]:
        """Run a statement, in which ``@ledger`` stands for the schema."""
        text = self.sql(statement)
        return self.run(lambda db: db.execute(text, arguments).fetchall())

    def execute(self, statement: str, *arguments: Any) -> int:
        """Run a statement; return how many rows it has changed."""
        text = self.sql(statement)
        return self.run(lambda db: db.execute(text, arguments).rowcount)

    def sql(self, statement: str) -> str:
        return statement.replace("@ledger", f'"{self.schema}"')

    def close(self) -> None:
        self._pool.close()

    def _connect(self) -> Session:
        milliseconds = int(self._timeout * 1000)
        settings = (
            f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds}"
            f" -c idle_in_transaction_session_timeout={milliseconds}"  # a client that hangs must not hold locks
            " -c default_transaction_isolation=read\\ committed"
        )
        connection = PatientConnection.connect(
            self._url,
            autocommit=True,
            client_encoding="UTF8",
            connect_timeout=max(2, int(self._timeout)),
            options=settings,
            application_name="costlens-policy",
        )
        connection.patience = self._timeout + GRACE
        return Session(connection)


MIGRATIONS: Final = (
    "001_accounts_and_calls",
    "002_adjustments",
    "003_alerts",
    "004_history",
    "005_clocks",
    "006_thresholds",
    "007_revoke",
    "008_runs",
    "009_windows",
    "010_carry_over",
    "011_shares",
)

_FUNCTIONS: Final = (
    "functions_1_accounts", "functions_1_shares", "functions_2_carry", "functions_2_reserve", "functions_3_settle",
    "functions_4_leases",
    "functions_5_history",
)  # fmt: skip
_SCRIPTS: Final = files("costlens_policy.ledger.postgresql") / "scripts"


def migrate(connection: psycopg.Connection[Any], schema: str, *, read_only: bool = False) -> None:
    """Make the ledger, or bring one of an older version up to date; with ``read_only`` it must be there.

    Raises ``LedgerUnavailableError`` for a newer one.
    """
    version = _version(connection, schema)
    if version == len(MIGRATIONS):
        return
    if read_only and version == 0:
        raise LedgerUnavailableError(
            f"there is no ledger `{schema}` in the database; a guard makes it when it is first used"
        )
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"costlens-policy {schema}",))
        version = _version(connection, schema)
        if version == len(MIGRATIONS):
            return
        if version == 0:
            connection.execute(_sql("CREATE SCHEMA IF NOT EXISTS @ledger", schema))
            connection.execute(_sql("CREATE TABLE @ledger.version (version integer NOT NULL)", schema))
            connection.execute(_sql("INSERT INTO @ledger.version VALUES (0)", schema))
        for name in (*MIGRATIONS[version:], *_FUNCTIONS):
            connection.execute(statements(name, schema))
        connection.execute(_sql(f"UPDATE @ledger.version SET version = {len(MIGRATIONS)}", schema))


def statements(name: str, schema: str) -> bytes:
    """Return a script for the schema."""
    return _sql((_SCRIPTS / f"{name}.sql").read_text(encoding="utf-8"), schema)


def _sql(text: str, schema: str) -> bytes:
    return text.replace("@ledger", f'"{schema}"').encode()


def _version(connection: psycopg.Connection[Any], schema: str) -> int:
    """Return the version of the tables, 0 where there are none."""
    tables = "SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = %s AND tablename = 'version'"
    if connection.execute(tables, (schema,)).fetchone() is None:
        return 0
    row = connection.execute(_sql("SELECT version FROM @ledger.version", schema)).fetchone()
    version = 0 if row is None else int(row[0])
    if version > len(MIGRATIONS):
        raise LedgerUnavailableError(
            f"the ledger in the schema `{schema}` was made by a newer version of costlens-policy (tables {version},"
            f" this one knows {len(MIGRATIONS)}); upgrade costlens-policy here"
        )
    return version
