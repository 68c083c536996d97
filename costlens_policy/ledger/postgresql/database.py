"""The database: connections to it, and what is tried again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict

from costlens_policy.ledger.errors import LedgerUnavailableError
from costlens_policy.ledger.pool import Pool
from costlens_policy.ledger.postgresql.faults import TIMED_OUT, is_full, may_be_repeated, unavailable
from costlens_policy.ledger.postgresql.migrations import migrate
from costlens_policy.ledger.postgresql.session import GRACE, Connection, PatientConnection, Session

__all__ = ["Database"]

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
