"""Many workers on one ledger, over several processes: what they do, and what they saw."""

from __future__ import annotations

import multiprocessing
import os
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from multiprocessing.connection import Connection

from costlens_policy.clock import system_now
from costlens_policy.ledger import Account, Adjustment, Held, LineState, Refused, Share, Store, open_ledger
from costlens_policy.ledger.laws.build import account, from_first_use, hold_lines, settlement_lines
from costlens_policy.ledger.laws.carrying import carry_work

__all__ = [
    "CORRECTED", "PROCESSES", "Outcome", "Task", "accounts_of", "carry_until_killed", "correction", "run_crowd",
    "share_of", "work", "work_until_killed",
]  # fmt: skip

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.ledger.crowd", "psycopg", "redis", "costlens_policy.ledger.sqlite"])

_LEASE = timedelta(seconds=30)
_SHARES = "crowd/share"
CORRECTED = 4
"""Calls whose amount is a multiple of it are corrected before they are noted."""


@dataclass(frozen=True)
class Task:
    """What each worker does: ``calls`` calls of up to ``dearest`` on ``lines`` out of ``accounts`` accounts."""

    accounts: int
    lines: int
    limit: int
    dearest: int
    calls: int


@dataclass(frozen=True)
class Outcome:
    """One call: what the ledger answered, and what was charged in the end on each line, None for a release."""

    call: str
    held: bool
    lines: tuple[LineState, ...]
    charged: tuple[int, ...] | None


def accounts_of(task: Task) -> list[Account]:
    """Return accounts for ever and, at every other place, of a window that begins with their first use."""
    return [
        from_first_use(86_400, "crowd/budget", f"{number}") if number % 2 else account("crowd/budget", f"{number}")
        for number in range(task.accounts)
    ]


def work(store: Store, task: Task, worker: str) -> list[Outcome]:
    """Reserve, then settle for less or release, again and again."""
    numbers = random.Random(worker)
    accounts = accounts_of(task)
    outcomes = []
    for number in range(task.calls):
        amount = numbers.randint(1, task.dearest)
        chosen = numbers.sample(accounts, task.lines)
        call = f"{worker}/{number}"
        answer = store.reserve(hold_lines(call, *((each, amount, task.limit) for each in chosen), now=system_now()))
        charged = None
        if isinstance(answer, Held):
            if numbers.random() < 0.2:
                store.release(call, system_now())
            else:
                charged = tuple(numbers.randint(0, amount) for _ in chosen)
                store.settle(settlement_lines(call, *zip(chosen, charged, strict=True), now=system_now()))
        outcomes.append(Outcome(call, isinstance(answer, Held), answer.lines, charged))
    return outcomes


def run_crowd(url: str, store: Store, task: Task, processes: int, threads: int) -> list[Outcome]:
    """Let ``processes * threads`` workers loose at once, in this process alone where the ledger is in memory."""
    if url == "memory:":
        return _with_threads(store, task, "memory", processes * threads)
    pipes = []
    for number in range(processes):
        ours, theirs = PROCESSES.Pipe()
        process = PROCESSES.Process(target=_one_process, args=(url, task, f"{number}", threads, theirs))
        process.start()
        theirs.close()
        pipes.append((process, ours))
    outcomes: list[Outcome] = []
    for process, ours in pipes:
        outcomes += ours.recv()
        process.join()
    return outcomes


def work_until_killed(url: str, task: Task, worker: str, journal: str) -> None:
    """Work for ever, and note in a file each settlement that was acknowledged."""
    store = open_ledger(url)
    numbers = random.Random(worker)
    accounts = accounts_of(task)
    with open(journal, "ab", buffering=0) as notes:
        number = 0
        while True:
            number += 1
            amount = numbers.randint(1, task.dearest)
            chosen = numbers.sample(accounts, task.lines)
            call = f"{worker}/{number}"
            held = amount // 4 if numbers.random() < 0.3 else amount  # a quantile, or the worst case
            lines = [(each, held, task.limit) for each in chosen]
            if numbers.random() < 0.5:  # as a share of the first account, which is set aside there
                lines = [(accounts[0], held, task.limit), (share_of(worker), held, task.dearest * 9)]
            asked = hold_lines(call, *lines, now=system_now(), lease=_LEASE)
            chosen = [line.account for line in asked.lines]
            if chosen[1].budget == _SHARES:
                end = f"{worker} ends {number // 20}"
                asked = replace(asked, unless=(end,), shares=(Share(chosen[1], chosen[0], _LEASE, (end,)),))
                if number % 20 == 19:
                    store.void(end, system_now())
            answer = store.reserve(asked)
            if isinstance(answer, Refused):
                continue
            if numbers.random() < 0.2:
                store.release(call, system_now())
                continue
            store.settle(settlement_lines(call, *((each, amount) for each in chosen), now=system_now()))
            if amount % CORRECTED == 0:
                store.adjust(correction(call, chosen[0], amount))
            os.write(notes.fileno(), f"{call} {amount}\n".encode())


def carry_until_killed(url: str, worker: str, journal: str) -> None:
    """Work for ever on windows that carry over, and note in a file that the first call came to its end."""
    store = open_ledger(url)
    with open(journal, "ab", buffering=0) as notes:
        for round in count():
            carry_work(store, f"{worker}.{round}", range(40))
            os.write(notes.fileno(), b".")


def share_of(worker: str) -> Account:
    """Return the account that each worker has a share for."""
    return account(_SHARES, worker)


def correction(call: str, of: Account, amount: int) -> Adjustment:
    """Return how an invoice corrects a call: by a quarter of what it was charged, up for some and down for others."""
    by = amount // CORRECTED * (1 if amount % (2 * CORRECTED) else -1)
    return Adjustment(f"{call} corrected", "correct", of, by, "ann", "an invoice", system_now())


def _one_process(url: str, task: Task, name: str, threads: int, results: Connection) -> None:
    store = open_ledger(url)
    results.send(_with_threads(store, task, name, threads))
    results.close()
    store.close()


def _with_threads(store: Store, task: Task, name: str, threads: int) -> list[Outcome]:
    with ThreadPoolExecutor(threads) as pool:
        return [
            outcome
            for found in pool.map(lambda number: work(store, task, f"{name}/{number}"), range(threads))
            for outcome in found
        ]
