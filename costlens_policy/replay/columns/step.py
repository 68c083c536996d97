"""One batch: decide, price, charge, count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import polars as pl

from costlens_policy.engine.decide import decide
from costlens_policy.errors import RequestError
from costlens_policy.replay.columns.batch import complete_batch, instant
from costlens_policy.replay.columns.deciding import ALONE, requests_in
from costlens_policy.replay.columns.facts import REFUSED
from costlens_policy.replay.columns.job import Job
from costlens_policy.replay.columns.reads import PROMPT
from costlens_policy.replay.columns.state import State
from costlens_policy.replay.traffic.row import Reject

__all__ = ["ArrowStream", "step"]

_LONGEST: Final = 500


class ArrowStream(Protocol):
    """Whatever hands out Arrow data: a table or record batch of PyArrow, a frame of Polars, pandas or DuckDB."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...


def step(job: Job, state: State, batch: ArrowStream) -> State:
    """Replay the requests of a batch, whose columns ``batch`` of this package describes; return the state after it.

    The state is changed and returned. Rows are in the order of time, also from one batch to the next where sessions or
    budgets are shared.
    """
    given = batch if isinstance(batch, pl.DataFrame) else pl.DataFrame(batch)
    if not given.height:
        return state
    frame = complete_batch(given, job.plan)
    made = state.deciding.made
    codes = state.deciding.codes(frame)
    if state.ordered is None:
        frame = _served(state, frame.with_columns(_alone(state, frame, codes).alias("_code")))
    else:
        frame = frame.hstack(state.ordered.settle(frame, codes, state.tally))
        frame = frame.with_columns(_models(state).gather(frame["_code"]).alias("_chosen"))
    frame = _accepted(job, state, frame)
    if state.ordered is None and frame.height:
        read = state.pricing.reads(frame, state.served, "_chosen", "_sent")
        frame = frame.with_columns(read.alias("_read"))
    state.tally.made += state.deciding.made - made
    if frame.height:
        state.pricing.settle(frame, state.tally)
    return state


def _alone(state: State, frame: pl.DataFrame, codes: pl.Series) -> pl.Series:
    """Decide the rows that share nothing with others."""
    rows = (codes == ALONE).arg_true()
    if not rows.len():
        return codes
    requests = requests_in(frame[rows], state.deciding.attributes)
    decided = [state.deciding.alone(request, at, prompt) for request, at, prompt in requests]
    return codes.scatter(rows, decided)


def _served(state: State, frame: pl.DataFrame) -> pl.DataFrame:
    """Add the model that serves each request, and the length of its prompt as it is sent."""
    winners = [facts.winner for facts in state.facts.rows]
    shifts = pl.Series([0 if winner is None else winner.shift for winner in winners], dtype=pl.Int64)
    code = frame["_code"]
    return frame.with_columns(
        _models(state).gather(code).alias("_chosen"), (frame["prompt"] + shifts.gather(code)).alias("_sent")
    )


def _models(state: State) -> pl.Series:
    winners = (facts.winner for facts in state.facts.rows)
    return pl.Series([None if winner is None else winner.model for winner in winners], dtype=pl.String)


def _accepted(job: Job, state: State, frame: pl.DataFrame) -> pl.DataFrame:
    """Leave out what the policy set does not accept, and say why."""
    refused = [code for code, facts in enumerate(state.facts.rows) if facts == REFUSED]
    if not refused:
        return frame
    bad = frame["_code"].is_in(refused)
    if not bad.any():
        return frame
    for reject in _rejects(job, frame.filter(bad)):
        state.tally.reject(reject)
    return frame.filter(~bad)


def _rejects(job: Job, frame: pl.DataFrame) -> Sequence[Reject]:
    requests = requests_in(frame, job.attributes)
    shown = frame.select("file", "number", "model", "id" if "id" in frame.columns else pl.lit(None).alias("id"))
    found = []
    for (file, number, model, id), (request, at, prompt) in zip(shown.iter_rows(), requests, strict=True):
        try:
            decide(job.plan, {**request, PROMPT: prompt}, {}, instant(at))
        except RequestError as error:
            found.append(Reject(job.files[file], number, str(error), _text({"model": model, "id": id, **request})))
    return found


def _text(shown: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in shown.items() if value is not None)[:_LONGEST]
