"""Many processes at once: nobody overspends or is refused without need, and what was acknowledged survives a kill.

``COSTLENS_SOAK=1`` kills a thousand processes of each store instead of a handful.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter, defaultdict
from datetime import timedelta
from pathlib import Path

import pytest

from costlens_policy.clock import system_now
from costlens_policy.ledger import Entry, EntryQuery, ReservationQuery, Store
from costlens_policy.ledger.laws.build import settlement
from tests.ledger.conftest import SHARED_KINDS
from tests.ledger.crowd import (
    CORRECTED,
    PROCESSES,
    Outcome,
    Task,
    accounts_of,
    correction,
    run_crowd,
    share_of,
    work_until_killed,
)

HOT = Task(accounts=1, lines=1, limit=1_000, dearest=20, calls=40)
BROAD = Task(accounts=1_000, lines=2, limit=25, dearest=20, calls=40)


def spent(outcomes: list[Outcome]) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for outcome in outcomes:
        for line, charged in zip(outcome.lines, outcome.charged or (), strict=bool(outcome.charged)):
            found[line.account.name] += charged
    return found


@pytest.mark.parametrize("task", [HOT, BROAD], ids=["one hot budget", "a thousand budgets"])
def test_no_overspend_and_no_needless_refusal(ledger_url: str, store: Store, task: Task) -> None:
    outcomes = run_crowd(ledger_url, store, task, processes=4, threads=4)
    assert len(outcomes) == 16 * task.calls
    for outcome in outcomes:
        sums = [line.used + line.held_after for line in outcome.lines]
        assert outcome.held is all(each <= task.limit for each in sums), outcome
    charged = spent(outcomes)
    for balance in store.balances(accounts_of(task), system_now()):
        assert balance.used == charged[balance.account.name] <= task.limit
        assert balance.held == 0
    if task is HOT:
        assert any(not outcome.held for outcome in outcomes), "the limit was never reached, so nothing was shown"
        entries = store.entries(EntryQuery(limit=5000)).items
        assert sum(entry.amount for entry in entries) == sum(charged.values())


TASK = Task(accounts=5, lines=2, limit=10**9, dearest=1000, calls=0)
AT_ONCE = 3
KILLS = 1_000 if os.environ.get("COSTLENS_SOAK") else 7


@pytest.mark.parametrize("ledger_url", SHARED_KINDS, indirect=True)
def test_killed_processes_lose_nothing_and_leave_nothing_held(ledger_url: str, store: Store, tmp_path: Path) -> None:
    kill_workers(ledger_url, tmp_path)
    acknowledged = {
        call: int(amount)
        for journal in tmp_path.iterdir()
        for call, amount in (line.split() for line in journal.read_text().splitlines())
    }
    assert len(acknowledged) > KILLS
    entries = all_entries(store)
    made = Counter(entry.call for entry in entries if entry.kind == "charge")
    corrected = Counter(entry.call for entry in entries if entry.kind == "correct")
    assert set(corrected.values()) == {1}, "a correction counts once"
    assert set(made.values()) == {TASK.lines}, "a call is charged on all its lines, once"
    for call, amount in acknowledged.items():
        assert made[call] == TASK.lines
        again = store.settle(settlement(call, accounts_of(TASK)[0], amount + 1, system_now()))
        assert again.repeated
        assert [line.amount for line in again.lines] == [amount] * TASK.lines
        if amount % CORRECTED == 0:
            assert store.adjust(correction(call, accounts_of(TASK)[0], amount)).repeated
    check_balances(store, entries)


def kill_workers(url: str, folder: Path) -> None:
    """Keep some workers at work, and kill them one after the other at random moments."""
    numbers = random.Random(url)
    running = [start(url, folder, number) for number in range(AT_ONCE)]
    for number in range(AT_ONCE, AT_ONCE + KILLS):
        journal, victim = running.pop(0)
        wait_for(journal)
        time.sleep(numbers.uniform(0, 0.05))
        victim.kill()
        victim.join()
        if number < KILLS:
            running.append(start(url, folder, number))
    for _, survivor in running:
        survivor.kill()
        survivor.join()


def start(url: str, folder: Path, number: int) -> tuple[Path, PROCESSES.Process]:
    journal = folder / f"{number}"
    process = PROCESSES.Process(target=work_until_killed, args=(url, TASK, f"{number}", str(journal)))
    process.start()
    return journal, process


def wait_for(journal: Path) -> None:
    """Wait until the worker has settled its first call."""
    end = time.monotonic() + 60
    while not journal.exists() or not journal.stat().st_size:
        assert time.monotonic() < end, "a worker never came to settle a call"
        time.sleep(0.005)


def all_entries(store: Store) -> list[Entry]:
    found: list[Entry] = []
    after = ""
    while True:
        page = store.entries(EntryQuery(after=after, limit=1000))
        found += page.items
        if not page.next:
            return found
        after = page.next


def check_balances(store: Store, entries: list[Entry]) -> None:
    """What is spent is the sum of the entries; what is held is the sum of the open calls, and nothing once they
    expire.
    """
    now = system_now()
    used: dict[str, int] = defaultdict(int)
    held: dict[str, int] = defaultdict(int)
    for entry in entries:
        used[entry.account.name] += entry.amount
    for call in store.reservations(ReservationQuery(limit=1000), now).items:
        for line in call.lines:
            held[line.account.name] += line.amount
    shares = [share_of(f"{number}") for number in range(AT_ONCE + KILLS)]
    every = [*accounts_of(TASK), *shares]
    for balance in store.balances(every, now):
        used_now, held_now = used[balance.account.name], held[balance.account.name]
        assert (balance.used, balance.held) == (used_now, held_now + balance.set_aside), balance
    whole, *others = store.balances([accounts_of(TASK)[0], *shares], now)
    assert whole.set_aside == sum(balance.share or 0 for balance in others)
    for balance in store.balances(every, now + timedelta(hours=1)):
        assert (balance.used, balance.held) == (used[balance.account.name], 0)
        assert (balance.set_aside, balance.share) == (0, None)
