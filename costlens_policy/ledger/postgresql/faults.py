"""What PostgreSQL's errors mean, and what to do about them."""

from __future__ import annotations

from typing import Final

import psycopg
from psycopg import errors

from costlens_policy.ledger.errors import LedgerUnavailableError

__all__ = ["may_be_repeated", "unavailable"]

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
    (errors.QueryCanceled, "did not answer in time; raise `timeout` in the URL"),
    (errors.LockNotAvailable, "did not answer in time; raise `timeout` in the URL"),
    (errors.UndefinedTable, "has lost its tables since it was opened; open the ledger again"),
    (errors.UndefinedFunction, "has lost its functions since it was opened; open the ledger again"),
    (errors.InvalidSchemaName, "has lost its schema since it was opened; open the ledger again"),
    (errors.DataCorrupted, "is damaged; restore it from a backup"),
    (errors.IndexCorrupted, "is damaged; restore it from a backup"),
)
_REPEATED: Final = (
    errors.UniqueViolation,  # another process recorded the same call at the same moment: the next attempt finds it
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.AdminShutdown,
    errors.CrashShutdown,
)


def may_be_repeated(error: psycopg.Error) -> bool:
    """Whether another attempt can succeed. It never records twice, since every write carries an id."""
    if isinstance(error, _REPEATED):
        return True
    return isinstance(error, psycopg.OperationalError) and error.sqlstate is None  # the connection is gone


def unavailable(where: str, error: psycopg.Error) -> LedgerUnavailableError:
    """Return what to raise instead of an error of the database."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    for kind, meaning in _MEANINGS:
        if isinstance(error, kind):
            return LedgerUnavailableError(f"the PostgreSQL at {where} {meaning.format(error=text)}")
    if isinstance(error, psycopg.OperationalError):
        return LedgerUnavailableError(f"the PostgreSQL at {where} cannot be reached ({text})")
    return LedgerUnavailableError(f"the PostgreSQL at {where} cannot be used ({text})")
