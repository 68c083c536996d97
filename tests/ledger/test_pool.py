"""Connections are lent, taken back, bounded in number, and made anew for ever."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from costlens_policy.ledger import LedgerBusyError, LedgerError
from costlens_policy.ledger import pool as pools
from costlens_policy.ledger.pool import Pool


class Connection:
    """Counts itself while it is open."""

    open = 0
    most = 0
    made = 0

    def __init__(self) -> None:
        cls = type(self)
        cls.open += 1
        cls.made += 1
        cls.most = max(cls.most, cls.open)

    def close(self) -> None:
        type(self).open -= 1


class TooManyError(Exception):
    """What a server answers that has no connection left."""


@pytest.fixture
def kind() -> type[Connection]:
    return type("Counted", (Connection,), {"open": 0, "most": 0, "made": 0})


def pool_of(kind: type[Connection], most: int = 2, patience: float = 5.0) -> Pool[Connection]:
    return Pool(kind, most, patience, lambda error: isinstance(error, TooManyError))


def test_a_connection_that_came_back_is_lent_again(kind: type[Connection]) -> None:
    pool = pool_of(kind)
    for _ in range(5):
        with pool.connection():
            pass
    assert (kind.made, kind.open) == (1, 1)


def test_broken_connections_are_replaced_for_ever(kind: type[Connection]) -> None:
    pool = pool_of(kind)
    for _ in range(300):
        with pytest.raises(OSError, match="cut"), pool.connection():
            raise OSError("cut")
    assert (kind.made, kind.open) == (300, 0)
    with pool.connection():
        pass


def test_an_error_of_the_ledger_leaves_the_connection_whole(kind: type[Connection]) -> None:
    pool = pool_of(kind)
    for _ in range(3):
        with pytest.raises(LedgerError), pool.connection():
            raise LedgerError("no")
    assert kind.made == 1


def test_a_crowd_shares_few_connections(kind: type[Connection]) -> None:
    pool, together = pool_of(kind, most=3), threading.Barrier(60)

    def work(number: int) -> None:
        together.wait(20)
        for turn in range(10):
            try:
                with pool.connection():
                    if (number + turn) % 7 == 0:
                        raise OSError("cut")
            except OSError:
                pass

    with ThreadPoolExecutor(60) as threads:
        list(threads.map(work, range(60)))
    assert kind.most <= 3
    assert pool._process.made == kind.open == len(pool._process.idle)


def test_waiting_ends(kind: type[Connection]) -> None:
    pool = pool_of(kind, most=1, patience=0.05)
    with (
        pool.connection(),
        pytest.raises(LedgerBusyError, match=r"all 1 connections .* in use for 0.05 s"),
        pool.connection(),
    ):
        pass
    with pool.connection():
        pass


def test_a_full_server_is_waited_for_by_who_has_other_connections() -> None:
    made: list[Connection] = []

    def connect() -> Connection:
        if made:
            raise TooManyError
        made.append(Connection())
        return made[0]

    pool = Pool(connect, 8, 5.0, lambda error: isinstance(error, TooManyError))

    def work(_: int) -> Connection:
        with pool.connection() as connection:
            time.sleep(0.01)
            return connection

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(work, range(12))) == {made[0]}


def test_a_full_server_is_an_error_for_who_has_none() -> None:
    def connect() -> Connection:
        raise TooManyError

    pool = Pool(connect, 8, 5.0, lambda error: isinstance(error, TooManyError))
    for _ in range(20):
        with pytest.raises(TooManyError), pool.connection():
            pass


def test_a_connection_that_was_idle_for_long_is_made_anew(
    kind: type[Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = pool_of(kind)
    with pool.connection() as first:
        pass
    monkeypatch.setattr(pools, "_LONGEST_IDLE", 0.0)
    with pool.connection() as second:
        assert second is not first
    assert (kind.made, kind.open) == (2, 1)
