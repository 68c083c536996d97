"""PostgreSQL: connections that are cut, schemas that are old, new or gone, and locks that others hold."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from costlens_policy.ledger import (
    Adjustment,
    Charge,
    EntryQuery,
    Held,
    LedgerBusyError,
    LedgerUnavailableError,
    Refused,
    open_ledger,
)
from costlens_policy.ledger.laws.build import NOW, account, hold, settlement
from costlens_policy.ledger.postgresql import PostgreSQLStore
from costlens_policy.ledger.postgresql.connection import MIGRATIONS, statements
from costlens_policy.ledger.postgresql.store import _charged
from tests.conftest import ROOT
from tests.docs.walkthrough import blocks
from tests.ledger.servers import Server

TEAM = account()


def admin(server: Server, autocommit: bool = True) -> psycopg.Connection[Any]:
    return psycopg.connect(server.address, autocommit=autocommit)


def test_connections_cut_at_any_moment_lose_nothing_and_charge_nothing_twice(postgresql: Server) -> None:
    store = PostgreSQLStore(postgresql.url("cut"))
    stop = threading.Event()
    cuts = threading.Thread(target=cut_connections, args=(postgresql, stop))
    cuts.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            made = list(pool.map(lambda number: charge(store, number), range(150)))
    finally:
        stop.set()
        cuts.join()
    again = PostgreSQLStore(postgresql.url("cut"))
    entries = again.entries(EntryQuery(limit=1000)).items
    calls = [entry.call for entry in entries]
    assert len(calls) == len(set(calls))
    assert {call for call in made if call} <= set(calls)
    assert again.balances([TEAM], NOW)[0].used == len(calls)


def charge(store: PostgreSQLStore, number: int) -> str:
    """Charge 1; return the id of the call where that was acknowledged."""
    try:
        store.charge(settlement(f"{number}", TEAM, 1))
    except LedgerUnavailableError:
        return ""
    return f"{number}"


def cut_connections(server: Server, stop: threading.Event) -> None:
    with admin(server) as connection:
        while not stop.wait(0.01):
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND application_name = 'costlens-policy' ORDER BY random() LIMIT 1"
            )


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_a_schema_of_an_older_version_is_upgraded(postgresql: Server, version: int) -> None:
    schema = f"old_{version}"
    with admin(postgresql) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
        connection.execute(f"CREATE TABLE {schema}.version AS SELECT {version} AS version")
        for name in MIGRATIONS[:version]:
            connection.execute(statements(name, schema))
        connection.execute(
            f"INSERT INTO {schema}.accounts (name, budget, key, unit, period, width, used, held, generation)"
            " VALUES (%s, %s, %s, 'usd', 'lifetime', 0, 7, 0, 0)",
            (TEAM.name, TEAM.budget, TEAM.key),
        )
    store = PostgreSQLStore(postgresql.url(schema))
    store.charge(settlement("a", TEAM, 1))
    assert store.balances([TEAM], NOW)[0].used == 8


def test_a_schema_of_a_newer_version_is_refused(postgresql: Server) -> None:
    PostgreSQLStore(postgresql.url("newer")).close()
    with admin(postgresql) as connection:
        connection.execute("UPDATE newer.version SET version = 99")
    with pytest.raises(LedgerUnavailableError, match=rf"tables 99, this one knows {len(MIGRATIONS)}"):
        PostgreSQLStore(postgresql.url("newer"))


def test_many_may_open_a_new_ledger_at_once(postgresql: Server) -> None:
    with ThreadPoolExecutor(6) as pool:
        stores = list(pool.map(lambda _: PostgreSQLStore(postgresql.url("together")), range(6)))
    for number, store in enumerate(stores):
        store.charge(settlement(f"{number}", TEAM, 1))
    assert stores[0].balances([TEAM], NOW)[0].used == 6


def test_a_lock_that_is_held_too_long_is_an_error_and_records_nothing(postgresql: Server) -> None:
    store = open_ledger(postgresql.url("locked") + "&timeout=0.3")
    store.charge(settlement("a", TEAM, 7))
    with admin(postgresql) as connection, connection.transaction():
        connection.execute("SELECT * FROM locked.accounts FOR UPDATE")
        with pytest.raises(LedgerBusyError, match="did not answer in time; look for what locks rows"):
            store.reserve(hold("b", TEAM, 1, 100))
        assert isinstance(store.reserve(hold("d", account(key="other"), 1, 100)), Held), "its row is free"
        assert isinstance(store.reserve(hold("c", TEAM, 94, 100)), Refused), "a budget that is spent waits for nobody"
        assert store.balances([TEAM], NOW)[0].used == 7
    held = store.reserve(hold("b", TEAM, 1, 100))
    assert isinstance(held, Held)
    assert held.lines[0].held == 0


def test_a_reader_who_pages_does_not_pass_over_an_entry_that_is_committed_late(postgresql: Server) -> None:
    """The entry of `slow` has a lower number than that of `quick`, and is committed after it."""
    store = open_ledger(postgresql.url("late_commits"))
    store.charge(settlement("first", TEAM, 1))
    with admin(postgresql, autocommit=False) as slow, ThreadPoolExecutor(1) as pool:
        charges = _charged([Charge(account(key="slow"), 2)])
        slow.execute("SELECT late_commits.settle('slow', 0, '{}', %s, true)", (charges,))
        store.charge(settlement("quick", TEAM, 3))
        reading = pool.submit(lambda: store.entries(EntryQuery(limit=2)))
        wait_for_reader(postgresql, reading)
        assert [entry.call for entry in store.entries(EntryQuery(account=TEAM)).items] == ["first", "quick"]
        slow.commit()
        first = reading.result()
    rest = store.entries(EntryQuery(after=first.items[-1].id))
    assert [entry.call for entry in (*first.items, *rest.items)] == ["first", "slow", "quick"]


def wait_for_reader(server: Server, reading: Future[Any]) -> None:
    """Wait until the reader waits for a writer, or is done."""
    asked = "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%last_entry%' AND wait_event = 'PgSleep'"
    with admin(server) as connection:
        while not reading.done() and connection.execute(asked).fetchone() is None:
            time.sleep(0.005)


def test_a_server_that_hangs_is_an_error(postgresql: Server) -> None:
    store = open_ledger(postgresql.url("hanging") + "&timeout=0.2")
    store.balances([TEAM], NOW)
    with admin(postgresql) as connection:
        asked = "SELECT pid FROM pg_stat_activity WHERE application_name = 'costlens-policy' AND query LIKE '%hanging%'"
        workers = [pid for (pid,) in connection.execute(asked)]
    assert workers
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(LedgerUnavailableError, match="did not answer in time"):
            store.charge(settlement("a", TEAM, 7))
        assert store.balances([TEAM], NOW)[0].used == 0, "another connection serves"
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
    store.charge(settlement("a", TEAM, 7))
    assert store.balances([TEAM], NOW)[0].used == 7


def test_a_server_that_hangs_is_an_error_for_readers_too(postgresql: Server) -> None:
    store = open_ledger(postgresql.url("hanging_reads") + "&timeout=0.2&connections=1")
    store.charge(settlement("a", TEAM, 7))
    with admin(postgresql) as connection:
        asked = "SELECT pid FROM pg_stat_activity WHERE query LIKE '%hanging_reads%' AND pid <> pg_backend_pid()"
        workers = [pid for (pid,) in connection.execute(asked)]
    assert workers
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(LedgerUnavailableError, match="did not answer in time") as caught:
            store.balances([TEAM], NOW)
        assert not isinstance(caught.value, LedgerBusyError)
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
    assert store.balances([TEAM], NOW)[0].used == 7


def test_a_crowd_shares_the_connections(postgresql: Server) -> None:
    store = open_ledger(postgresql.url("crowd") + "&connections=4&timeout=30")
    together = threading.Barrier(60)

    def work(number: int) -> None:
        together.wait(60)
        store.charge(settlement(f"{number}", account(key=f"{number % 7}"), 1))

    with ThreadPoolExecutor(60) as pool:
        list(pool.map(work, range(60)))
    assert len(store.entries(EntryQuery(limit=1000)).items) == 60
    assert isinstance(store, PostgreSQLStore)
    assert store._database._pool._process.made <= 4


def test_a_server_with_no_connection_left_lets_threads_wait_for_their_own(postgresql: Server) -> None:
    PostgreSQLStore(postgresql.url("full")).close()
    with admin(postgresql) as connection:
        connection.execute("CREATE ROLE few LOGIN CONNECTION LIMIT 2")
        connection.execute('GRANT ALL ON SCHEMA "full" TO few')
        connection.execute('GRANT ALL ON ALL TABLES IN SCHEMA "full" TO few')
    store = open_ledger(postgresql.url("full").replace("postgres@", "few@") + "&timeout=30")
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda number: store.charge(settlement(f"{number}", TEAM, 1)), range(60)))
    assert store.balances([TEAM], NOW)[0].used == 60


def test_facts_as_long_as_they_may_be(postgresql: Server) -> None:
    store = open_ledger(postgresql.url("long_facts"))
    facts = {"text": "ü" * 32_000}
    store.reserve(hold("a", TEAM, 1, 1, **facts))
    found = store.reservation("a", NOW)
    assert found is not None
    assert found.facts == facts


def test_a_schema_that_is_gone_is_an_error(postgresql: Server) -> None:
    store = PostgreSQLStore(postgresql.url("gone"))
    with admin(postgresql) as connection:
        connection.execute("DROP SCHEMA gone CASCADE")
    with pytest.raises(LedgerUnavailableError, match="since it was opened; open the ledger again"):
        store.reserve(hold("a", TEAM, 1, 1))


def test_a_database_that_only_reads_is_an_error(postgresql: Server) -> None:
    PostgreSQLStore(postgresql.url("reading")).close()
    with admin(postgresql) as connection:
        connection.execute("CREATE ROLE reader LOGIN")
        connection.execute("ALTER ROLE reader SET default_transaction_read_only = on")
        connection.execute("GRANT USAGE ON SCHEMA reading TO reader")
        connection.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA reading TO reader")
    url = postgresql.url("reading").replace("postgres@", "reader@")
    assert open_ledger(url, read_only=True).balances([TEAM], NOW)[0].used == 0
    with pytest.raises(LedgerUnavailableError, match="there is no ledger `looked_for` in the database"):
        open_ledger(url.replace("ledger=reading", "ledger=looked_for"), read_only=True)
    store = open_ledger(url)
    with pytest.raises(LedgerUnavailableError, match="cannot be written, since it is a standby or read-only"):
        store.charge(settlement("a", TEAM, 1))


def test_a_user_without_rights_is_an_error_that_says_which(postgresql: Server) -> None:
    with admin(postgresql) as connection:
        connection.execute("CREATE ROLE nobody_here LOGIN")
    with pytest.raises(LedgerUnavailableError, match="grant the missing privilege: permission denied for database"):
        open_ledger(postgresql.url("forbidden").replace("postgres@", "nobody_here@"))


def test_the_rights_that_the_documentation_names_are_enough(postgresql: Server) -> None:
    granted = [block.text for block in blocks((ROOT / "docs" / "ledger.md").read_text()) if "GRANT" in block.text]
    assert len(granted) == 1
    PostgreSQLStore(postgresql.url("costlens")).close()
    with admin(postgresql) as connection:
        connection.execute("CREATE ROLE service LOGIN")
        connection.execute("CREATE ROLE reports LOGIN")
        connection.execute(granted[0].encode())
    store = PostgreSQLStore(postgresql.url("costlens").replace("postgres@", "service@"))
    store.reserve(hold("a", TEAM, 5, 10))
    store.extend("a", timedelta(minutes=5), NOW)
    store.settle(settlement("a", TEAM, 4))
    store.charge(settlement("b", TEAM, 1))
    store.adjust(Adjustment("c", "topup", TEAM, 1, "ann", "why", NOW))
    reports = PostgreSQLStore(postgresql.url("costlens").replace("postgres@", "reports@"))
    assert reports.balances([TEAM], NOW)[0].used == 5
    assert [entry.kind for entry in reports.entries(EntryQuery()).items] == ["charge", "charge", "topup"]


def test_a_database_that_is_not_there_is_an_error(postgresql: Server) -> None:
    with pytest.raises(LedgerUnavailableError, match="does not exist"):
        open_ledger(postgresql.url("any").replace("/postgres?", "/nowhere?"))
