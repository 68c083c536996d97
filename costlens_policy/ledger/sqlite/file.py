"""The file: connections to it, and transactions."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition
from typing import Final, TypeAlias
from urllib.parse import quote
from weakref import WeakSet

from costlens_policy.ledger.errors import LedgerBusyError, LedgerUnavailableError
from costlens_policy.ledger.pool import Pool
from costlens_policy.ledger.sqlite.faults import faults_of
from costlens_policy.ledger.sqlite.migrations import is_current, migrate

__all__ = ["LedgerFile"]

_OLDEST: Final = (3, 35, 0)
_MOST_CONNECTIONS: Final = 64
_BESIDE: Final = ("-wal", "-shm")
"""What SQLite keeps beside the file while anybody has it open. Without them, two processes see two states of it."""

_Identity: TypeAlias = tuple[tuple[int, int] | None, ...]


class _Connection(sqlite3.Connection):
    """A connection, and what the names of its files stood for when they were opened."""

    identity: _Identity = ()


class _Gate:
    """Lets operations of all ledger files through, but not while the process forks.

    SQLite keeps in the memory of a process which locks of a file it has. A child of a process that has a file open
    would believe that it has them, too: it would wait for itself for ever, or read and write without a lock. So a fork
    waits until nothing is under way, and finds all files closed. A child that was made all the same while something
    was under way is ``torn``: it must not use SQLite's files.
    """

    def __init__(self, *, torn: bool = False) -> None:
        self.torn = torn
        self.is_empty = False
        self._changed = Condition()
        self._inside = 0
        self._forks = 0

    def __enter__(self) -> None:
        with self._changed:
            while self._forks:
                self._changed.wait()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._inside -= 1
            if self._forks:
                self._changed.notify_all()

    def shut(self, patience: float) -> bool:
        """Let nobody in until the fork is done; say whether all went out within some seconds."""
        with self._changed:
            self._forks += 1
            self.is_empty = self._changed.wait_for(lambda: not self._inside, patience)
            return self.is_empty

    def open(self) -> None:
        """Let all in again after a fork, unless another one is under way."""
        with self._changed:
            self._forks -= 1
            self._changed.notify_all()


class LedgerFile:
    """A SQLite file in write-ahead mode; what is committed has reached the disk. ``timeout`` is in seconds.

    Once open it is that file: one that is put in its place, or is made because it was deleted, is an error. With
    ``read_only`` the file must be there, and need not be writable.
    """

    def __init__(self, path: str, timeout: float, *, read_only: bool = False) -> None:
        if sqlite3.sqlite_version_info < _OLDEST:
            raise LedgerUnavailableError(f"SQLite {sqlite3.sqlite_version} is too old for a ledger; 3.35 is needed")
        self._path = path
        self._names = tuple(os.path.abspath(path) + ending for ending in ("", *_BESIDE))
        self._identity: tuple[int, int] | None = None
        self._timeout = timeout
        self._read_only = read_only
        self._pool = Pool(self._connect, _MOST_CONNECTIONS, timeout)
        _FILES.add(self)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection that holds the write lock of the file, and commit; any error takes everything back."""
        lock = self._pool.lock  # threads of one process queue here, instead of asking the file again and again
        if not lock.acquire(timeout=self._timeout):
            raise LedgerBusyError(f"the ledger `{self._path}` was busy for {self._timeout:g} s")
        try:
            with self._lent() as db:
                db.execute("BEGIN IMMEDIATE")
                with _transaction(db):
                    self._check(db)
                    yield db
        finally:
            lock.release()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection that sees one state of the file, whatever others write meanwhile."""
        with self._lent() as db:
            db.execute("BEGIN")
            with _transaction(db):
                self._check(db)
                yield db

    def open(self) -> None:
        """Make sure that the file is a ledger that this version can use."""
        with self._lent() as db:
            if self._is_writable:
                migrate(db, self._path)
            elif not is_current(db, self._path):
                raise LedgerUnavailableError(
                    f"`{self._path}` was written by an older version of costlens-policy and cannot be written here;"
                    " open it once where it can, which brings it up to date"
                )

    def close(self) -> None:
        with _GATE:
            self._pool.close()

    def close_for_fork(self) -> None:
        """Close the connections; the next operation makes new ones."""
        self._pool.clear()

    @contextmanager
    def _lent(self) -> Iterator[sqlite3.Connection]:
        with _GATE, faults_of(self._path):
            if _GATE.torn:
                raise LedgerUnavailableError(
                    f"the ledger `{self._path}` cannot be used in this process, which was forked while another thread"
                    " waited for the ledger; start processes with `spawn` or `forkserver`"
                )
            with self._pool.connection() as db:
                yield db

    @property
    def _is_writable(self) -> bool:
        name = self._names[0]
        return not self._read_only or (os.access(name, os.W_OK) and os.access(os.path.dirname(name), os.W_OK))

    def _connect(self) -> _Connection:
        db = self._opened()
        try:
            if self._is_writable:
                db.execute("PRAGMA journal_mode = WAL").fetchone()
                db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA schema_version").fetchone()  # opens what is beside the file
            db.identity = self._now()
        except BaseException:
            db.close()
            raise
        if self._identity is None:
            self._identity = db.identity[0]
        return db

    def _opened(self) -> _Connection:
        name, options = self._names[0], ""
        if self._read_only:
            options = "mode=rw" if self._is_writable else "mode=ro"
            if not self._is_writable and not os.path.exists(self._names[1]):
                options += "&immutable=1"  # nobody has it open, and what belongs beside it could not be made
        return sqlite3.connect(
            f"file:{quote(name)}?{options}" if options else name,
            timeout=self._timeout,
            isolation_level=None,
            check_same_thread=False,
            factory=_Connection,
            uri=bool(options),
        )

    def _check(self, db: sqlite3.Connection) -> None:
        """Raise ``LedgerUnavailableError`` where the file is another one than was opened."""
        assert isinstance(db, _Connection), "made here"
        if db.identity != self._now() or db.identity[0] != self._identity:
            raise LedgerUnavailableError(
                f"the ledger `{self._path}` was deleted, moved or replaced since it was opened, so what was spent is"
                " not known any more; put it back, or open the ledger again to go on with what is there now"
            )

    def _now(self) -> _Identity:
        """Return what the names of the files stand for now."""
        return tuple(map(_identity_of, self._names))


def _identity_of(name: str) -> tuple[int, int] | None:
    try:
        found = os.stat(name)
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # a full disk has ended it already
            db.execute("ROLLBACK")
        raise


_GATE = _Gate()
_FILES: Final[WeakSet[LedgerFile]] = WeakSet()
_LONGEST_WAIT: Final = 10.0
"""Seconds that a fork waits for what is under way."""


def _before_fork() -> None:
    if _GATE.shut(_LONGEST_WAIT):
        for file in list(_FILES):
            file.close_for_fork()


def _in_child() -> None:
    global _GATE
    _GATE = _Gate(torn=_GATE.torn or not _GATE.is_empty)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=lambda: _GATE.open(), after_in_child=_in_child)
