"""A long history makes nothing slower, of runs and their shares neither: SQLite takes as many steps as without."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from costlens_policy.ledger import EntryQuery, ReservationQuery, Share
from costlens_policy.ledger.laws.build import NOW, account, hold, hold_lines, settlement, settlement_lines
from costlens_policy.ledger.sqlite import SQLiteStore

TEAM = account()
RUN = account("agents/share", "fix/search")
LONG_AGO = NOW.replace(year=2020)


def steps(store: SQLiteStore, number: int) -> int:
    """Return how many instructions of SQLite a call and the reading of some pages take."""
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return 0

    with store._file.reading() as db:
        db.set_progress_handler(count, 1)
    store.reserve(hold(f"{number}", TEAM, 1, 10**9))
    store.settle(settlement(f"{number}", TEAM, 1))
    of_run = hold_lines(f"run {number}", (TEAM, 1, 10**9), (RUN, 1, 10**6))
    ends = ("end of fix", "end of fix/search")
    store.reserve(replace(of_run, unless=ends, shares=(Share(RUN, TEAM, timedelta(hours=1), ends),)))
    store.settle(settlement_lines(f"run {number}", (TEAM, 1), (RUN, 1)))
    store.void(f"end of run {number}", NOW)
    store.balances([TEAM, RUN], NOW)
    store.entries(EntryQuery(since=NOW, limit=1))
    store.entries(EntryQuery(account=TEAM, newest_first=True, limit=1))
    store.entries(EntryQuery(call=f"{number}"))
    store.reservations(ReservationQuery(), NOW)
    with store._file.reading() as db:
        db.set_progress_handler(None, 1)
    return taken


def test_a_call_takes_as_many_steps_after_a_long_history(quick_folder: Path) -> None:
    path = quick_folder / "growth.db"
    store = SQLiteStore(str(path))
    steps(store, 0)
    few = steps(store, 1)
    add_history(path, 20_000)
    assert steps(store, 2) <= few * 1.1


def add_history(path: Path, calls: int) -> None:
    """Write calls that were settled and calls whose client never came back, as if they had been made long ago."""
    db = sqlite3.connect(path)
    at = int(LONG_AGO.timestamp())
    db.executemany(
        "INSERT INTO calls (id, reserved_at, end, lines, facts, settled_at, late, charged)"
        " VALUES (?, ?, ?, '[]', '{}', ?, 0, '[]')",
        ((f"old {number}", at, at, None if number % 2 else at) for number in range(calls)),
    )
    db.executemany(  # shares of runs whose processes never came back, and the calls that would have ended them
        "INSERT INTO shares (account, parent, end, generation, high, low, lease, ends)"
        " VALUES (?, 1, ?, 0, 0, 9, 1, '[]')",
        ((1000 + number, at) for number in range(calls)),
    )
    ends = ((f"end {number}", 1000 + number) for number in range(calls))
    db.executemany("INSERT INTO share_ends VALUES (?, ?)", ends)
    db.executemany(
        "INSERT INTO entries (id, at, clock, kind, source, account, high, low, held_high, held_low)"
        " VALUES (?, ?, ?, 'charge', 1, 1, 0, 0, 0, 0)",
        ((-number, at, at) for number in range(1, calls)),
    )
    db.commit()
    db.close()
