"""Runs: blocks, their places in the tree, limits that a tree shares, and runs that are over."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from contextvars import copy_context
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest

from costlens_policy import AsyncGuard, DeniedError, Engine, Guard, RunEndedError, RunLimitError, run
from costlens_policy.guard import GuardError, any_guard, run_now
from costlens_policy.ledger import MemoryStore
from tests.guard.company import REQUEST, Breakable

POLICY = """
budgets:
  - {id: tree, scope: 'runAt(request.?run.orValue("none"), 1)', hard_limit_requests: 4, window: {lifetime: true}}
  - {id: share, when: 'runDepth(request.?run.orValue("")) > 1', scope: 'runAt(request.?run.orValue("none"), 2)',
     hard_limit_requests: 2, window: {lifetime: true}}
"""
LOOP = """
budgets:
  - {id: loop, scope: 'runAt(request.?run.orValue("none"), 1) + " " + digest(text(request))', hard_limit_requests: 3,
     window: {calendar: day}, thresholds: [{at_ratio: 0.6, alert: the same again}]}
"""
USAGE = {"prompt_tokens": 10, "completion_tokens": 1}


def ask(guard: Guard, **more: Any) -> None:
    with guard.call({**REQUEST, **more}) as call:
        call.settle(USAGE)


def test_a_tree_shares_its_limit(guard_of: Callable[..., Guard]) -> None:
    guard = guard_of(POLICY)
    with run("nightly"):
        ask(guard)
        with run("search"):
            ask(guard)
            with run("deeper"):
                ask(guard)
                with pytest.raises(RunLimitError) as share:
                    ask(guard)
        with run("write"):
            ask(guard)  # what its sibling may not take is free for it
            with pytest.raises(RunLimitError) as tree:
                ask(guard)
    with run("another"):
        ask(guard)
    assert (share.value.run, share.value.over) == ("nightly/search/deeper", "nightly/search")
    assert (share.value.root, share.value.budget, share.value.key) == ("nightly", "p/share", "nightly/search")
    assert (tree.value.over, tree.value.budget) == ("nightly", "p/tree")
    again = pickle.loads(pickle.dumps(tree.value))
    assert (type(again), again.over, str(again)) == (RunLimitError, "nightly", str(tree.value))


@pytest.mark.parametrize("scope", ["", 'scope: request.?team.orValue("nobody"), '])
def test_another_budget_is_not_the_end_of_a_run(scope: str, guard_of: Callable[..., Guard]) -> None:
    guard = guard_of(f"budgets: [{{id: day, {scope}hard_limit_requests: 0, window: {{calendar: day}}}}]")
    with run("red"), pytest.raises(DeniedError) as denied:  # as the team is called
        ask(guard)
    assert type(denied.value) is DeniedError


def test_loops(guard_of: Callable[..., Any]) -> None:
    guard = guard_of(LOOP)
    with run("nightly"):
        for model in ("nano", "large", "nano"):
            ask(guard, model=model)
        with run("search"), pytest.raises(DeniedError, match="p/loop"):
            ask(guard)
        ask(guard, prompt="something else")
    with run("another"):
        ask(guard)
    assert guard.flush()
    assert [event.text for event in guard.events if event.kind == "alert"] == ["the same again"]


def test_the_places_of_blocks() -> None:
    assert run_now() is None
    with run("a") as a, run("b/c") as c, run() as own:
        assert (a.path, a.parent, a.root, a.depth) == ("a", None, "a", 1)
        assert (c.path, c.parent, c.root, c.depth) == ("a/b/c", "a/b", "a", 3)
        assert own.parent == c.path
        assert run_now() is own
        with run("worker", parent="elsewhere/x") as far:
            assert far.path == "elsewhere/x/worker"
        assert run_now() is own
    assert run_now() is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [("a", "own ancestor"), ("", "none of them empty"), (3, "must be a string"), ("x" * 300, "200")],
)
def test_names_that_are_none(name: Any, problem: str) -> None:
    with run("a"), pytest.raises(GuardError, match=problem):
        run(name)


def test_a_block_is_entered_once() -> None:
    with (block := run("a")), pytest.raises(GuardError, match="entered before"), block:
        pass
    with pytest.raises(GuardError, match="entered before"), block:
        pass


def test_a_run_that_has_ended(guard_of: Callable[..., Guard]) -> None:
    guard = guard_of(POLICY)
    with run("nightly"), run("search"):
        context = copy_context()
        context.run(ask, guard)
    with pytest.raises(RunEndedError) as ended:
        context.run(ask, guard)
    assert (ended.value.run, ended.value.over) == ("nightly/search", "nightly/search")
    assert "run: `nightly/search` has ended" in str(ended.value)
    assert not ended.value.decision.allowed
    assert {line.key: line.used for line in guard.spend("tree")} == {"nightly": 1}


def test_threads_inherit_a_context_that_they_are_given(guard_of: Callable[..., Guard]) -> None:
    guard = guard_of(POLICY)
    with run("nightly"):
        thread = Thread(target=copy_context().run, args=(ask, guard))
        thread.start()
        thread.join(30)
    assert {line.key: line.used for line in guard.spend("tree")} == {"nightly": 1}


def test_tasks_inherit_the_run(company: Callable[..., Engine], ledger: Any) -> None:
    async def main() -> None:
        async with AsyncGuard(company(POLICY), ledger, alert_sinks=[]) as guard:
            begun, left = asyncio.Event(), asyncio.Event()

            async def work() -> None:
                async with guard.call(REQUEST) as call:
                    await call.settle(USAGE)
                begun.set()
                await left.wait()
                await guard.call(REQUEST)

            with run("nightly"):
                assert (await guard.decide(REQUEST)).request["run"] == "nightly"
                await guard.models(REQUEST)
                task = asyncio.create_task(work())
                await asyncio.wait_for(begun.wait(), 30)
            left.set()
            with pytest.raises(RunEndedError):
                await task
            assert {line.key: (line.used, line.held) for line in await guard.spend("tree")} == {"nightly": (1, 0)}

    asyncio.run(main())


def test_a_denial_of_an_ended_run_is_logged_once(company: Callable[..., Engine]) -> None:
    class Log:
        def __init__(self) -> None:
            self.seen: list[tuple[bool, str]] = []

        def decided(self, decision: Any, id: str, held: bool) -> None:
            self.seen.append((decision.allowed, decision.request.get("run")))

        def charged(self, *_: Any) -> None: ...

        def released(self, *_: Any) -> None: ...

    log = Log()
    guard = Guard(company(POLICY), MemoryStore(), alert_sinks=[], log=log)
    with run("nightly"):
        context = copy_context()
    with pytest.raises(RunEndedError):
        context.run(guard.call, REQUEST)
    assert log.seen == [(False, "nightly")]
    guard.close()


RUNS = """
budgets:
  - {id: agents, when: 'runDepth(request.?run.orValue("")) > 1', scope: 'runAt(request.?run.orValue("none"), 1)',
     hard_limit_runs: 2, window: {lifetime: true}, thresholds: [{at_ratio: 1, alert: the last sub-agent}]}
  - {id: usd, hard_limit_requests: 12, window: {lifetime: true}}
"""


def test_a_limit_on_the_number_of_runs(guard_of: Callable[..., Guard]) -> None:
    guard, other = guard_of(RUNS), guard_of(RUNS)
    ask(guard)  # outside of runs
    for each in (guard, other):
        for path in ("a", "a/1", "a/2", "b/1", "a/1"):
            ask(each, run=path)
        for path in ("a/3", "a/1/deeper"):
            with pytest.raises(RunLimitError) as limit:
                ask(each, run=path)
            assert (limit.value.budget, limit.value.over, limit.value.used) == ("p/agents", "a", 2)
    assert guard.decide({**REQUEST, "run": "a/2"}).allowed
    assert not guard.decide({**REQUEST, "run": "a/3"}).allowed
    assert {line.key: (line.used, line.held) for line in guard.spend("agents")} == {"a": (2, 0), "b": (1, 0)}
    (calls,) = guard.spend("usd")
    assert (calls.used, calls.held) == (11, 0)
    assert guard.flush()
    assert [event.key for event in guard.events if event.kind == "alert"] == ["a"]


def test_what_is_refused_for_its_run_is_given_back_and_counts_no_run(guard_of: Callable[..., Guard]) -> None:
    guard = guard_of(RUNS.replace("hard_limit_requests: 12", "hard_limit_requests: 1"))
    held = guard.call({**REQUEST, "run": "a/1"}, id="job")
    with pytest.raises(DeniedError):
        guard.call({**REQUEST, "run": "a/2"})
    held.release()
    again = guard.call({**REQUEST, "run": "a/1"}, id="job")
    again.settle(USAGE)
    assert guard.settle("job", USAGE).repeated
    assert {line.key: (line.used, line.held) for line in guard.spend()} == {"a": (1, 0), "": (1, 0)}


def test_a_run_counts_anew_in_each_window(guard_of: Callable[..., Guard], clock: Any) -> None:
    guard = guard_of(RUNS.replace("window: {lifetime: true}, thr", "window: {calendar: day}, thr"))
    for path in ("a/1", "a/2"):
        ask(guard, run=path)
    clock.now += timedelta(days=1)
    ask(guard, run="a/3")
    ask(guard, run="a/1")
    with pytest.raises(RunLimitError):
        ask(guard, run="a/2")


def test_an_end_is_on_record_for_every_guard(guard_of: Callable[..., Guard]) -> None:
    guard, other = guard_of(POLICY), guard_of(POLICY)
    with guard.run("nightly") as nightly, run("search"):
        late = guard.call(REQUEST)
        ask(other)
    assert nightly.path == "nightly"
    for each in (other, guard):
        for path in ("nightly", "nightly/search"):
            with pytest.raises(RunEndedError) as ended:
                ask(each, run=path)
            assert (ended.value.run, ended.value.over) == (path, "nightly")
    late.settle(USAGE)  # what was held may go on
    ask(other, run="nightly2")
    other.end_run("nightly2/x")
    ask(guard, run="nightly2")
    with pytest.raises(RunEndedError):
        ask(guard, run="nightly2/x/y")
    assert {line.key: (line.used, line.held) for line in guard.spend("tree")} == {"nightly": (2, 0), "nightly2": (2, 0)}


@pytest.mark.parametrize(
    ("path", "problem"), [("a/a", "own ancestor"), ("", "none of them empty"), (3, "must be a string")]
)
def test_only_paths_end(path: Any, problem: str, guard_of: Callable[..., Guard]) -> None:
    with pytest.raises(GuardError, match=problem):
        guard_of(POLICY).end_run(path)


def test_no_call_has_the_id_of_an_end(guard_of: Callable[..., Guard]) -> None:
    with pytest.raises(GuardError, match="must not begin with `~run`"):
        guard_of(POLICY).call(REQUEST, id="~run-end:nightly")


def test_an_end_without_budgets(guard_of: Callable[..., Guard]) -> None:
    store = Breakable(MemoryStore())
    guard, other = guard_of("", ledger=store), guard_of("", ledger=store.inner)
    ask(guard, run="a")
    store.broken = True
    guard.end_run("a")
    for id in (None, "named"):
        with pytest.raises(RunEndedError):
            guard.call({**REQUEST, "run": "a"}, id=id)
    store.broken = False
    guard._shared.link.close(store_too=False)
    with pytest.raises(RunEndedError):
        ask(other, run="a")


def test_an_end_that_is_awaited(company: Callable[..., Engine], ledger: Any) -> None:
    async def main() -> None:
        async with AsyncGuard(company(POLICY), ledger, alert_sinks=[]) as guard:
            async with guard.run("nightly"):
                await (await guard.call(REQUEST)).settle(USAGE)
            with pytest.raises(RunEndedError):
                await guard.call({**REQUEST, "run": "nightly/x"})
            with pytest.raises(GuardError, match="async with"), guard.run("x"):  # type: ignore[attr-defined]
                pass

    asyncio.run(main())


OUTAGE = "ledger: {unreachable: allow, allowance_usd: 1}"


def test_an_end_in_an_outage_counts_at_once_and_is_written_later(company: Callable[..., Engine]) -> None:
    store = Breakable(MemoryStore())
    guard = Guard(company(POLICY, more=OUTAGE), store, alert_sinks=[])
    other = Guard(company(POLICY), store.inner, alert_sinks=[])
    ask(guard, run="a/1")
    guard.end_run("known")
    store.broken = True
    guard.end_run("a")
    with guard.run("b") as block:
        context = copy_context()
        ask(guard)
    assert block.path == "b"
    for path in ("a", "a/1", "b", "known/x"):
        for id in (None, f"call {path}"):
            with pytest.raises(RunEndedError) as ended:
                guard.call({**REQUEST, "run": path}, id=id)
            assert ended.value.over == path[:5].partition("/")[0]
    with pytest.raises(RunEndedError):
        context.run(guard.call, REQUEST)
    ask(guard, run="c")
    store.broken = False
    guard.close()
    for path in ("a", "b"):
        with pytest.raises(RunEndedError):
            ask(other, run=path)
    ask(other, run="c")


def test_what_the_ledger_said_of_an_end_is_known_in_an_outage(company: Callable[..., Engine]) -> None:
    store = Breakable(MemoryStore())
    guard = Guard(company(POLICY, more=OUTAGE), store, alert_sinks=[])
    Guard(company(POLICY), store.inner, alert_sinks=[]).end_run("a")
    for store.broken in (False, True):
        with pytest.raises(RunEndedError):
            ask(guard, run="a/1")
    guard.close()


def test_an_end_that_is_never_written_is_said(
    company: Callable[..., Engine], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(any_guard, "_CLOSING", 0.1)
    store = Breakable(MemoryStore())
    guard = Guard(company(POLICY), store, alert_sinks=[])
    store.broken = True
    guard.end_run("a")
    guard.close()
    assert "the end of run `a` waits for the ledger" in caplog.text
    assert "1 charges or ends of runs are lost" in caplog.text
