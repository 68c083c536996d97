"""Budgets that are reserved from others: with several guards, without a ledger, in replays and in listings."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from costlens_policy import Engine, Guard, RunEndedError, RunLimitError, ShareRefusedError
from costlens_policy.cli.app import app
from costlens_policy.ledger import MemoryStore
from costlens_policy.replay import Settings
from costlens_policy.replay.files import replay_files
from costlens_policy.replay.traffic.mapping import ColumnMapping
from tests.guard.company import REQUEST, Breakable, Clock, Timer, write_company

USAGE = {"prompt_tokens": 1000, "completion_tokens": 100}
SHARES = """
budgets:
  - {id: whole, scope: 'runAt(request.?run.orValue(""), 1)', hard_limit_requests: 10, window: {lifetime: true}}
  - id: share
    when: runDepth(request.?run.orValue("")) > 1
    scope: runAt(request.?run.orValue(""), 2)
    hard_limit_requests: 4
    reserved_from: whole
    reserved_for: 10m
    window: {lifetime: true}
"""


@pytest.fixture(scope="module")
def engine_of_shares(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return write_company(tmp_path_factory.mktemp("shares") / "p", SHARES)


def of(path: str) -> dict[str, Any]:
    return {**REQUEST, "run": path}


def found(guard: Guard, budget: str = "whole") -> dict[str, tuple[int, int, int]]:
    return {line.key: (int(line.used), int(line.held), int(line.set_aside)) for line in guard.spend(budget)}


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_calls_of_two_guards_are_those_of_a_plain_sum(engine_of_shares: Engine, data: st.DataObject) -> None:
    """The whole has 10 calls, each child 4 of its own from its first call on; nobody is refused without need."""
    store, used, children = MemoryStore(), Counter[str](), set[str]()
    guards = [Guard(engine_of_shares, store, clock=Clock(), alert_sinks=[]) for _ in range(2)]
    steps = st.tuples(st.sampled_from(guards), st.sampled_from(["n", "n/a", "n/b", "n/b/x", "n/c"]), st.booleans())
    for guard, path, settles in data.draw(st.lists(steps, max_size=25)):
        key = "/".join(path.split("/")[:2])
        aside = {child: 4 - used[child] for child in children if child != key}
        wanted = 1 if key == "n" or key in children else 4 - used[key]
        fits = sum(used.values()) + sum(aside.values()) + wanted <= 10 and (key == "n" or used[key] < 4)
        assert guard.decide(of(path)).allowed is fits
        if not fits:
            alone = sum(used.values()) + sum(aside.values()) < 10
            begins = key != "n" and key not in children and alone
            with pytest.raises(ShareRefusedError if begins else RunLimitError):
                guard.call(of(path))
            continue
        with guard.call(of(path)) as call:
            if settles:
                call.settle(USAGE)
        if key != "n":
            children.add(key)
        used[key] += settles
    spent, held, aside_now = found(guards[0]).get("n", (0, 0, 0))
    assert spent == sum(used.values())
    assert held == aside_now == sum(4 - used[child] for child in children)


def test_what_is_left_is_free_for_every_process_once_the_run_has_ended(
    guard_of: Callable[..., Guard], company: Callable[..., Engine], ledger: Any, clock: Clock
) -> None:
    guard = guard_of(SHARES)
    with Guard(
        company(SHARES),
        guard._shared.link._open_store() if isinstance(ledger, MemoryStore) else ledger,
        clock=clock,
        alert_sinks=[],
    ) as other:
        for path in ("n/a", "n/b"):
            guard.call(of(path)).settle(USAGE)
        with pytest.raises(ShareRefusedError, match="3 requests to set aside"):
            other.call(of("n/c"))
        under_way = guard.call(of("n/b"))
        other.end_run("n/b")
        other.call(of("n/c")).settle(USAGE)
        assert found(guard)["n"] == (3, 7, 6)
        with pytest.raises(RunEndedError):
            guard.call(of("n/b"))
        under_way.settle(USAGE)
        assert found(other)["n"] == (4, 6, 6)


def test_a_share_of_a_share(guard_of: Callable[..., Guard]) -> None:
    guard = guard_of(
        SHARES
        + """
  - id: inner
    when: runDepth(request.?run.orValue("")) > 2
    scope: runAt(request.?run.orValue(""), 3)
    hard_limit_requests: 2
    reserved_from: share
    window: {lifetime: true}
"""
    )
    guard.call(of("n/a/x")).settle(USAGE)
    assert found(guard)["n"] == (1, 3, 3)
    assert found(guard, "share")["n/a"] == (1, 1, 1)
    for _ in range(2):
        guard.call(of("n/a")).settle(USAGE)
    with pytest.raises(RunLimitError, match="1 requests of it set aside"):
        guard.call(of("n/a"))
    guard.call(of("n/a/x")).settle(USAGE)
    assert found(guard)["n"] == (4, 0, 0)


def test_without_a_ledger_calls_go_by_what_was_set_aside(company: Callable[..., Engine]) -> None:
    """In this process alone: what is set aside for others is not taken, and nothing counts twice."""
    more = "ledger: {unreachable: allow, allowance_usd: 1}"
    store, timer, clock = Breakable(MemoryStore()), Timer(), Clock()
    with Guard(company(SHARES, more=more), store, clock=clock, timer=timer, alert_sinks=[]) as guard:
        for path in ("n/a", "n/b"):
            guard.call(of(path)).settle(USAGE)
        store.broken = True
        for _ in range(2):
            guard.call(of("n")).settle(USAGE)
        with pytest.raises(RunLimitError, match="set aside"):
            guard.call(of("n"))
        for _ in range(3):
            guard.call(of("n/a")).settle(USAGE)
        with pytest.raises(RunLimitError, match="7 requests used and 3 requests held"):
            guard.call(of("n/a"))
        store.broken = False
        timer.seconds += 60
        guard.call(of("m")).settle(USAGE)
        assert found(guard)["n"] == (7, 6, 6), "the charges that waited drew on nothing"
        clock.move(minutes=11)
        assert found(guard)["n"] == (7, 0, 0)


def test_a_replay_sets_aside_as_long_as_calls_go_on(engine_of_shares: Engine, tmp_path: Path) -> None:
    """Two children have 8 of 10 set aside. After 10 minutes without a call what the first one left is free."""
    runs = [(0, "n/a"), (1, "n/b"), (2, "n/c"), (3, "n"), (3, "n"), (4, "n"), (9, "n/b"), (11, "n"), (12, "n/a")]
    lines = [f"2026-05-01T00:{minute:02}:00Z,{run},nano,1000,100" for minute, run in runs]
    file = tmp_path / "calls.csv"
    file.write_text("time,run,model,prompt_tokens,output_tokens\n" + "\n".join(lines) + "\n", encoding="utf-8")
    columns = {name: name for name in ("time", "model", "prompt_tokens", "output_tokens")} | {"request.run": "run"}
    result = replay_files(engine_of_shares.plan, [str(file)], ColumnMapping("csv", columns), Settings())
    assert "`p/share` is reserved from `p/whole`" in result.by_rows
    assert result.denied == {("p/whole", "budget"): 3}, "`n/c`, the third of `n`, and `n/a`, for which 3 are not there"


def test_listings_show_what_is_set_aside(tmp_path: Path) -> None:
    write_company(tmp_path / "p", SHARES)
    url = f"sqlite:///{tmp_path / 'spend.db'}"
    with Guard(write_company(tmp_path / "p", SHARES), url, alert_sinks=[]) as guard:
        guard.call(of("n/a")).settle(USAGE)
    arguments = ["budget", "status", str(tmp_path / "p"), "--ledger", url, "--format"]
    said = CliRunner().invoke(app, [*arguments, "table"], env={"COLUMNS": "160"})
    assert said.exit_code == 0, said.output
    assert {"set aside", "reserved"} <= set(re.split(r"\s{2,}", said.output))
    listed = json.loads(CliRunner().invoke(app, [*arguments, "json"]).output)
    amounts = {row["key"]: (row["held"], row["set_aside"], row["reserved"]) for row in listed}
    assert amounts == {"n": ("3", "3", None), "n/a": ("0", "0", "3")}


def test_what_is_set_aside_ends_with_the_period_that_it_is_for(tmp_path: Path) -> None:
    """A day's share of a month is of no use on the next day, and free for all then, however long it would last."""
    engine = write_company(tmp_path / "p", """
budgets:
  - {id: month, hard_limit_requests: 5, window: {calendar: month}}
  - id: day
    scope: request.user
    hard_limit_requests: 2
    reserved_from: month
    reserved_for: 25h
    window: {calendar: day}
""")  # fmt: skip
    clock = Clock()
    with Guard(engine, MemoryStore(), clock=clock, alert_sinks=[]) as guard:
        for user in ("a", "b"):
            guard.call({**REQUEST, "user": user}).settle(USAGE)
        assert found(guard, "month") == {"": (2, 2, 2)}
        clock.move(hours=24)
        assert found(guard, "month") == {"": (2, 0, 0)}
        guard.call({**REQUEST, "user": "a"}).settle(USAGE)
        assert found(guard, "month") == {"": (3, 1, 1)}
