"""The file: connections to it, and transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from costlens_policy.ledger.errors import LedgerUnavailableError
from costlens_policy.ledger.pool import Pool
from costlens_policy.ledger.sqlite.faults import faults_of
from costlens_policy.ledger.sqlite.migrations import migrate

__all__ = ["LedgerFile"]

_OLDEST: Final = (3, 35, 0)


class LedgerFile:
    """A SQLite file in write-ahead mode; what is committed has reached the disk. ``timeout`` is in seconds."""

    def __init__(self, path: str, timeout: float) -> None:
        if sqlite3.sqlite_version_info < _OLDEST:
            raise LedgerUnavailableError(f"SQLite {sqlite3.sqlite_version} is too old for a ledger; 3.35 is needed")
        self._path = path
        self._timeout = timeout
        self._pool = Pool(self._connect)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection that holds the write lock of the file, and commit; any error takes everything back."""
        lock = self._pool.lock  # threads of one process queue here, instead of asking the file again and again
        if not lock.acquire(timeout=self._timeout):
            raise LedgerUnavailableError(f"the ledger `{self._path}` was busy for {self._timeout:g} s")
        try:
            with faults_of(self._path), self._pool.connection() as db:
                db.execute("BEGIN IMMEDIATE")
                with _transaction(db):
                    yield db
        finally:
            lock.release()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection that sees one state of the file, whatever others write meanwhile."""
        with faults_of(self._path), self._pool.connection() as db:
            db.execute("BEGIN")
            with _transaction(db):
                yield db

    def open(self) -> None:
        """Make sure that the file is a ledger that this version can use."""
        with faults_of(self._path), self._pool.connection() as db:
            migrate(db, self._path)

    def close(self) -> None:
        self._pool.close()

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=self._timeout, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode = WAL").fetchone()
            db.execute("PRAGMA synchronous = FULL")
        except BaseException:
            db.close()
            raise
        return db


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # a full disk has ended it already
            db.execute("ROLLBACK")
        raise
