"""How long reserving and settling take in each store, against the bare round trip of that store in the same run.

``python -m benchmarks.ledger [--quick] [--json]``. It starts servers of its own on free ports of 127.0.0.1, and stops
them. SQLite and PostgreSQL write to a disk and wait for it; Redis keeps nothing on disk. The bare round trips are the
insertion of a row, a script that increments a number, and ``UPDATE … RETURNING``.
"""

from __future__ import annotations

import gc
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import redis

from benchmarks.section import Cell, Section, run_section
from costlens_policy.carry_over import CarryOver
from costlens_policy.ledger import Account, Charge, Hold, HoldLine, Period, Settlement, Store, open_ledger
from costlens_policy.ledger.laws.carrying import carry_line, window
from tests.ledger.servers import postgresql_server, redis_server

__all__ = ["Figures", "measure", "section"]

_NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
_LEASE = timedelta(minutes=5)
_ROUNDS = 20
_WINDOWS = (4, 1_000)
_COLUMNS = (
    "store, budgets", "pairs/s", "reserve p50", "reserve p99", "settle p50", "settle p99", "bare p50", "bare p99",
    "ratio",
)  # fmt: skip


@dataclass(frozen=True)
class Figures:
    """Times in microseconds. A pair is a reservation and its settlement; ``ratio`` is half of its to the bare p50."""

    store: str
    budgets: int | str
    pairs_per_second: float
    reserve_p50: float
    reserve_p99: float
    settle_p50: float
    settle_p99: float
    bare_p50: float | None
    bare_p99: float | None

    @property
    def ratio(self) -> float | None:
        return None if self.bare_p50 is None else (self.reserve_p50 + self.settle_p50) / 2 / self.bare_p50

    def row(self) -> tuple[Cell, ...]:
        times = self.reserve_p50, self.reserve_p99, self.settle_p50, self.settle_p99, self.bare_p50, self.bare_p99
        return f"{self.store}, {self.budgets}", round(self.pairs_per_second), *times, self.ratio


def measure(name: str, url: str, bare: Callable[[], object] | None, budgets: int, calls: int) -> Figures:
    """Reserve and settle in turn with bare round trips, so that whatever else runs slows all of them."""
    store = open_ledger(url)
    accounts = [Account(f"bench/budget-{number}", "team", "usd", Period("lifetime")) for number in range(budgets)]
    lines = tuple([HoldLine(account, 10, 10**20) for account in accounts])
    found = _measure(store, f"{name}/{budgets}", bare, lines, calls)
    store.close()
    return Figures(name, budgets, *found)


def measure_carrying(name: str, url: str, bare: Callable[[], object] | None, windows: int, calls: int) -> Figures:
    """Measure one budget that carries over for three periods, after some windows were used; see ``measure``."""
    store, key = open_ledger(url), f"after {windows}"
    for number in range(windows):
        store.charge(Settlement(f"{key}/{number}", (Charge(window(number, key), 7),), _NOW))
    line = carry_line(windows, 10, 10**20, CarryOver(Decimal("0.5"), Decimal(10**21), 3, None), key)
    found = _measure(store, f"{name}/{key}", bare, (line,), calls)
    store.close()
    return Figures(name, f"1 carrying over, window {windows:,}", *found)


def _measure(
    store: Store, name: str, bare: Callable[[], object] | None, lines: tuple[HoldLine, ...], calls: int
) -> tuple[Any, ...]:
    reserve, settle, bares = [], [], []
    for round_number in range(_ROUNDS):
        ids = [f"{name}/{round_number}/{number}" for number in range(calls // _ROUNDS)]
        reserve += _times(store.reserve, [Hold(id, lines, _NOW, _LEASE) for id in ids])
        settle += _times(store.settle, [_settlement(id, [line.account for line in lines]) for id in ids])
        if bare is not None:
            bares += _times(lambda _: bare(), ids)
    pairs = 1e6 / (statistics.mean(reserve) + statistics.mean(settle))
    return pairs, *_quantiles(reserve), *_quantiles(settle), *(_quantiles(bares) if bares else (None, None))


def _settlement(id: str, accounts: list[Account]) -> Settlement:
    return Settlement(id, tuple([Charge(account, 7) for account in accounts]), _NOW)


def _times(operation: Callable[[Any], object], arguments: list[Any]) -> list[float]:
    """Return how long each call took, in microseconds."""
    clock, found = time.perf_counter, []
    gc.collect()
    for argument in arguments:
        start = clock()
        operation(argument)
        found.append((clock() - start) * 1e6)
    return found


def _quantiles(times: list[float]) -> tuple[float, float]:
    ordered = sorted(times)
    return ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]


@contextmanager
def _sqlite() -> Iterator[tuple[str, Callable[[], object]]]:
    with TemporaryDirectory() as folder:
        path = Path(folder)
        db = sqlite3.connect(path / "bare.db", isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE bare (id INTEGER PRIMARY KEY, text TEXT)")
        yield f"sqlite:///{path}/ledger.db", lambda: db.execute("INSERT INTO bare (text) VALUES (?)", ("x" * 100,))
        db.close()


@contextmanager
def _redis() -> Iterator[tuple[str, Callable[[], object]]]:
    with redis_server() as server:
        client = redis.Redis(port=server.port, decode_responses=True)
        script = client.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
        yield server.url("bench"), lambda: script(keys=["bare"], args=[1])
        client.close()


@contextmanager
def _postgresql() -> Iterator[tuple[str, Callable[[], object]]]:
    with postgresql_server(durable=True) as server, psycopg.connect(server.address, autocommit=True) as connection:
        connection.execute("CREATE TABLE bare (id integer PRIMARY KEY, used numeric)")
        connection.execute("INSERT INTO bare VALUES (1, 0)")
        statement = "UPDATE bare SET used = used + %s WHERE id = 1 RETURNING used"
        yield server.url("bench"), lambda: connection.execute(statement, (7,)).fetchone()


_SERVED = {"sqlite": (_sqlite, 400), "redis": (_redis, 4_000), "postgresql": (_postgresql, 1_000)}


def section(*, quick: bool) -> Section:
    part = 4 if quick else 1
    found = [measure("memory", "memory:", None, budgets, 40_000 // part) for budgets in (1, 4)]
    found += [measure_carrying("memory", "memory:", None, windows, 40_000 // part) for windows in _WINDOWS]
    for name, (serve, calls) in _SERVED.items():
        with serve() as (url, bare):
            found += [measure(name, url, bare, budgets, calls // part) for budgets in (1, 4)]
            found += [measure_carrying(name, url, bare, windows, calls // part) for windows in _WINDOWS]
    notes = (
        "ratio: the middle of reserve and settle to the bare round trip; to reach are 1.5 for one budget, 2 for four,"
        " and in memory 10 µs for each",
        "carrying over: half of what three windows left, in the fifth window of a budget and in one after many",
    )
    title = "ledger: wall-clock microseconds to reserve and to settle, by store and number of budgets"
    return Section("ledger", title, _COLUMNS, tuple(figures.row() for figures in found), notes)


if __name__ == "__main__":
    sys.exit(run_section("ledger", section, sys.argv[1:]))
