"""The function that a distributed engine would call: Arrow data in, an explicit state out."""

from __future__ import annotations

import json

import polars as pl

from costlens_policy.replay import Settings, replay
from costlens_policy.replay.columns import Job, State, step
from costlens_policy.replay.columns.batch import batch_of
from tests.replay.columns.traffic import facts, random_traffic

ROUTES = "routes:\n  - {id: r, when: 'has(request.team) && request.team == \"a\"', model: small}\n"


class Foreign:
    """Data of another library, of which nothing is known but that it hands out Arrow."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._frame.__arrow_c_stream__(requested_schema)


def _job(plan) -> Job:
    return Job(plan, Settings(), ("team",), ("f",))


def test_arrow_of_any_library_is_taken(plan_of):
    plan = plan_of(ROUTES)
    job, traffic = _job(plan), random_traffic(3, 200, ["large"], {"team": ["a", "b"]})
    state = step(job, State(job), Foreign(batch_of(traffic.rows, plan, job.attributes, lambda _: 0)))
    got = state.sums.result(Settings(), job.prices, ("f",), [])
    assert facts(got) == facts(replay(plan, traffic, Settings()))


def test_three_columns_are_enough(plan_of):
    plan = plan_of(ROUTES)
    job = Job(plan, Settings())
    batch = pl.DataFrame({"time": [0, 1_000_000], "prompt": [1000, 2000], "output": [100, 100]})
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
