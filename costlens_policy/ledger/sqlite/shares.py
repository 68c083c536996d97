"""What is set aside on accounts of the file for the shares of others."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from costlens_policy.ledger.account import lease_end
from costlens_policy.ledger.amounts import MICROSECOND, SECOND, join_limbs, split_limbs
from costlens_policy.ledger.calls import json_text
from costlens_policy.ledger.shares import Draw
from costlens_policy.ledger.sqlite.accounts import AccountRow, load_account_by_id

__all__ = ["ShareRow", "begin_share", "end_shares", "find_share", "set_aside_at", "share_at"]

_COLUMNS: Final = "parent, end, generation, high, low, lease, ends"
_ALIVE: Final = """FROM shares AS s JOIN ends AS e
    ON e.account = s.parent AND e.second = s.end AND e.generation = s.generation AND s.end > ?"""


class ShareRow:
    """What is ``left`` of the share that an account has of another one, which holds it until ``end``."""

    __slots__ = ("_db", "_lease", "end", "ends", "generation", "left", "owner", "parent")

    def __init__(self, db: sqlite3.Connection, owner: int, row: Any) -> None:
        self._db = db
        self.owner = owner
        self.parent, self.end, self.generation, high, low, self._lease, ends = row
        self.left = join_limbs(high, low)
        self.ends: list[str] = json.loads(ends)

    def lives(self, of: AccountRow, now: int) -> bool:
        """Whether the share is one of that account, which is right for ``now``, and has not ended."""
        return self.parent == of.id and now < self.end * SECOND and of.counts(self.end, self.generation)

    def put(self, of: AccountRow, left: int, now: int) -> None:
        """Let so much be left of a share that lives, and its lease begin anew."""
        end = max(self.end, lease_end(now, timedelta(microseconds=self._lease)))
        if end == self.end:
            of.unhold(self.left - left, end, self.generation)
        else:
            of.unhold(self.left, self.end, self.generation)
            of.hold(left, end)
            self.end, self.generation = end, of.generation
        self.left = left
        self._db.execute(
            "UPDATE shares SET end = ?, generation = ?, high = ?, low = ? WHERE account = ?",
            (self.end, self.generation, *split_limbs(left), self.owner),
        )


def find_share(db: sqlite3.Connection, owner: int | None, of: AccountRow, now: int) -> ShareRow | None:
    """Return the share that an account has of another one, which is right for ``now``; None where none lives."""
    row = db.execute(f"SELECT {_COLUMNS} FROM shares WHERE account = ?", (owner,)).fetchone()
    share = None if row is None or owner is None else ShareRow(db, owner, row)
    return share if share is not None and share.lives(of, now) else None


def begin_share(db: sqlite3.Connection, draw: Draw, accounts: Sequence[AccountRow], now: int) -> None:
    """Set aside what is left of a share once its first call is held, for which accounts are in the file.

    One that lives on another account, as a rule that of another period, ends there.
    """
    share, of, owner = draw.share, accounts[draw.of], accounts[draw.place].enter()
    row = db.execute(f"SELECT {_COLUMNS} FROM shares WHERE account = ?", (owner,)).fetchone()
    if row is not None and row[0] != of.id:
        known = next((account for account in accounts if account.id == row[0]), None)
        _give_back(ShareRow(db, owner, row), known or load_account_by_id(db, row[0]), now)
    end = lease_end(now, share.lease)
    of.hold(draw.left, end)
    values = of.id, end, of.generation, *split_limbs(draw.left), share.lease // MICROSECOND, json_text(share.ends)
    db.execute(f"INSERT OR REPLACE INTO shares (account, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (owner, *values))
    db.executemany("INSERT OR IGNORE INTO share_ends VALUES (?, ?)", [(call, owner) for call in share.ends])


def end_shares(db: sqlite3.Connection, call: str, now: int) -> None:
    """Give back what is left of the shares that a call ends."""
    ended = db.execute("DELETE FROM share_ends WHERE call = ? RETURNING account", (call,)).fetchall()
    for (owner,) in ended:
        row = db.execute(f"SELECT {_COLUMNS} FROM shares WHERE account = ?", (owner,)).fetchone()
        share = None if row is None else ShareRow(db, owner, row)
        if share is not None and call in share.ends:
            _give_back(share, load_account_by_id(db, share.parent), now)
            db.execute("DELETE FROM shares WHERE account = ?", (owner,))


def _give_back(share: ShareRow, of: AccountRow, now: int) -> None:
    of.move(now)
    of.unhold(share.left, share.end, share.generation)
    of.save()


def set_aside_at(db: sqlite3.Connection, account: int | None, second: int) -> int:
    """Return what an account has set aside for shares, changing nothing."""
    rows = db.execute(f"SELECT s.high, s.low {_ALIVE} WHERE s.parent = ?", (second, account))
    return sum(join_limbs(high, low) for high, low in rows)


def share_at(db: sqlite3.Connection, account: int | None, second: int) -> int | None:
    """Return what is left of the share of an account, changing nothing; None where it has none."""
    row = db.execute(f"SELECT s.high, s.low {_ALIVE} WHERE s.account = ?", (second, account)).fetchone()
    return None if row is None else join_limbs(*row)
