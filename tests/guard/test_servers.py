"""The guard over Redis and PostgreSQL: the same, with several guards that know nothing of each other."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from itertools import count

import pytest

from costlens_policy import ApprovalNeededError, DeniedError, Guard, RunEndedError, RunLimitError, run
from costlens_policy.guard.run_tree import spend_of_runs
from costlens_policy.ledger import Adjustment, CallConflictError, EntryQuery, open_ledger
from tests.guard.company import REQUEST, Clock, write_company
from tests.ledger.servers import Server, postgresql_server, redis_server

POLICY = """
budgets:
  - id: team
    scope: request.?team.orValue("nobody")
    hard_limit_usd: 0.0125
    window: {calendar: day}
    thresholds: [{at_ratio: 0.5, alert: half}]
  - {id: all, hard_limit_tokens: 100000, window: {rolling: 1h}}
"""
KEYS = (
    "red", "RED", " ", "k" * 512, "ö" * 256, "a\x1fb", "a\x1f", "line\nend\r", "\x1b[31m", "\U0010ffff", "e\u0301", "é",
    "{a}", "*", "%_\\",
)  # fmt: skip
BURN = """
budgets:
  - id: team
    hard_limit_usd: 0.0288
    window: {calendar: day}
    thresholds: [{at_burn_rate: {rate: 2, long: 1h, short: 5m}, alert: too fast, downgrade: {models: [mini]}}]
"""
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100}
_NUMBERS = count()


@pytest.fixture(scope="module", params=["redis", "postgresql"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with redis_server() if request.param == "redis" else postgresql_server() as running:
        yield running


@pytest.fixture
def guards(server, tmp_path) -> Iterator[list[Guard]]:
    engine, url, clock, events = (
        write_company(tmp_path / "p", POLICY),
        server.url(f"guard_{next(_NUMBERS)}"),
        Clock(),
        [],
    )
    made = [Guard(engine, url, clock=clock, alert_sinks=[events.append]) for _ in range(4)]
    made[0].events = events
    yield made
    for guard in made:
        guard.close()


def test_a_call_is_settled_by_its_id_anywhere(guards):
    here, there, *_ = guards
    here.call(REQUEST, id="job-1", lease=timedelta(days=2))
    unnamed = here.call(REQUEST).id
    for id in ("job-1", unnamed):
        charged = there.settle(id, USAGE)
        assert (charged.cost, charged.late, charged.repeated) == (Decimal("0.0012"), False, False)
        assert here.settle(id, USAGE).repeated
    assert {(line.budget, line.used, line.held) for line in there.spend()} == {
        ("p/team", Decimal("0.0024"), 0), ("p/all", Decimal(2200), 0),
    }  # fmt: skip


def test_windows_and_what_is_carried_over(server, tmp_path):
    """Guards that know nothing of each other see the same windows, and carry the same over."""
    policy = """
budgets:
  - id: plan
    scope: request.?team.orValue("nobody")
    windows:
      - {id: session, window: {from_first_use: 5h}, hard_limit_usd: 0.004}
      - {id: day, window: {calendar: day}, hard_limit_usd: 0.005, carry_over: {}}
"""
    engine, url, clock = write_company(tmp_path / "p", policy), server.url(f"guard_{next(_NUMBERS)}"), Clock()
    here, there = (Guard(engine, url, clock=clock, alert_sinks=[], max_age=0) for _ in range(2))
    start = clock()
    for guard in (here, there, here):
        guard.call(REQUEST).settle(USAGE)
    with pytest.raises(DeniedError, match="session") as refused:
        there.call(REQUEST)
    assert refused.value.resets_at == start + timedelta(hours=5)
    clock.move(days=1)
    for guard in (here, there):
        lines = {line.budget: line for line in guard.spend()}
        assert lines["p/plan.session"].starts_at is None
        (day,) = guard.spend("plan.day", "red")
        assert (day.limit, day.carried) == (Decimal("0.0064"), Decimal("0.0014"))
    for guard in (here, there, here):
        guard.call(REQUEST).settle(USAGE)
    clock.move(hours=5)
    for guard in (there, here):
        guard.call(REQUEST).settle(USAGE)
    with pytest.raises(DeniedError, match="day"):
        there.call(REQUEST)
    for guard in (here, there):
        guard.close()


def test_a_stall_holds_nothing_and_is_over_when_it_is_over(server, tmp_path):
    """A crowd meets a server that says nothing for a while: refused, served soon afterwards, and nothing stays held."""
    engine = write_company(tmp_path / "p", POLICY.replace("0.0125", "1"))
    guard = Guard(engine, server.url(f"guard_{next(_NUMBERS)}") + "&timeout=0.5", alert_sinks=[])
    refused = []

    def call():
        try:
            guard.call(REQUEST).release()
        except DeniedError:
            refused.append(1)

    crowd_of(call)
    stalled = processes_of(server)
    for process in stalled:
        os.kill(process, signal.SIGSTOP)
    threads = [threading.Thread(target=call) for _ in range(12)]
    for thread in threads:
        thread.start()
    time.sleep(2.0)
    for process in reversed(stalled):
        os.kill(process, signal.SIGCONT)
    for thread in threads:
        thread.join()
    assert refused, "nobody waits for a silent server for ever"  # who still waited when it spoke again was served
    for _ in range(400):
        refused.clear()
        call()
        if not refused:
            break
        time.sleep(0.05)
    else:
        raise AssertionError("it is not served again")
    for _ in range(400):
        if all(line.held == 0 for line in guard.spend()):
            break
        time.sleep(0.05)
    else:
        raise AssertionError("what was refused stays held")
    guard.close()


def crowd_of(work):
    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def processes_of(server):
    """Return the server's process and its children."""
    parent = server.process.pid
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True, check=False)
    return [parent, *map(int, listed.stdout.split())]


def test_never_above_the_limit_and_each_alert_once(guards):
    done = []

    def work(guard):
        for _ in range(10):
            with contextlib.suppress(DeniedError), guard.call(REQUEST) as call:
                call.settle(USAGE)
                done.append(call.id)

    threads = [threading.Thread(target=work, args=(guard,)) for guard in guards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(done)) == len(done) == 10
    team, tokens = guards[1].spend()
    assert (team.used, team.held, team.left) == (Decimal("0.012"), 0, Decimal("0.0005"))
    assert (tokens.used, tokens.held) == (11_000, 0)
    assert all(guard.flush() for guard in guards)
    # Four guards tell, each what it reached, so that their order is open.
    assert sorted(event.threshold for event in guards[0].events) == ["0.5", "denied"]


def test_never_above_a_limit_of_weighted_tokens(server, tmp_path):
    policy = (
        "budgets: [{id: quota, hard_limit_tokens: 20000, count: {input: 1, cached_input: 0.1, output: 6.000001},"
        " window: {rolling: 1h}}]"
    )
    engine, url = write_company(tmp_path / "p", policy), server.url(f"guard_{next(_NUMBERS)}")
    guards = [Guard(engine, url, clock=Clock(), alert_sinks=[]) for _ in range(4)]
    usage = {**USAGE, "prompt_tokens_details": {"cached_tokens": 333}}
    each, done = 667 + Decimal("33.3") + Decimal("600.0001"), []

    def work(guard):
        for _ in range(8):
            with contextlib.suppress(DeniedError), guard.call(REQUEST) as call:
                call.settle(usage)
                done.append(call.id)

    threads = [threading.Thread(target=work, args=(guard,)) for guard in guards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (line,) = guards[1].spend()
    assert (line.used, line.held) == (len(done) * each, 0)
    assert line.left is not None
    assert 0 <= line.left < Decimal("1600.0001")  # less than what one more call would hold
    for guard in guards:
        guard.close()


def test_one_id_one_hold(guards):
    first, again = guards[0].call(REQUEST, id="job"), guards[1].call(REQUEST, id="job")
    assert again.decision.to_dict() == first.decision.to_dict()
    assert guards[2].spend("team", "red")[0].held == Decimal("0.0012")
    again.settle(USAGE)
    assert first.settle(USAGE).repeated
    with pytest.raises(CallConflictError):
        guards[2].call(REQUEST, id="job")


def test_every_key_of_a_scope_is_kept_apart(guards) -> None:
    guard, other = guards[:2]
    for key in KEYS:
        with guard.call({**REQUEST, "team": key}) as call:
            call.settle(USAGE)
    for key in KEYS:
        (spend,) = other.spend("p/team", key)
        assert (spend.key, spend.used) == (key, Decimal("0.0012")), key
    assert sorted(spend.key for spend in other.spend("p/team")) == sorted(KEYS)


@pytest.mark.parametrize("text", ["a\x00b", "\ud800"])
def test_texts_that_no_budget_goes_by_may_be_anything(guards, text: str) -> None:
    with guards[0].call({**REQUEST, "user": text, "tags": [text], "metadata": {text: text}}) as call:
        call.settle(USAGE)
    assert any(spend.used for spend in guards[1].spend("p/team", "red"))


def test_a_batch_is_settled_by_another_guard_and_refusals_say_when_its_holds_end(guards):
    batch = guards[0].submit({f"{number}": REQUEST for number in range(12)}, id="night", lease=timedelta(hours=1))
    assert (len(batch.calls), list(batch.refused)) == (10, ["10", "11"])
    refusal = batch.refused["10"]
    assert (refusal.used, refusal.held, refusal.limit) == (0, Decimal("0.012"), Decimal("0.0125"))
    assert refusal.hold_ends_at == batch.calls["0"].expires_at
    lines = [
        {"custom_id": "0", "response": {"status_code": 200, "body": {"usage": USAGE}}, "error": None},
        {"custom_id": "1", "response": None, "error": {"code": "batch_expired"}},
    ]
    for repeated in (False, True):
        settled = guards[1 + repeated].settle_batch("night", lines)
        assert (settled.charged["0"].repeated, list(settled.released)) == (repeated, ["1"])
    (line,) = guards[3].spend("team", "red")
    assert (line.used, line.held) == (Decimal("0.0012"), 8 * Decimal("0.0012"))


def test_a_crowd_of_sub_agents_shares_one_limit(server, tmp_path):
    policy = """
budgets:
  - {id: tree, scope: 'runAt(request.?run.orValue("none"), 1)', hard_limit_usd: 0.006, window: {lifetime: true}}
"""
    url, clock = server.url(f"guard_{next(_NUMBERS)}"), Clock()
    over: list[str] = []

    def work(name: str) -> None:
        with Guard(write_company(tmp_path / name, policy), url, clock=clock, alert_sinks=[]) as guard:
            with run("nightly"), run(name), contextlib.suppress(RunLimitError):
                for _ in range(9):
                    with guard.call(REQUEST) as call:
                        call.settle(USAGE)
            with run("nightly"), run(name), pytest.raises(RunLimitError) as error:
                guard.call(REQUEST)
            over.append(error.value.over)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert over == ["nightly"] * 4
    store = open_ledger(url)
    root, *agents = spend_of_runs(store, "nightly", clock())
    store.close()
    assert (root.run, root.total, root.total_held, root.share) == ("nightly", Decimal("0.006"), 0, 1)
    assert sum(item.calls for item in agents) == 5
    assert {item.run for item in agents} <= {f"nightly/{name}" for name in "abcd"}


def test_runs_of_a_crowd(server, tmp_path):
    """Guards that know nothing of each other let no run more begin than allowed, and none goes on that has ended."""
    engine = write_company(
        tmp_path / "r",
        "budgets: [{id: runs, scope: 'runAt(request.?run.orValue(\"\"), 1)', hard_limit_runs: 5,"
        " window: {lifetime: true}}]",
    )
    url, begun = server.url(f"guard_{next(_NUMBERS)}"), []

    def work(guard: Guard) -> None:
        for number in range(8):
            with contextlib.suppress(RunLimitError), guard.call({**REQUEST, "run": f"n/{number}"}) as call:
                call.settle(USAGE)
                begun.append(number)

    guards = [Guard(engine, url, alert_sinks=[]) for _ in range(3)]
    threads = [threading.Thread(target=work, args=(guard,)) for guard in guards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    here, there, _ = guards
    (runs,) = there.spend("runs")
    assert (runs.used, runs.held, len(set(begun)), len(begun)) == (5, 0, 5, 15)
    here.end_run("n")
    with pytest.raises(RunEndedError):
        there.call({**REQUEST, "run": f"n/{begun[0]}"})
    for guard in guards:
        guard.close()


def test_a_burn_rate_counts_what_all_processes_charged(server, tmp_path):
    engine, url, clock = write_company(tmp_path / "burn", BURN), server.url(f"guard_{next(_NUMBERS)}"), Clock()
    events = []
    one, other = (Guard(engine, url, clock=clock, max_age=0, alert_sinks=[events.append]) for _ in range(2))
    with one, other:
        for guard in (one, other):
            with guard.call(REQUEST) as call:
                assert call.decision.model == "nano"
                call.settle(USAGE)
        assert one.flush()
        assert other.flush()
        assert [event.threshold for event in events] == ["burn_rate:2/1h"]
        assert "nano" in {item.model for item in one.decide(REQUEST).excluded}
        clock.move(minutes=6)  # it does not go on
        assert one.decide(REQUEST).model == "nano"


def test_the_first_charge_of_a_window_from_first_use_can_burn_too_fast(server, tmp_path):
    policy = BURN.replace("calendar: day", "from_first_use: 24h").replace("0.0288", "0.0144")
    engine, events = write_company(tmp_path / "first", policy), []
    url, clock = server.url(f"guard_{next(_NUMBERS)}"), Clock()
    with Guard(engine, url, clock=clock, alert_sinks=[events.append]) as guard:
        for _ in range(2):
            guard.call(REQUEST).settle(USAGE)
            assert guard.flush()
            assert [event.threshold for event in events] == ["burn_rate:2/1h"]
            clock.move(minutes=1)


ASKING = """
budgets:
  - id: team
    hard_limit_usd: 0.01
    window: {calendar: day}
    thresholds: [{at_ratio: 0.1, needs_approval: {reason: Ann decides}}]
"""


def test_an_approval_is_asked_for_once_and_holds_for_every_process(server, tmp_path):
    engine, url, clock = write_company(tmp_path / "asking", ASKING), server.url(f"guard_{next(_NUMBERS)}"), Clock()
    one, other = (Guard(engine, url, clock=clock, alert_sinks=[]) for _ in range(2))
    with one, other, contextlib.closing(open_ledger(url)) as store:
        ids = set()
        for guard in (one, other):
            with pytest.raises(ApprovalNeededError) as caught:
                guard.call(REQUEST)
            ids.add(caught.value.approval)
        (asked,) = store.entries(EntryQuery()).items
        assert ids == {asked.call}
        up_to = 4 * 10**12
        store.adjust(Adjustment("yes", "approve", asked.account, up_to, "Ann", "fine", clock(), threshold="0.1"))
        calls = 0
        with contextlib.suppress(ApprovalNeededError):
            while calls < 20:
                (one, other)[calls % 2].call(REQUEST).settle(USAGE)
                calls += 1
        (spend,) = one.spend()
        assert 0 < calls < 20
        assert spend.used <= Decimal("0.004")
