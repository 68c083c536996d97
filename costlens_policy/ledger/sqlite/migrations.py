"""The tables, as steps from each version of them to the next. A step that was released never changes."""

from __future__ import annotations

import sqlite3
from typing import Final

from costlens_policy.ledger.errors import LedgerUnavailableError

__all__ = ["APPLICATION_ID", "MIGRATIONS", "is_current", "migrate"]

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

MIGRATIONS: Final = (_ACCOUNTS_AND_CALLS, _ADJUSTMENTS, _ALERTS, _CLOCKS, _THRESHOLDS)


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
