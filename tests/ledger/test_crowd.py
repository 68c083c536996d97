"""Sixteen workers over several processes: nobody overspends, nobody is refused without need, and some serial order
explains all.
"""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from costlens_policy.clock import system_now
from costlens_policy.ledger import AccountQuery, AlertClaim, EntryQuery, Held, Store
from tests.ledger.build import LEASE, NOW, account, hold, settlement
from tests.ledger.crowd import Outcome, Task, accounts_of, run_crowd

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


def test_a_reader_who_follows_the_history_sees_each_entry_once(store: Store) -> None:
    """Reads while others write: whatever is acknowledged comes, however commits overtake each other."""
    teams = [account(key=f"{number}") for number in range(8)]

    def charge(worker: int) -> list[str]:
        calls = [f"{worker}/{number}" for number in range(25)]
        for call in calls:
            store.charge(settlement(call, teams[worker], 1))
        return calls

    seen: list[str] = []
    after = ""
    with ThreadPoolExecutor(len(teams)) as pool:
        writers = [pool.submit(charge, worker) for worker in range(len(teams))]
        while True:
            over = all(writer.done() for writer in writers)
            page = store.entries(EntryQuery(after=after, limit=3)).items
            seen += [entry.call for entry in page]
            after = page[-1].id if page else after
            if over and not page:
                break
    made = [call for writer in writers for call in writer.result()]
    assert sorted(seen) == sorted(made)


CALLS = 56


def test_any_interleaving_equals_some_serial_order(store: Store) -> None:
    """Each call has a bit of its own, so that an answer says exactly which operations came before it."""
    team = account()

    def call(number: int) -> list[tuple[int, int, int]]:
        bit = 1 << number
        held = store.reserve(hold(f"{number}", team, bit, None))
        assert isinstance(held, Held)
        before = held.lines[0]
        settled = store.settle(settlement(f"{number}", team, bit)).lines[0]
        used = settled.used - bit
        return [(before.used | before.held, before.used, number), (settled.used | settled.held, used, CALLS + number)]

    with ThreadPoolExecutor(8) as pool:
        events = [event for found in pool.map(call, range(CALLS)) for event in found]
    events.sort(key=lambda event: event[0].bit_count() + event[1].bit_count())
    ever_held, used = 0, 0
    for seen_held, seen_used, operation in events:
        assert (seen_held, seen_used) == (ever_held, used)
        if operation < CALLS:
            ever_held |= 1 << operation
        else:
            used |= 1 << (operation - CALLS)
    assert store.balances([team], NOW)[0].used == (1 << CALLS) - 1


def test_one_of_many_claims_an_alert(store: Store) -> None:
    claims = [AlertClaim("b", str(number), "lifetime", "1") for number in range(5)]
    with ThreadPoolExecutor(8) as pool:
        for claim in claims:
            assert sum(pool.map(lambda _: store.claim_alert(claim, NOW, LEASE), range(8))) == 1  # noqa: B023 (same loop)
    late = NOW + timedelta(hours=1)
    with ThreadPoolExecutor(8) as pool:
        taken = [
            alert.claim
            for found in pool.map(lambda _: store.pending_alerts(late, LEASE, 2), range(8))
            for alert in found
        ]
    assert sorted(claim.key for claim in taken) == [claim.key for claim in claims]


def test_one_id_at_the_same_moment_is_one_call(store: Store) -> None:
    team = account()
    with ThreadPoolExecutor(8) as pool:
        for number in range(10):
            answers = list(pool.map(lambda _: store.reserve(hold(f"{number}", team, 10, 100)), range(8)))  # noqa: B023 (same loop)
            assert [type(answer) for answer in answers] == [Held] * 8
            assert sum(not answer.repeated for answer in answers if isinstance(answer, Held)) == 1
            settled = list(pool.map(lambda _: store.charge(settlement(f"{number}", team, 1)), range(8)))  # noqa: B023 (same loop)
            assert sum(not answer.repeated for answer in settled) == 1
        charged = list(pool.map(lambda _: store.charge(settlement("unheld", team, 5)), range(8)))
        assert sum(not answer.repeated for answer in charged) == 1
    assert store.balances([team], NOW)[0].used == 15
    assert len(store.entries(EntryQuery()).items) == 11
    assert len(store.accounts(AccountQuery(), NOW).items) == 1
