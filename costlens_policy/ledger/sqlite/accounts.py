"""One account of the file, as a row that is read, changed and written back inside a transaction."""

from __future__ import annotations

import json
import sqlite3
from typing import Any, Final

from costlens_policy.ledger.account import (
    Account,
    bucket_width,
    clocks_after,
    forgotten_buckets,
    forgotten_windows,
    length_of,
    period_of,
    span_of,
    used_in_window,
    window_at,
)
from costlens_policy.ledger.adjustments import Adjustment
from costlens_policy.ledger.amounts import LIMB, SECOND, join_limbs, split_limbs

__all__ = ["ACCOUNT_COLUMNS", "AccountRow", "account_of", "load_account", "load_account_by_id"]

ACCOUNT_COLUMNS: Final = "a.budget, a.key, a.unit, a.period, a.starts_at, a.resets_at, a.rolling"
_COLUMNS: Final = "id, used_high, used_low, held_high, held_low, generation, next_end, bucket, clocks"
_ADD_END: Final = f"""
    INSERT INTO ends (account, second, generation, high, low) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (account, second, generation) DO UPDATE SET
        high = high + excluded.high + (low + excluded.low) / {LIMB}, low = (low + excluded.low) % {LIMB}"""
_TAKE_END: Final = f"""
    UPDATE ends SET high = high + ?1 + (low + ?2) / {LIMB}, low = (low + ?2) % {LIMB}
    WHERE account = ?3 AND second = ?4 AND generation = ?5"""
_ADD_BUCKET: Final = f"""
    INSERT INTO buckets (account, bucket, high, low) VALUES (?, ?, ?, ?)
    ON CONFLICT (account, bucket) DO UPDATE SET
        high = high + excluded.high + (low + excluded.low) / {LIMB}, low = (low + excluded.low) % {LIMB}"""


class AccountRow:
    """Counters of one account, right for the time given to ``move``. ``id`` is None until it is in the file."""

    __slots__ = (
        "_bucket", "_changed", "_clocks", "_db", "_length", "_next_end", "_width", "account", "generation", "held",
        "id", "used",
    )  # fmt: skip

    def __init__(self, db: sqlite3.Connection, account: Account, row: Any = None) -> None:
        self._db = db
        self.account = account
        self._width = 0 if account.period.rolling is None else bucket_width(account.period.rolling)
        self._length = length_of(account.period)
        self._changed = False
        self.id: int | None = None
        self.used = self.held = self.generation = 0
        self._next_end: int | None = None
        self._bucket: int | None = None
        """The current bucket, or when the window from first use began that is in force."""
        self._clocks = "[]"
        if row is not None:
            self.id, used_high, used_low, held_high, held_low, self.generation, self._next_end, *window = row
            self._bucket, self._clocks = window
            self.used = join_limbs(used_high, used_low)
            self.held = join_limbs(held_high, held_low)

    @property
    def windowed(self) -> bool:
        """Whether the window is one from first use."""
        return self._length > 0

    @property
    def taken(self) -> int:
        """What it has used and holds."""
        return self.used + self.held

    @property
    def shown(self) -> Account:
        """The account with its window as it is in force."""
        return self.account.begun(self._bucket) if self._length else self.account

    def shown_at(self, now: int) -> Account:
        """Return the account with its window as it is at ``now``, changing nothing."""
        return self.account.begun(self._window_at(now)) if self._length else self.account

    def move(self, now: int) -> None:
        """Free what has expired, and make a window that of ``now``, in microseconds."""
        if self._next_end is not None and now >= self._next_end * SECOND:
            self._free(now // SECOND)
        if self._width and now // self._width != self._bucket:
            self._roll(now // self._width)
        elif self._length:
            self._enter_window(now)

    def begin(self, now: int) -> None:
        """Begin a window from first use, unless one is in force."""
        if not self._length or self._bucket is not None:
            return
        self._db.execute(_ADD_BUCKET, (self.enter(), now, 0, 0))
        self._bucket, self.used, self._changed = now, 0, True
        gone = [(self.id, start) for start in forgotten_windows(self._buckets(), now)]
        self._db.executemany("DELETE FROM buckets WHERE account = ? AND bucket = ?", gone)

    def enter(self) -> int:
        """Put the account into the file if it is new there; return its id."""
        if self.id is None:
            account, period = self.account, self.account.period
            span = span_of(period)[:3]
            inserted = self._db.execute(
                "INSERT INTO accounts (name, budget, key, unit, period, starts_at, resets_at, rolling, bucket, clocks,"
                " used_high, used_low, held_high, held_low, generation)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0, 0)",
                (account.name, account.budget, account.key, account.unit, period.id, *span, *self._window),
            )
            self.id = inserted.lastrowid
        assert self.id is not None
        return self.id

    def hold(self, amount: int, second: int) -> None:
        self._db.execute(_ADD_END, (self.enter(), second, self.generation, *split_limbs(amount)))
        self.held += amount
        self._next_end = second if self._next_end is None else min(self._next_end, second)
        self._changed = True

    def unhold(self, amount: int, second: int, generation: int) -> bool:
        """Give back what was held until ``second``; False where that has been freed already."""
        taken = self._db.execute(_TAKE_END, (*split_limbs(-amount), self.id, second, generation))
        if not taken.rowcount:
            return False
        self.held -= amount
        self._changed = True
        return True

    def counts(self, second: int, generation: int) -> bool:
        """Whether what was held until ``second`` has not been freed."""
        place = (self.id, second, generation)
        found = self._db.execute("SELECT 1 FROM ends WHERE account = ? AND second = ? AND generation = ?", place)
        return found.fetchone() is not None

    def charge(self, amount: int, at: int) -> None:
        if self._length:
            self._charge_window(amount, at)
            return
        self.used += amount
        self._changed = True
        if self._width:
            self._db.execute(_ADD_BUCKET, (self.enter(), at // self._width, *split_limbs(amount)))

    def set(self, amount: int, now: int) -> int:
        """Make the amount what is used; return the difference."""
        difference = amount - self.used
        if self._length:
            self._charge_window(difference, now)
            return difference
        self.used = amount
        self._changed = True
        if self._width:
            self._db.execute("DELETE FROM buckets WHERE account = ?", (self.enter(),))
            self._db.execute(_ADD_BUCKET, (self.id, now // self._width, *split_limbs(amount)))
        return difference

    def correct(self, correction: Adjustment, now: int) -> None:
        """Add what a correction adds, or take away what it takes: the rest of a rolling window then counts from now."""
        used = correction.corrected(self.used)
        if correction.amount >= 0:
            self.charge(correction.amount, now)
        else:
            self.set(used, now)

    def save(self) -> None:
        """Write back what has changed."""
        if self._changed:
            limbs = *split_limbs(self.used), *split_limbs(self.held)
            self._db.execute(
                "UPDATE accounts SET used_high = ?, used_low = ?, held_high = ?, held_low = ?,"
                " generation = ?, next_end = ?, bucket = ?, clocks = ? WHERE id = ?",
                (*limbs, self.generation, self._next_end, *self._window, self.enter()),
            )
            self._changed = False

    def at(self, now: int) -> tuple[int, int]:
        """Return used and held at ``now``, changing nothing."""
        if self.id is None:
            return 0, 0
        return self._used_at(now), self.held - self._passed(now // SECOND)

    def next_end(self, second: int) -> int | None:
        """Return when the next hold after a second ends, changing nothing."""
        found = self._db.execute(
            "SELECT min(second) FROM ends WHERE account = ? AND second > ? AND (high > 0 OR low > 0)", (self.id, second)
        )
        first: int | None = found.fetchone()[0]
        return first

    def _free(self, second: int) -> None:
        self.held -= self._passed(second)
        self._db.execute("DELETE FROM ends WHERE account = ? AND second <= ?", (self.id, second))
        (self._next_end,) = self._db.execute("SELECT min(second) FROM ends WHERE account = ?", (self.id,)).fetchone()
        self.generation += 1
        self._changed = True

    @property
    def _window(self) -> tuple[int | None, str]:
        return self._bucket, self._clocks

    def _roll(self, bucket: int) -> None:
        known: list[int] = json.loads(self._clocks)
        if not known and self._bucket is not None:
            known = [self._bucket]  # the file is older than its clocks
        clocks = clocks_after(known, bucket)
        self._bucket, self._clocks = bucket, json.dumps(clocks)
        self._changed = self.id is not None
        if self.id is not None:
            buckets = self._buckets()
            gone = [(self.id, index) for index in forgotten_buckets(buckets, clocks)]
            self._db.executemany("DELETE FROM buckets WHERE account = ? AND bucket = ?", gone)
            self.used = used_in_window(buckets, bucket)

    def _passed(self, second: int) -> int:
        passed = self._db.execute("SELECT high, low FROM ends WHERE account = ? AND second <= ?", (self.id, second))
        return sum(join_limbs(high, low) for high, low in passed)

    def _used_at(self, now: int) -> int:
        if self._length:
            start = self._window_at(now)
            return 0 if start is None else self._buckets()[start]
        return used_in_window(self._buckets(), now // self._width) if self._width else self.used

    def _window_at(self, now: int) -> int | None:
        return None if self.id is None else window_at(self._buckets(), self._length, now)

    def _enter_window(self, now: int) -> None:
        """Count in the window from first use that is in force at ``now``."""
        if self._bucket is not None and self._bucket <= now < self._bucket + self._length:
            return
        start = self._window_at(now)
        if start != self._bucket:
            self._bucket, self.used = start, 0 if start is None else self._buckets()[start]
            self._changed = self.id is not None

    def _charge_window(self, amount: int, at: int) -> None:
        self._changed = True
        if amount:
            self._enter_window(at)
            self.begin(at)
            self._db.execute(_ADD_BUCKET, (self.id, self._bucket, *split_limbs(amount)))
            self.used += amount

    def _buckets(self) -> dict[int, int]:
        rows = self._db.execute("SELECT bucket, high, low FROM buckets WHERE account = ?", (self.id,))
        return {index: join_limbs(high, low) for index, high, low in rows}


def load_account(db: sqlite3.Connection, account: Account) -> AccountRow:
    """Return the account's row, or an empty one that is not in the file yet."""
    row = db.execute(f"SELECT {_COLUMNS} FROM accounts WHERE name = ?", (account.name,)).fetchone()
    return AccountRow(db, account, row)


def load_account_by_id(db: sqlite3.Connection, id: int) -> AccountRow:
    row = db.execute(f"SELECT {ACCOUNT_COLUMNS}, {_COLUMNS} FROM accounts AS a WHERE id = ?", (id,)).fetchone()
    return AccountRow(db, account_of(row[:7]), row[7:])


def account_of(row: Any) -> Account:
    """Return the account of ``ACCOUNT_COLUMNS``."""
    budget, key, unit, period, *span = row
    return Account(budget, key, unit, period_of(period, *span))
