"""Whether reserving and settling stay as fast when the history grows.

``python -m benchmarks.ledger_growth [STORE …] [ENTRIES …]`` The history is written past the ledger, as earlier calls
would have left it, since ten million calls take a while; in Redis, which keeps all of it in memory, by the ledger.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from benchmarks.ledger import measure
from costlens_policy.ledger import Account, Charge, Period, Settlement, open_ledger
from costlens_policy.ledger.laws.build import NOW
from tests.ledger.servers import postgresql_server, redis_server

__all__ = ["main"]

_SIZES = (10_000, 200_000)
_ACCOUNT = Account("bench/history", "team", "usd", Period("lifetime"))

Fill = Callable[[int, int], None]
"""Adds the entries from one number to another."""


@contextmanager
def _sqlite() -> Iterator[tuple[str, Fill]]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        _first(f"sqlite:///{path}")
        db = sqlite3.connect(path)

        def fill(first: int, last: int) -> None:
            calls = ((f"old/{number}", number) for number in range(first, last))
            db.executemany(
                "INSERT INTO calls (id, reserved_at, lines, facts, settled_at, late, charged)"
                " VALUES (?, ?, '[]', '{}', 0, 0, '[]')",
                calls,
            )
            entries = ((number, number, number) for number in range(first, last))
            db.executemany(
                "INSERT INTO entries (at, clock, kind, source, account, high, low, held_high, held_low)"
                " VALUES (?, ?, 'charge', ?, 1, 0, 7, 0, 0)",
                entries,
            )
            db.commit()

        yield f"sqlite:///{path}", fill
        db.close()


@contextmanager
def _redis() -> Iterator[tuple[str, Fill]]:
    with redis_server() as server:
        store = open_ledger(server.url("growth"))

        def fill(first: int, last: int) -> None:
            for number in range(first, last):
                store.charge(Settlement(f"old/{number}", (Charge(_ACCOUNT, 7),), NOW))

        yield server.url("growth"), fill
        store.close()


@contextmanager
def _postgresql() -> Iterator[tuple[str, Fill]]:
    with postgresql_server(durable=True) as server, psycopg.connect(server.address, autocommit=True) as connection:
        _first(server.url("growth"))

        def fill(first: int, last: int) -> None:
            connection.execute(
                "INSERT INTO growth.calls (id, reserved_at, lines, facts, settled_at, late, charged)"
                " SELECT 'old/' || n, n, '[]', '{}', 0, false, '[]' FROM generate_series(%s::bigint, %s) AS n",
                (first, last - 1),
            )
            connection.execute(
                "INSERT INTO growth.entries (at, kind, source, account, amount, was_held)"
                " SELECT n, 'charge', n, 1, 7, 0 FROM generate_series(%s::bigint, %s) AS n",
                (first, last - 1),
            )
            connection.execute("VACUUM ANALYZE")

        yield server.url("growth"), fill


def _first(url: str) -> None:
    """Make the ledger and its first account."""
    store = open_ledger(url)
    store.charge(Settlement("first", (Charge(_ACCOUNT, 7),), NOW))
    store.close()


_STORES = {"sqlite": _sqlite, "redis": _redis, "postgresql": _postgresql}


def main(stores: tuple[str, ...], sizes: tuple[int, ...]) -> None:
    for name in stores:
        with _STORES[name]() as (url, fill):
            filled = 0
            for size in sizes:
                fill(filled, size)
                filled = size
                found = measure(f"{name}/{size}", url, None, budgets=1, calls=2_000 if name == "redis" else 300)
                times = f"reserve {found.reserve_p50:>9,.1f} µs, settle {found.settle_p50:>9,.1f} µs"
                print(f"{name:<12}{size:>12,} entries: {times}")  # noqa: T201 (a report)


if __name__ == "__main__":
    chosen = tuple(name for name in _STORES if name in sys.argv)
    main(chosen or tuple(_STORES), tuple(int(size) for size in sys.argv[1:] if size.isdigit()) or _SIZES)
