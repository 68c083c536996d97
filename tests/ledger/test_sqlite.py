"""SQLite: old files, files of others, and everything a disk can do."""

from __future__ import annotations

import json
import os
import resource
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from shutil import copy, copytree, rmtree

import pytest

from costlens_policy.guard import Event
from costlens_policy.ledger import EntryQuery, Held, LedgerBusyError, LedgerUnavailableError, open_ledger
from costlens_policy.ledger.laws.build import NOW, account, hold, settlement
from costlens_policy.ledger.sqlite import SQLiteStore, file
from costlens_policy.ledger.sqlite.file import APPLICATION_ID, MIGRATIONS

TEAM = account()


@pytest.fixture
def path(quick_folder: Path, request: pytest.FixtureRequest) -> Path:
    quick_folder.chmod(0o755)
    return quick_folder / f"{request.node.name}.db"


def old_file(path: Path, version: int) -> None:
    """Make a file as an earlier version did, with one charge of 7 in it."""
    db = sqlite3.connect(path)
    for statements in MIGRATIONS[:version]:
        for statement in statements:
            db.execute(statement)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {version}")
    db.execute(
        "INSERT INTO accounts"
        " (id, name, budget, key, unit, period, used_high, used_low, held_high, held_low, generation)"
        " VALUES (1, ?, ?, ?, 'usd', 'lifetime', 0, 7, 0, 0, 0)",
        (TEAM.name, TEAM.budget, TEAM.key),
    )
    db.commit()
    db.close()


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_a_file_of_an_older_version_is_upgraded(path: Path, version: int) -> None:
    old_file(path, version)
    store = SQLiteStore(str(path))
    assert store.balances([TEAM], NOW)[0].used == 7
    store.charge(settlement("a", TEAM, 1))
    assert store.balances([TEAM], NOW)[0].used == 8
    store.close()
    assert sqlite3.connect(path).execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)


def test_what_older_ledgers_call_otherwise_is_read_under_todays_words(path: Path) -> None:
    old_file(path, 4)
    db = sqlite3.connect(path)
    db.execute("INSERT INTO entries VALUES (1, 0, 0, 'withdraw', 0, 1, 0, 0, 0, 0)")
    facts = json.dumps({"id": "a", "kind": "alert", "time": "2026-06-01T00:00:00Z", "text": "soon", "rung": "0.8"})
    db.execute(
        "INSERT INTO alerts (id, budget, key, period, rung, facts, claimed_at, visible_at, attempts, problem)"
        " VALUES ('a', 'p/b', 'k', 'lifetime', '0.8', ?, 0, 0, 1, '')",
        (facts,),
    )
    db.commit()
    db.close()
    store = SQLiteStore(str(path))
    (pending,) = store.pending_alerts(NOW, timedelta(minutes=1), 10)
    assert (pending.claim.threshold, Event.from_dict(pending.claim.facts).threshold) == ("0.8", "0.8")
    store.close()
    assert sqlite3.connect(path).execute("SELECT kind FROM entries").fetchall() == [("revoke",)]


def test_a_file_of_a_newer_version_is_refused_and_left_alone(path: Path) -> None:
    SQLiteStore(str(path)).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    before = path.read_bytes()
    with pytest.raises(LedgerUnavailableError, match=r"newer version .* \(tables 99, this one knows 7\)"):
        SQLiteStore(str(path))
    assert path.read_bytes() == before


def test_a_database_of_another_program_is_refused(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE precious (x)")
    db.close()
    with pytest.raises(LedgerUnavailableError, match="is a database of another program"):
        SQLiteStore(str(path))


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_text("budget: 5\n" * 500)
    with pytest.raises(LedgerUnavailableError, match="is not a database; name another file"):
        SQLiteStore(str(path))


def test_a_damaged_file_is_an_error(path: Path) -> None:
    store = SQLiteStore(str(path))
    for number in range(200):
        store.charge(settlement(f"{number}", TEAM, 1))
    store.close()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(LedgerUnavailableError, match="is damaged; restore it from a backup"):
        SQLiteStore(str(path)).balances([TEAM], NOW)


def test_a_folder_that_is_not_there_is_an_error(path: Path) -> None:
    with pytest.raises(LedgerUnavailableError, match="cannot be opened; its folder must exist"):
        SQLiteStore(str(path / "no" / "spend.db"))


def in_child(body: Callable[[], None]) -> None:
    """Run a test's body in a forked process, whose rights and limits end with it."""
    child = os.fork()
    if not child:
        status = 1
        try:
            body()
            status = 0
        except BaseException as error:  # whatever it is, the child must not go on as a second test run
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert status == 0


def test_a_file_that_may_not_be_written_is_an_error(path: Path) -> None:
    store = SQLiteStore(str(path))
    store.charge(settlement("a", TEAM, 7))
    path.chmod(0o444)

    def body() -> None:
        if os.geteuid() == 0:
            os.setuid(65534)
        with pytest.raises(LedgerUnavailableError, match=r"cannot be (written; give this|opened)"):
            SQLiteStore(str(path)).charge(settlement("b", TEAM, 1))

    in_child(body)
    assert store.balances([TEAM], NOW)[0].used == 7


def test_a_full_database_is_an_error_and_records_nothing(path: Path) -> None:
    store = SQLiteStore(str(path))
    store.charge(settlement("a", TEAM, 7))
    with store._file.writing() as db:
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(LedgerUnavailableError, match="is on a full disk"):
        charge_many(store, 200)
    store.close()
    again = SQLiteStore(str(path))
    entries = again.entries(EntryQuery(limit=1000)).items
    assert again.balances([TEAM], NOW)[0].used == sum(entry.amount for entry in entries) < 207
    again.charge(settlement("199", TEAM, 1))


def test_a_disk_that_refuses_to_write_is_an_error_and_records_nothing(path: Path) -> None:
    store = SQLiteStore(str(path))
    store.charge(settlement("a", TEAM, 7))

    def body() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        child = SQLiteStore(str(path))
        with pytest.raises(LedgerUnavailableError, match="cannot be read or written"):
            charge_many(child, 1000)

    in_child(body)
    entries = store.entries(EntryQuery(limit=2000)).items
    assert store.balances([TEAM], NOW)[0].used == sum(entry.amount for entry in entries) > 7
    store.charge(settlement("b", TEAM, 1))


def test_waiting_for_a_writer_ends(path: Path) -> None:
    store = open_ledger(f"sqlite:///{path}?timeout=0.2")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerBusyError, match="was locked for too long"):
        store.reserve(hold("a", TEAM, 1, 1))
    other.execute("ROLLBACK")
    assert isinstance(store.reserve(hold("a", TEAM, 1, 1)), Held)


def test_a_reader_is_not_kept_waiting_by_a_writer(path: Path) -> None:
    store = open_ledger(f"sqlite:///{path}?timeout=0.2")
    store.charge(settlement("a", TEAM, 7))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert store.balances([TEAM], NOW)[0].used == 7


def test_a_forked_process_uses_connections_of_its_own(path: Path) -> None:
    store = SQLiteStore(str(path))
    store.charge(settlement("a", TEAM, 1))
    in_child(lambda: charge_many(store, 1))
    store.charge(settlement("c", TEAM, 1))
    assert store.balances([TEAM], NOW)[0].used == 3


def test_processes_that_are_forked_while_threads_are_at_work_are_not_locked_out(path: Path) -> None:
    """SQLite would believe that a child has the locks that threads of its parent had."""
    store, stop = SQLiteStore(str(path), timeout=2), threading.Event()
    counts = [0, 0, 0]

    def work(number: int) -> None:
        while not stop.is_set():
            store.charge(settlement(f"{number}/{counts[number]}", TEAM, 1))
            store.balances([TEAM], NOW)
            counts[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for child in range(5):
        in_child(lambda child=child: store.charge(settlement(f"child {child}", TEAM, 1)))  # type: ignore[misc]
    stop.set()
    for thread in threads:
        thread.join()
    assert store.balances([TEAM], NOW)[0].used == sum(counts) + 5


def test_a_parent_that_closes_the_ledger_leaves_it_to_its_children(path: Path) -> None:
    store = SQLiteStore(str(path))
    store.charge(settlement("a", TEAM, 1))
    ours, theirs = os.pipe(), os.pipe()

    def body() -> None:
        store.charge(settlement("b", TEAM, 1))
        os.write(theirs[1], b"1")
        os.read(ours[0], 1)
        store.charge(settlement("c", TEAM, 1))

    parent = threading.Thread(target=lambda: (os.read(theirs[0], 1), store.close(), os.write(ours[1], b"1")))
    parent.start()
    in_child(body)
    parent.join()
    assert SQLiteStore(str(path)).balances([TEAM], NOW)[0].used == 3


def test_a_fork_that_cannot_wait_makes_a_process_that_refuses_the_ledger(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "_LONGEST_WAIT", 0.05)
    store = SQLiteStore(str(path))
    blocker, blocks = threading.Event(), threading.Event()
    in_other_thread = threading.Thread(target=lambda: hold_lock(store, blocks, blocker))
    in_other_thread.start()
    assert blocks.wait(10)

    def body() -> None:
        for open_or_use in (lambda: open_ledger(f"sqlite:///{path}"), lambda: store.charge(settlement("c", TEAM, 1))):
            with pytest.raises(LedgerUnavailableError, match="forked while another thread waited for the ledger"):
                open_or_use()

    in_child(body)
    blocker.set()
    in_other_thread.join()
    in_child(lambda: charge_many(store, 1))
    assert store.balances([TEAM], NOW)[0].used == 1


def hold_lock(store: SQLiteStore, holds: threading.Event, until: threading.Event) -> None:
    with store._file.writing():
        holds.set()
        until.wait(10)


def charge_many(store: SQLiteStore, calls: int) -> None:
    for number in range(calls):
        store.charge(settlement(f"{number}", TEAM, 1))


def test_what_is_committed_has_reached_the_disk(path: Path) -> None:
    store = SQLiteStore(str(path))
    with store._file.reading() as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)


def deleted(path: Path) -> None:
    for found in path.parent.glob(f"{path.name}*"):
        found.unlink()


def replaced(path: Path) -> None:
    other = path.with_name("other.db")
    SQLiteStore(str(other)).close()
    other.replace(path)


def renamed_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


def copied_folder(path: Path) -> None:
    other = path.parent.with_name("copied")
    copytree(path.parent, other)
    renamed_folder(path)
    other.rename(path.parent)


def without_log(path: Path) -> None:
    path.with_name(f"{path.name}-wal").unlink()


def with_another_log(path: Path) -> None:
    log = path.with_name(f"{path.name}-wal")
    copy(log, path.with_name("log"))
    path.with_name("log").replace(log)


def without_index(path: Path) -> None:
    path.with_name(f"{path.name}-shm").unlink()


HAPPENINGS: list[Callable[[Path], None]] = [
    deleted, replaced, renamed_folder, copied_folder, without_log, with_another_log, without_index,
]  # fmt: skip


@pytest.fixture
def own_folder(quick_folder: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    folder = quick_folder / request.node.name / "ledger"
    folder.mkdir(parents=True)
    yield folder
    rmtree(folder.parent)


@pytest.mark.parametrize("happens", HAPPENINGS)
def test_a_file_that_is_not_the_one_that_was_opened_is_an_error(
    own_folder: Path, happens: Callable[[Path], None]
) -> None:
    path = own_folder / "spend.db"
    store = SQLiteStore(str(path))
    store.charge(settlement("a", TEAM, 7))
    happens(path)
    for attempt in (
        lambda: store.reserve(hold("b", TEAM, 1, 10)),
        lambda: store.charge(settlement("b", TEAM, 1)),
        lambda: store.balances([TEAM], NOW),
    ):
        with pytest.raises(LedgerUnavailableError, match="was deleted, moved or replaced since it was opened"):
            attempt()


def test_a_new_connection_does_not_take_the_new_file_for_the_old_one(own_folder: Path) -> None:
    path = own_folder / "spend.db"
    store = SQLiteStore(str(path))
    store.charge(settlement("a", TEAM, 7))
    store._file._pool.clear()
    replaced(path)
    with pytest.raises(LedgerUnavailableError, match="was deleted, moved or replaced"):
        store.charge(settlement("b", TEAM, 1))
    again = SQLiteStore(str(path))
    assert again.charge(settlement("b", TEAM, 1)).lines[0].used == 1


def test_a_file_that_is_put_back_serves_again(own_folder: Path) -> None:
    path = own_folder / "spend.db"
    store = SQLiteStore(str(path))
    store.charge(settlement("a", TEAM, 7))
    away = own_folder.with_name("away")
    own_folder.rename(away)
    with pytest.raises(LedgerUnavailableError):
        store.balances([TEAM], NOW)
    away.rename(own_folder)
    assert store.charge(settlement("b", TEAM, 1)).lines[0].used == 8


def test_others_who_open_and_close_it_change_nothing(own_folder: Path) -> None:
    path = own_folder / "spend.db"
    store = SQLiteStore(str(path))
    for number in range(3):
        other = SQLiteStore(str(path))
        other.charge(settlement(f"{number}", TEAM, 1))
        other.close()
        assert store.charge(settlement(f"{number} too", TEAM, 1)).lines[0].used == 2 * (number + 1)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    assert store.balances([TEAM], NOW)[0].used == 6


def test_a_process_that_goes_elsewhere_keeps_its_file(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(own_folder)
    store = open_ledger("sqlite:///spend.db")
    store.charge(settlement("a", TEAM, 7))
    monkeypatch.chdir(own_folder.parent)
    assert isinstance(store, SQLiteStore)
    store._file._pool.clear()
    assert store.charge(settlement("b", TEAM, 1)).lines[0].used == 8


def without_rights(body: Callable[[], None]) -> None:
    """Run a test's body as one for whom read-only files are just that."""

    def as_nobody() -> None:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        body()

    in_child(as_nobody)


@pytest.fixture
def looked_at(own_folder: Path) -> Iterator[Path]:
    """A ledger that nobody has open, with 7 used, and no write permission on it."""
    path = own_folder / "spend.db"
    store = SQLiteStore(str(path))
    store.charge(settlement("a", TEAM, 7))
    store.close()
    path.chmod(0o444)
    own_folder.chmod(0o555)
    own_folder.parent.chmod(0o755)
    yield path
    own_folder.chmod(0o755)


def test_what_may_only_be_read_can_be_looked_at(looked_at: Path) -> None:
    def body() -> None:
        store = open_ledger(f"sqlite:///{looked_at}", read_only=True)
        assert store.balances([TEAM], NOW)[0].used == 7
        assert len(store.entries(EntryQuery()).items) == 1
        with pytest.raises(LedgerUnavailableError, match="cannot be written; give this process write permission"):
            store.charge(settlement("b", TEAM, 1))

    without_rights(body)
    assert [file.name for file in looked_at.parent.iterdir()] == ["spend.db"], "nothing was left beside it"


def test_what_others_write_meanwhile_is_seen_by_who_may_only_read(looked_at: Path) -> None:
    looked_at.parent.chmod(0o755)
    looked_at.chmod(0o644)
    store = SQLiteStore(str(looked_at))
    store.charge(settlement("b", TEAM, 1))
    looked_at.parent.chmod(0o555)

    def body() -> None:
        assert open_ledger(f"sqlite:///{looked_at}", read_only=True).balances([TEAM], NOW)[0].used == 8

    without_rights(body)
    store.close()


def test_who_looks_makes_no_ledger(own_folder: Path) -> None:
    with pytest.raises(LedgerUnavailableError, match="cannot be opened"):
        open_ledger(f"sqlite:///{own_folder / 'other.db'}", read_only=True)
    assert list(own_folder.iterdir()) == []


def test_an_older_file_is_upgraded_by_who_looks_or_refused_where_it_cannot_be(own_folder: Path) -> None:
    path = own_folder / "spend.db"
    old_file(path, len(MIGRATIONS) - 1)
    path.chmod(0o444)
    own_folder.parent.chmod(0o755)

    def body() -> None:
        with pytest.raises(LedgerUnavailableError, match="older version of costlens-policy and cannot be written here"):
            open_ledger(f"sqlite:///{path}", read_only=True)

    without_rights(body)
    path.chmod(0o644)
    assert open_ledger(f"sqlite:///{path}", read_only=True).balances([TEAM], NOW)[0].used == 7
