"""What SQLite's errors mean, and what to do about them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from costlens_policy.ledger.errors import LedgerBusyError, LedgerUnavailableError

__all__ = ["faults_of"]

_MEANINGS: Final = {
    sqlite3.SQLITE_BUSY: "was locked by others for too long; look for a process that hangs, or raise its `timeout`",
    sqlite3.SQLITE_LOCKED: "was locked by others for too long; look for a process that hangs",
    sqlite3.SQLITE_READONLY: "cannot be written; give this process the right to write the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; its folder must exist and be writable",
    sqlite3.SQLITE_PERM: "cannot be opened; give this process the right to read and write it",
    sqlite3.SQLITE_AUTH: "cannot be opened; give this process the right to read and write it",
    sqlite3.SQLITE_FULL: "has no room left on its disk; free some",
    sqlite3.SQLITE_IOERR: "cannot be read or written by the operating system; check the disk",
    sqlite3.SQLITE_CORRUPT: "is damaged; restore it from a backup, or salvage it with `sqlite3 FILE .recover`",
    sqlite3.SQLITE_NOTADB: "is not a database; name another file for the ledger",
    sqlite3.SQLITE_TOOBIG: "cannot hold a value that large; send fewer facts",
    sqlite3.SQLITE_NOMEM: "cannot be used; the process is out of memory",
}
_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
"""Others are at work on the file, so it is there and sound."""


@contextmanager
def faults_of(path: str) -> Iterator[None]:
    """Turn SQLite's errors into ``LedgerUnavailableError`` about the file."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # extended codes keep the general one in their low byte
        meaning = _MEANINGS.get(code, f"cannot be used ({error})")
        kind = LedgerBusyError if code in _BUSY else LedgerUnavailableError
        raise kind(f"the ledger `{path}` {meaning}") from error
