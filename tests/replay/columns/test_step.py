"""The function that a distributed engine would call: Arrow data in, an explicit state out."""

from __future__ import annotations

import json
import pickle
import re
from datetime import UTC, datetime

import polars as pl
import pytest

from costlens_policy.replay import BatchError, MergeError, Settings, replay
from costlens_policy.replay.columns import Job, State, step
from costlens_policy.replay.columns.batch import batch_of
from tests.replay.columns.traffic import facts, random_traffic

AT = 1_780_000_000_000_000
"""Microseconds, in May 2026."""
ROUTES = "routes:\n  - {id: r, when: 'has(request.team) && request.team == \"a\"', model: small}\n"


class Foreign:
    """Data of another library, of which nothing is known but that it hands out Arrow."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._frame.__arrow_c_stream__(requested_schema)


def _job(plan) -> Job:
    return Job(plan, Settings(), ("team",), ("f",), split=True)


def test_arrow_of_any_library_is_taken(plan_of):
    plan = plan_of(ROUTES)
    job, traffic = _job(plan), random_traffic(3, 200, ["large"], {"team": ["a", "b"]})
    state = step(job, State(job), Foreign(batch_of(traffic.rows, plan, job.attributes, lambda _: 0)))
    got = state.sums.result(Settings(), job.prices, ("f",), [])
    assert facts(got) == facts(replay(plan, traffic, Settings()))


def test_three_columns_are_enough(plan_of):
    plan = plan_of(ROUTES)
    job = Job(plan, Settings())
    batch = pl.DataFrame({"time": [AT, AT + 1_000_000], "prompt": [1000, 2000], "output": [100, 100]})
    state = step(job, State(job), batch)
    assert state.sums.rows == 2
    assert state.sums.models["large"].prompt_tokens == 3000


def test_an_empty_batch_changes_nothing(plan_of):
    job = _job(plan_of(ROUTES))
    state = State(job)
    before = state.to_dict()
    empty = pl.DataFrame(schema={"time": pl.Int64, "prompt": pl.Int64, "output": pl.Int64})
    assert step(job, state, empty).to_dict() == before


def test_states_of_other_sessions_add_up(plan_of):
    """Two workers take the sessions apart; each sends its state as text."""
    plan = plan_of(ROUTES)
    job, traffic = _job(plan), random_traffic(4, 600, ["large", "small"], {"team": ["a", "b"]})
    batch = batch_of(traffic.rows, plan, job.attributes, lambda _: 0)
    mine = pl.col("session").fill_null("").is_in(["s1", ""])
    sent = [
        json.dumps(step(job, State(job), batch.filter(mine if first else ~mine)).to_dict()) for first in (True, False)
    ]
    state = State.from_dict(job, json.loads(sent[0]))
    state.merge(State.from_dict(job, json.loads(sent[1])))
    got, expected = state.sums.result(Settings(), job.prices, ("f",), []), replay(plan, traffic, Settings())
    assert (got.cost, got.recorded_cost, got.models.keys()) == (
        expected.cost,
        expected.recorded_cost,
        expected.models.keys(),
    )
    assert (got.allowed, got.denied, got.rows) == (expected.allowed, expected.denied, expected.rows)


BUDGET = """
budgets:
  - {id: b, window: {calendar: day}, hard_limit_usd: 0.2, thresholds: [{at_ratio: 0.5, alert: half}]SCOPE}
"""
BY_TEAM = BUDGET.replace("SCOPE", ", scope: request.?team.orValue('none')")


def _parts(job, traffic, plan, halves):
    batch = batch_of(traffic.rows, plan, job.attributes, lambda _: 0)
    return [step(job, State(job), batch.filter(half)) for half in halves]


@pytest.mark.parametrize("text", [ROUTES, BY_TEAM])
def test_merging_and_going_on_is_exact(plan_of, text):
    """Caches, accounts and alerts go on after a merge as if all rows had gone through one state."""
    plan = plan_of(text)
    job, traffic = _job(plan), random_traffic(5, 900, ["large", "small"], {"team": ["a", "b", "c"]})
    session = pl.col("session").fill_null("")
    team = pl.col("request.team").fill_null("none")
    rows = batch_of(traffic.rows, plan, job.attributes, lambda _: 0).with_columns(
        (session + team).alias("session"), (session + team).alias("request.session")
    )
    half = (team if text == BY_TEAM else session).is_in(["a", "none", "s1", ""])
    before, after = rows[:600], rows[600:]
    whole = step(job, step(job, State(job), before), after)
    one, other = (step(job, State(job), before.filter(part)) for part in (half, ~half))
    one = pickle.loads(pickle.dumps(one))
    one.merge(pickle.loads(pickle.dumps(other)))
    merged = step(job, one, after)
    got, expected = (item.sums.result(Settings(), job.prices, ("f",), []) for item in (merged, whole))
    assert facts(got) == facts(expected)
    assert got.alerts == expected.alerts


def test_states_that_share_a_scope_key_or_session_are_refused(plan_of):
    for text, problem in (
        (BUDGET.replace("SCOPE", ""), "budget `p/b` has rows of"),
        (ROUTES, "a session has rows in both"),
    ):
        plan = plan_of(text)
        job, traffic = _job(plan), random_traffic(6, 200, ["large"], {"team": ["a", "b"]})
        first, second = _parts(job, traffic, plan, [pl.col("number") % 2 == 0, pl.col("number") % 2 == 1])
        known = first.to_dict()
        with pytest.raises(MergeError, match=problem):
            first.merge(second)
        assert first.to_dict() == known


def test_states_that_cannot_know_are_refused(plan_of):
    plan = plan_of(ROUTES)
    job, other = Job(plan, Settings()), Job(plan, Settings(cache=False), split=True)
    with pytest.raises(MergeError, match="split=True"):
        State(job).merge(State(job))
    with pytest.raises(MergeError, match="different policy sets, prices, assumptions"):
        State(Job(plan, Settings(), split=True)).merge(State(other))


ROWS = {"time": [AT, AT + 1], "prompt": [10, 10], "output": [1, 1], "request.team": ["a", "b"]}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"output": None}, "no column `output`; its columns are `time`, `prompt`, `request.team`"),
        ({"request.team": None, "request.taem": ["a", "b"]}, "no column `request.team`"),
        ({"sesion": ["a", "b"]}, "unknown column `sesion`; did you mean `session`?"),
        ({"time": [AT // 1000] * 2}, "microseconds since 1970, got 1780000000000; these look like milliseconds"),
        ({"time": [AT // 10**6] * 2}, "these look like seconds"),
        ({"time": [AT * 1000] * 2}, "these look like nanoseconds"),
        ({"time": [AT, AT - 1]}, "rows must be in the order of their times"),
        ({"time": [datetime(2026, 5, 1)] * 2}, "must have a time zone"),
        ({"time": [float(AT)] * 2}, "column `time` must be Int64, got Float64"),
        ({"time": [AT, None]}, "column `time` must have a value in every row, got 1 rows without one"),
        ({"prompt": [0, 5]}, "`prompt` must be from 1 to"),
        ({"prompt": ["10", "10"]}, "column `prompt` must be Int64, got String"),
        ({"output": [-1, 5]}, "`output` must be from 0 to"),
        ({"output": [1, 2**50]}, "`output` must be from 0 to"),
        ({"request.team": [1, 2]}, "`request.team` must be String, got Int64"),
    ],
)
def test_a_batch_that_is_not_as_described_is_refused(plan_of, change, problem):
    job = _job(plan_of(ROUTES))
    state = State(job)
    known = state.to_dict()
    columns = {name: value for name, value in {**ROWS, **change}.items() if value is not None}
    with pytest.raises(BatchError, match=re.escape(problem)):
        step(job, state, pl.DataFrame(columns))
    assert state.to_dict() == known


def test_rows_after_a_later_batch_are_refused(plan_of):
    job = _job(plan_of(ROUTES))
    state = step(job, State(job), pl.DataFrame(ROWS))
    with pytest.raises(BatchError, match="comes too late"):
        step(job, state, pl.DataFrame({**ROWS, "time": [AT - 1, AT + 5]}))


def test_narrow_types_and_times_with_a_zone_are_taken(plan_of):
    job = _job(plan_of(ROUTES))
    usual = step(job, State(job), pl.DataFrame(ROWS))
    times = pl.Series("time", [datetime.fromtimestamp(AT / 10**6, UTC)] * 2).dt.convert_time_zone("Asia/Tokyo")
    narrow = pl.DataFrame({**ROWS, "time": times, "session": [None, None]}).cast(
        {"prompt": pl.UInt16, "output": pl.Int8}
    )
    other = step(job, State(job), narrow)
    assert facts(other.sums.result(Settings(), job.prices, ("f",), [])) == facts(
        usual.sums.result(Settings(), job.prices, ("f",), [])
    )
