"""Limits on the number of runs: against a plain set of names, with crowds and kills, in replays and in logs."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costlens_policy import DeniedError, Engine, Guard, RunLimitError, load
from costlens_policy.decision_log import decide_again
from costlens_policy.decision_log.entries import decision_entry
from costlens_policy.engine.mask import Mask
from costlens_policy.guard.run_records import RESERVED
from costlens_policy.ledger import Held, Hold, MemoryStore, Refused
from costlens_policy.replay import Result, Settings
from costlens_policy.replay.files import replay_files
from costlens_policy.replay.traffic.mapping import ColumnMapping
from tests.conftest import ROOT
from tests.guard.company import REQUEST, START, Breakable, Clock, write_company
from tests.ledger.servers import postgresql_server, redis_server

SOAK = bool(os.environ.get("COSTLENS_SOAK"))
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100}
RUNS = """
budgets:
  - {id: runs, scope: 'runAt(request.?run.orValue(""), 1)', hard_limit_runs: 3, window: {lifetime: true}}
  - {id: calls, scope: 'runAt(request.?run.orValue(""), 1)', hard_limit_requests: 1000, window: {lifetime: true}}
"""
KILLED = """
import os, random, signal, sys
from costlens_policy import DeniedError, Guard, load
from tests.guard.company import REQUEST

numbers = random.Random(int(sys.argv[3]))
guard = Guard(load(sys.argv[1]), sys.argv[2], alert_sinks=[])
store = guard._shared.link.ask(lambda store: store)
steps = numbers.randrange(1, 12)

def dying(name):
    inner = getattr(store, name)
    def ask(*arguments):
        global steps
        before = numbers.random() < 0.5
        steps -= 1
        if steps == 0 and before:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = inner(*arguments)
        if steps == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer
    return ask

for name in ("reserve", "charge", "release", "reservation"):
    setattr(store, name, dying(name))
while True:
    run = f"n/{numbers.randrange(6)}"
    try:
        with guard.call({**REQUEST, "run": run}) as call:
            print(run, flush=True)
            call.settle({"prompt_tokens": 1000, "completion_tokens": 100})
    except DeniedError:
        pass
"""


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_calls_of_two_guards_are_those_of_a_set_of_names(engine_of_runs: Engine, data: st.DataObject) -> None:
    store, counted = MemoryStore(), dict[str, set[str]]()
    guards = [Guard(engine_of_runs, store, alert_sinks=[]) for _ in range(2)]
    paths = st.sampled_from(["a", "a/1", "a/2", "a/2/x", "b", "b/1", "b/2", "b/3"])
    for guard, path, settles in data.draw(st.lists(st.tuples(st.sampled_from(guards), paths, st.booleans()))):
        names = counted.setdefault(path[0], set())
        allowed = path in names or len(names) < 3
        assert guard.decide({**REQUEST, "run": path}).allowed is allowed
        if not allowed:
            with pytest.raises(RunLimitError):
                guard.call({**REQUEST, "run": path})
            continue
        names.add(path)
        with guard.call({**REQUEST, "run": path}) as call:
            if settles:
                call.settle(USAGE)
    spend = {line.key: (int(line.used), int(line.held)) for line in guards[0].spend("runs")}
    assert spend == {root: (len(names), 0) for root, names in counted.items()}


@pytest.fixture(scope="module")
def engine_of_runs(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return write_company(tmp_path_factory.mktemp("runs") / "p", RUNS)


@pytest.fixture(params=["sqlite", "redis", "postgresql"] if SOAK else ["sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A ledger that nobody has used: in a file, and in the long form in servers, too."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'killed.db'}"
        return
    with (redis_server if request.param == "redis" else postgresql_server)() as server:
        yield server.url("killed_runs")


def test_killed_processes_let_no_run_too_many_begin(engine_of_runs: Engine, url: str, tmp_path: Path) -> None:
    """Wherever a process is killed, a run that made a call counts, and no more runs do than are allowed."""
    folder = tmp_path / "p"
    write_company(folder, RUNS)
    began: set[str] = set()
    seeds = [random.randrange(10**6) for _ in range(200 if SOAK else 4)]
    for seed in seeds:
        arguments = [sys.executable, "-c", KILLED, str(folder), url, str(seed)]
        ended = subprocess.run(arguments, cwd=ROOT, check=False, capture_output=True, text=True)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        began.update(ended.stdout.split())
        assert len(began) <= 3
    with Guard(load(folder), url, alert_sinks=[]) as guard:
        known = sum(line.used + line.held for line in guard.spend("runs"))  # nothing where none came as far
        assert len(began) <= known <= 3, seeds
        for path in began:  # they all go on, and what a killed process left is charged with that
            with guard.call({**REQUEST, "run": path}) as call:
                call.settle(USAGE)
        assert sum(line.used for line in guard.spend("runs")) >= len(began), seeds


class Noting(MemoryStore):
    """A store that keeps the holds that it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[Hold] = []

    def reserve(self, hold: Hold) -> Held | Refused:
        self.held.append(hold)
        return super().reserve(hold)


@pytest.mark.parametrize("others", [1, 2])
def test_a_run_that_a_killed_process_began_is_charged_by_its_next_call(engine_of_runs: Engine, others: int) -> None:
    """Also where the budget has no room for another: what is held would be free once its lease ends."""
    store = Noting()
    with Guard(engine_of_runs, store, alert_sinks=[]) as guard:
        for number in range(others):
            with guard.call({**REQUEST, "run": f"n/{number}"}) as call:
                call.settle(USAGE)
        begun = next(hold for hold in store.held if hold.call.startswith(RESERVED))
        name = begun.call.removesuffix("n/0") + "n/left"
        assert isinstance(store.reserve(replace(begun, call=name)), Held)
        (runs,) = guard.spend("runs")
        assert (runs.used, runs.held) == (others, 1)
        assert guard.decide({**REQUEST, "run": "n/left"}).allowed
        for used in (others + 1, others + 1):
            with guard.call({**REQUEST, "run": "n/left"}) as call:
                call.settle(USAGE)
            (runs,) = guard.spend("runs")
            assert (runs.used, runs.held) == (used, 0)


def test_an_overflow_and_a_budget_in_shadow(company: Callable[..., Engine]) -> None:
    policy = """
budgets:
  - {id: runs, hard_limit_runs: 1, overflow: more, window: {lifetime: true}}
  - {id: more, hard_limit_requests: 2, window: {lifetime: true}}
  - {id: watched, hard_limit_runs: 1, shadow: true, window: {lifetime: true}}
"""
    with Guard(company(policy), MemoryStore(), alert_sinks=[]) as guard:
        for path in ("a", "b", "a", "b"):
            with guard.call({**REQUEST, "run": path}) as call:
                call.settle(USAGE)
        with pytest.raises(DeniedError, match="p/more"):
            guard.call({**REQUEST, "run": "b"})
        assert {line.budget: line.used for line in guard.spend()} == {"p/runs": 1, "p/more": 2, "p/watched": 2}


def test_a_ledger_that_is_lost_between_a_hold_and_its_run(company: Callable[..., Engine]) -> None:
    class Losing(Breakable):
        def reserve(self, hold: Any) -> Any:
            if hold.call.startswith("~run"):
                self.broken = True
            return self.__getattr__("reserve")(hold)

    store = Losing(MemoryStore())
    guard = Guard(company(RUNS), store, alert_sinks=[])
    with pytest.raises(DeniedError, match="cannot be reached"):
        guard.call({**REQUEST, "run": "a"})
    store.broken = False
    guard.close()
    with Guard(company(RUNS), store.inner, alert_sinks=[]) as again:
        assert {(line.used, line.held) for line in again.spend()} <= {(0, 0)}


def replayed(engine: Engine, file: Path) -> Result:
    fields = ("time", "model", "prompt_tokens", "output_tokens")
    mapping = ColumnMapping("calls", {"request.run": "run"} | {name: name for name in fields})
    return replay_files(engine.plan, [str(file)], mapping, Settings())


def test_a_replay_counts_each_run_once(engine_of_runs: Engine, tmp_path: Path) -> None:
    rows = ["a/1", "a/2", "a/1", "a/3", "a/4", "b/1", "a/2", ""]
    file = tmp_path / "calls.csv"
    lines = [f"2026-05-01T00:00:0{number}Z,{run},nano,1000,100" for number, run in enumerate(rows)]
    file.write_text("time,run,model,prompt_tokens,output_tokens\n" + "\n".join(lines) + "\n", encoding="utf-8")
    result = replayed(engine_of_runs, file)
    assert dict(result.allowed) == {"default": 7}
    assert [rule for rule, _ in result.denied] == ["p/runs"]


def test_a_run_goes_on_when_its_beginning_has_left_a_window(company: Callable[..., Engine], tmp_path: Path) -> None:
    engine, clock = company("budgets: [{id: runs, hard_limit_runs: 1, window: {rolling: 1h}}]"), Clock()
    file = tmp_path / "calls.csv"
    hours = [(0, "a"), (2, "a"), (2, "b"), (2, "c"), (4, "b")]
    with Guard(engine, MemoryStore(), alert_sinks=[], clock=clock) as guard:
        for at, run in hours:
            clock.now = START + timedelta(hours=at)
            assert guard.decide({**REQUEST, "run": run}).allowed is (run != "c")
            if run != "c":
                guard.call({**REQUEST, "run": run}).settle(USAGE)
    lines = [f"2026-05-01T0{at}:00:00Z,{run},nano,1000,100" for at, run in hours]
    file.write_text("time,run,model,prompt_tokens,output_tokens\n" + "\n".join(lines) + "\n", encoding="utf-8")
    assert replayed(engine, file).allowed.total() == 4


def test_a_log_is_decided_again(engine_of_runs: Engine) -> None:
    seen: list[Any] = []

    class Log:
        def decided(self, decision: Any, id: str = "", held: bool = False) -> None:
            seen.append(decision)

        def charged(self, *_: Any) -> None: ...

        def released(self, *_: Any) -> None: ...

    with Guard(engine_of_runs, MemoryStore(), alert_sinks=[], log=Log()) as guard:
        for path in ("a", "b", "a"):
            guard.call({**REQUEST, "run": path}).release()
    for decision in seen:
        entry = json.loads(json.dumps(decision_entry(decision, "1", True, Mask(), record=False)))
        assert decide_again(engine_of_runs, entry).verdict == "same"


def test_runs_that_begin_in_an_outage_count_here_at_once_and_there_later(company: Callable[..., Engine]) -> None:
    store = Breakable(MemoryStore())
    more = "ledger: {unreachable: allow, allowance_usd: 1}"
    guard = Guard(company(RUNS, more=more), store, alert_sinks=[])
    other = Guard(company(RUNS), store.inner, alert_sinks=[])

    def ask(path: str, by: Guard = guard) -> None:
        with by.call({**REQUEST, "run": path}) as call:
            call.settle(USAGE)

    ask("a/1")
    ask("a/2", other)
    store.broken = True
    for path in ("a/1", "a/2", "a/3", "a/3", "b/1"):
        ask(path)  # how many there are is not known here: `a/2` is not
    with pytest.raises(RunLimitError):
        ask("a/4")
    store.broken = False
    guard.close()
    assert {line.key: line.used for line in other.spend("runs")} == {"a": 3, "b": 1}
    with pytest.raises(RunLimitError):
        ask("a/4", other)
    ask("a/3", other)
