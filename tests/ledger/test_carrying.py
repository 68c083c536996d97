"""Carrying over: all stores as the one function says, with whatever people grant; processes that are killed; growth.

``COSTLENS_SOAK=1`` tries more examples, and kills more processes.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from costlens_policy.carry_over import CarryOver
from costlens_policy.ledger import Adjustment, AdjustmentError, Held, Hold, MemoryStore, Refused, Store
from costlens_policy.ledger.account import lease_end
from costlens_policy.ledger.amounts import LIMB, MAX_LIMIT, micros
from costlens_policy.ledger.laws.build import NOW, settlement
from costlens_policy.ledger.laws.carrying import carry_line, check_carried, keep_the_rule, window
from costlens_policy.ledger.postgresql import PostgreSQLStore
from costlens_policy.ledger.postgresql.store import _asked
from costlens_policy.ledger.redis import RedisStore
from costlens_policy.ledger.sqlite import SQLiteStore
from tests.ledger.conftest import SHARED_KINDS
from tests.ledger.crowd import PROCESSES, carry_until_killed

SOAK = bool(os.environ.get("COSTLENS_SOAK"))
MINUTE = timedelta(minutes=1)

_numbers = count()

AMOUNTS = st.one_of(st.integers(0, 150), st.integers(0, 3 * LIMB), st.integers(0, 10**26))
WINDOWS = st.integers(0, 6)
STEPS = st.one_of(
    st.tuples(st.just("charge"), WINDOWS, AMOUNTS, WINDOWS),
    st.tuples(st.just("hold"), WINDOWS, AMOUNTS, st.integers(1, 200)),
    st.tuples(st.sampled_from(["topup", "override", "revoke"]), WINDOWS, AMOUNTS, st.integers(1, 240)),
    st.tuples(st.just("reserve"), WINDOWS, AMOUNTS, WINDOWS),
)
RULES = st.builds(
    CarryOver,
    st.builds(lambda millionths: Decimal(millionths) / 1_000_000, st.integers(1, 1_000_000)),
    AMOUNTS.map(Decimal) | st.just(Decimal(MAX_LIMIT)),
    st.integers(1, 4),
    st.sampled_from([None, NOW + 2 * MINUTE]),
)


def live(store: Store, steps: list[Any], rule: CarryOver, limit: int, prefix: str) -> list[Any]:
    """Do steps, and return what the ledger answers."""
    answers: list[Any] = []
    for number, (what, place, amount, more) in enumerate(steps):
        id, now, of = f"{prefix}/{number}", NOW + place * MINUTE, window(place, prefix)
        if what == "charge":
            store.charge(settlement(id, of, amount, now))
        elif what == "hold":
            line = carry_line(place, amount, None, rule, prefix)
            answers.append(store.reserve(Hold(id, (line,), now, timedelta(seconds=more))))
        elif what == "reserve":
            line = carry_line(place, amount, limit, rule, prefix)
            answers.append(store.reserve(Hold(id, (line,), now + timedelta(seconds=9 * more), MINUTE)))
        else:
            until = now + timedelta(seconds=more) if what == "override" else None
            try:
                answers.append(store.adjust(Adjustment(id, what, of, amount, "ann", "a test", now, until)))
            except AdjustmentError as error:
                answers.append(str(error))
    return answers


@pytest.mark.parametrize("ledger_url", SHARED_KINDS, indirect=True)
def test_every_store_does_what_the_one_function_says(store: Store) -> None:
    """The ledger in memory asks that function; each other has another form of it, or other ways to what it needs."""

    @settings(max_examples=600 if SOAK else 30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(STEPS, min_size=4, max_size=14), RULES, AMOUNTS)
    def law(steps: list[Any], rule: CarryOver, limit: int) -> None:
        prefix = f"{next(_numbers)}"
        assert live(store, steps, rule, limit, prefix) == live(MemoryStore(), steps, rule, limit, prefix)

    law()


@pytest.mark.skipif(not SOAK, reason="the short form is a law of every store")
def test_any_clocks_keep_the_rule_for_long(store: Store) -> None:
    keep_the_rule(store, examples=2_000)


@pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)
def test_a_hold_waits_for_one_on_another_window_that_is_not_committed(store: Store) -> None:
    """Neither would see the other, and both would spend what the first window left."""
    assert isinstance(store, PostgreSQLStore)
    store.charge(settlement("a", window(0), 60, NOW))
    ahead = Hold("b", (carry_line(1, 130),), NOW + MINUTE, MINUTE)
    asked = (ahead.call, micros(ahead.now), lease_end(micros(ahead.now), MINUTE), "{}", _asked(ahead.lines))
    behind = Hold("c", (carry_line(0, 20),), NOW, MINUTE)
    with ThreadPoolExecutor(1) as pool:

        def hold_both(connection: psycopg.Connection[Any]) -> Held | Refused:
            with connection.transaction():
                connection.execute(store._database.sql("SELECT @ledger.reserve(%s, %s, %s, %s, %s)"), asked)
                second = pool.submit(store.reserve, behind)
                time.sleep(0.2)  # enough for one that does not wait
            return second.result()

        assert isinstance(store._database.run(hold_both), Refused)


@pytest.mark.parametrize("ledger_url", SHARED_KINDS, indirect=True)
def test_an_override_of_an_older_ledger_replaced_what_every_earlier_window_left(ledger_url: str, store: Store) -> None:
    store.charge(settlement("a", window(1), 60, NOW))
    until = NOW + 2 * MINUTE
    store.adjust(Adjustment("o", "override", window(1), 30, "ann", "a test", NOW + MINUTE + MINUTE / 2, until))
    forget_since(store, ledger_url)
    answer = store.reserve(Hold("b", (carry_line(2, 101),), NOW + 2 * MINUTE, MINUTE))
    assert answer.lines[0].limit == 100
    (earlier,) = store.balances([window(1)], NOW + 2 * MINUTE)
    assert earlier.grants.replaced


def forget_since(store: Store, url: str) -> None:
    """Make the override one of a ledger that is older than carry-over."""
    if isinstance(store, SQLiteStore):
        db = sqlite3.connect(url.removeprefix("sqlite:///"))
        ((text,),) = db.execute("SELECT grants FROM grants").fetchall()
        db.execute("UPDATE grants SET grants = ?", (json.dumps([[*grant[:3], ""] for grant in json.loads(text)]),))
        db.commit()
        db.close()
    elif isinstance(store, PostgreSQLStore):
        store._database.execute("UPDATE @ledger.grants SET grants = jsonb_set(grants, '{0,3}', '\"\"')")
    else:
        assert isinstance(store, RedisStore)
        key = f"{store._server.prefix}g:{window(1).scope}"
        grants = json.loads(store._server.command("GET", key))
        store._server.command("SET", key, json.dumps([[*grant[:4], ""] for grant in grants]))


@pytest.mark.parametrize("ledger_url", SHARED_KINDS, indirect=True)
def test_processes_whose_clocks_differ_and_that_are_killed_keep_the_rule(
    ledger_url: str, store: Store, tmp_path: Path
) -> None:
    numbers, running = random.Random(ledger_url), []
    for number in range(100 if SOAK else 5):
        running.append(start(ledger_url, tmp_path, number))
        if len(running) == 3:
            stop(*running.pop(0), numbers.uniform(0, 0.05))
    for journal, process in running:
        stop(journal, process, 0)
    check_carried(store, ledger_url)


def start(url: str, folder: Path, number: int) -> tuple[Path, PROCESSES.Process]:
    journal = folder / f"{number}"
    process = PROCESSES.Process(target=carry_until_killed, args=(url, f"{number}", str(journal)))
    process.start()
    return journal, process


def stop(journal: Path, process: PROCESSES.Process, pause: float) -> None:
    """Kill a worker at some moment after its first round."""
    end = time.monotonic() + 60
    while not journal.exists() or not journal.stat().st_size:
        assert time.monotonic() < end, "a worker never came to the end of its first round"
        time.sleep(0.005)
    time.sleep(pause)
    process.kill()
    process.join()


def test_many_windows_make_no_reservation_slower_and_leave_nothing_behind(tmp_path: Path) -> None:
    """SQLite takes as many steps in the 300th window as in the third, and keeps one row for each window."""
    store = SQLiteStore(str(tmp_path / "growth.db"))
    taken = [steps_of(store, number) for number in range(300)]
    assert taken[-1] <= taken[3] * 1.1
    with store._file.reading() as db:
        rows = [db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("accounts", "grants", "ends")]
    assert rows[:2] == [300, 0]
    assert rows[2] <= 2


def steps_of(store: SQLiteStore, number: int) -> int:
    """Return how many instructions of SQLite a call in a window takes."""
    taken, now = 0, NOW + number * MINUTE
    rule = CarryOver(Decimal(1), Decimal(50), 3, None)

    def step() -> int:
        nonlocal taken
        taken += 1
        return 0

    with store._file.reading() as db:
        db.set_progress_handler(step, 1)
    store.reserve(Hold(f"{number}", (carry_line(number, 90, rule=rule),), now, MINUTE / 2))
    store.settle(settlement(f"{number}", window(number), 80, now))
    with store._file.reading() as db:
        db.set_progress_handler(None, 1)
    return taken
