"""What PostgreSQL's errors mean, and what to do about them."""

from __future__ import annotations

from typing import Final

import psycopg
from psycopg import errors

from costlens_policy.ledger.errors import LedgerBusyError, LedgerUnavailableError

__all__ = ["TIMED_OUT", "NoAnswer", "is_full", "may_be_repeated", "unavailable"]


class NoAnswer(psycopg.OperationalError):
    """The server said nothing, not even that it could not answer in time."""


_MEANINGS: Final[tuple[tuple[type[psycopg.Error], str], ...]] = (
    (errors.ReadOnlySqlTransaction, "cannot be written, it is a standby or read-only; name the primary in the URL"),
    (errors.DiskFull, "has no room left on its disk; free some"),
    (
        errors.InsufficientPrivilege,
        "does not let this user use the ledger; grant what is missing: {error}",
    ),
    (errors.InvalidPassword, "refuses the user or the password of the URL"),
    (errors.InvalidAuthorizationSpecification, "refuses the user of the URL"),
    (errors.TooManyConnections, "has no connection left; raise `max_connections`, or put a pooler in between"),
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
    (TIMED_OUT, "did not answer in time; look for who keeps a row of the ledger, or raise `timeout` in the URL"),
    ((errors.DeadlockDetected,), "has two transactions that wait for each other; look for who else locks the ledger"),
    ((errors.SerializationFailure,), "could not order this among what others do at the same time; try again"),
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
