"""The file: one writer at a time, readers beside it, faults, and its tables.

The tables are made in steps from each version of them to the next. A step that was released never changes.
"""

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

__all__ = ["APPLICATION_ID", "MIGRATIONS", "LedgerFile", "faults_of", "is_current", "migrate"]


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
            raise LedgerUnavailableError(
                f"SQLite {sqlite3.sqlite_version} is too old for a ledger; 3.35 or newer is needed"
            )
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
                " unknown; put it back, or open the ledger again to continue with what is there now"
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


_MEANINGS: Final = {
    sqlite3.SQLITE_BUSY: "was locked for too long; look for a process that hangs, or raise `timeout` in the URL",
    sqlite3.SQLITE_LOCKED: "was locked for too long; look for a process that hangs",
    sqlite3.SQLITE_READONLY: "cannot be written; give this process write permission to the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; its folder must exist and be writable",
    sqlite3.SQLITE_PERM: "cannot be opened; give this process read and write permission",
    sqlite3.SQLITE_AUTH: "cannot be opened; give this process read and write permission",
    sqlite3.SQLITE_FULL: "is on a full disk; free some space",
    sqlite3.SQLITE_IOERR: "cannot be read or written; check the disk",
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


APPLICATION_ID: Final = 0x434C504C
"""Marks a file as a ledger of this package."""

_ACCOUNTS_AND_CALLS: Final = (
    """CREATE TABLE accounts (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
        budget TEXT NOT NULL, key TEXT NOT NULL, unit TEXT NOT NULL, period TEXT NOT NULL,
        starts_at INTEGER, resets_at INTEGER, rolling INTEGER,
        used_high INTEGER NOT NULL, used_low INTEGER NOT NULL, held_high INTEGER NOT NULL, held_low INTEGER NOT NULL,
        generation INTEGER NOT NULL, next_end INTEGER, bucket INTEGER)""",
    """CREATE TABLE ends (
        account INTEGER NOT NULL, second INTEGER NOT NULL, generation INTEGER NOT NULL,
        high INTEGER NOT NULL, low INTEGER NOT NULL,
        PRIMARY KEY (account, second, generation)) WITHOUT ROWID""",
    """CREATE TABLE buckets (
        account INTEGER NOT NULL, bucket INTEGER NOT NULL, high INTEGER NOT NULL, low INTEGER NOT NULL,
        PRIMARY KEY (account, bucket)) WITHOUT ROWID""",
    """CREATE TABLE calls (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE, reserved_at INTEGER NOT NULL, end INTEGER, lines TEXT NOT NULL, facts TEXT NOT NULL,
        released INTEGER NOT NULL DEFAULT 0, settled_at INTEGER, late INTEGER, charged TEXT,
        first_entry INTEGER, last_entry INTEGER)""",
    "CREATE INDEX open_calls ON calls (end, id) WHERE settled_at IS NULL AND released = 0",
    """CREATE TABLE entries (
        id INTEGER PRIMARY KEY, at INTEGER NOT NULL, clock INTEGER NOT NULL, kind TEXT NOT NULL,
        source INTEGER NOT NULL, account INTEGER NOT NULL, high INTEGER NOT NULL, low INTEGER NOT NULL,
        held_high INTEGER NOT NULL, held_low INTEGER NOT NULL)""",
    "CREATE INDEX entries_of_account ON entries (account, id)",
    "CREATE INDEX entries_by_time ON entries (clock)",
)
_ADJUSTMENTS: Final = (
    """CREATE TABLE adjustments (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE, balance TEXT NOT NULL, facts TEXT NOT NULL, entry INTEGER)""",
    "CREATE TABLE grants (scope TEXT NOT NULL PRIMARY KEY, grants TEXT NOT NULL) WITHOUT ROWID",
)
_ALERTS: Final = (
    """CREATE TABLE alerts (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE, budget TEXT NOT NULL, key TEXT NOT NULL, period TEXT NOT NULL, rung TEXT NOT NULL,
        facts TEXT NOT NULL, claimed_at INTEGER NOT NULL, visible_at INTEGER NOT NULL, attempts INTEGER NOT NULL,
        problem TEXT NOT NULL, delivered_at INTEGER)""",
    "CREATE INDEX pending_alerts ON alerts (visible_at) WHERE delivered_at IS NULL",
)
_CLOCKS: Final = ("ALTER TABLE accounts ADD COLUMN clocks TEXT NOT NULL DEFAULT '[]'",)
_THRESHOLDS: Final = ("ALTER TABLE alerts RENAME COLUMN rung TO threshold",)
_REVOKE: Final = ("UPDATE entries SET kind = 'revoke' WHERE kind = 'withdraw'",)
_SHARES: Final = (
    """CREATE TABLE shares (
        account INTEGER PRIMARY KEY, parent INTEGER NOT NULL, end INTEGER NOT NULL, generation INTEGER NOT NULL,
        high INTEGER NOT NULL, low INTEGER NOT NULL, lease INTEGER NOT NULL, ends TEXT NOT NULL)""",
    "CREATE INDEX shares_of_account ON shares (parent, end)",
    "CREATE TABLE share_ends (call TEXT NOT NULL, account INTEGER NOT NULL, PRIMARY KEY (call, account)) WITHOUT ROWID",
)

MIGRATIONS: Final = (_ACCOUNTS_AND_CALLS, _ADJUSTMENTS, _ALERTS, _CLOCKS, _THRESHOLDS, _REVOKE, _SHARES)


def migrate(db: sqlite3.Connection, path: str) -> None:
    """Make the tables, or bring those of an older version up to date.

    Raises ``LedgerUnavailableError`` for other files.
    """
    if is_current(db, path):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        for statements in MIGRATIONS[_version(db, path) :]:
            for statement in statements:
                db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def is_current(db: sqlite3.Connection, path: str) -> bool:
    """Whether the tables are of this version. Raises ``LedgerUnavailableError`` for other files."""
    return _version(db, path) == len(MIGRATIONS)


def _version(db: sqlite3.Connection, path: str) -> int:
    """Return the version of the tables, 0 for an empty file."""
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if application == APPLICATION_ID:
        if version > len(MIGRATIONS):
            raise LedgerUnavailableError(
                f"`{path}` was written by a newer version of costlens-policy (tables {version}, this one knows "
                f"{len(MIGRATIONS)}); upgrade costlens-policy here"
            )
        return int(version)
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application or version or tables:
        raise LedgerUnavailableError(f"`{path}` is a database of another program; name another file for the ledger")
    return 0
