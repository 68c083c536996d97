"""One batch at a time: the job, the state between batches, and the step that decides, prices and counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Any, Final, Protocol

import polars as pl

from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.decide import decide
from costlens_policy.errors import RequestError
from costlens_policy.frozen import frozen
from costlens_policy.replay.columns.accounts import Accounts, Lines
from costlens_policy.replay.columns.batch import complete_batch, instant
from costlens_policy.replay.columns.deciding import ALONE, REFUSED, Deciding, FactsTable, requests_in
from costlens_policy.replay.columns.ordered import Exactly, Ordered
from costlens_policy.replay.columns.pricing import Pricing, SessionCaches
from costlens_policy.replay.columns.reads import PROMPT
from costlens_policy.replay.columns.sums import Sums
from costlens_policy.replay.columns.units import UnitPrices
from costlens_policy.replay.settings import Settings
from costlens_policy.replay.traffic.row import Reject

__all__ = ["ArrowStream", "Job", "State", "step"]


@frozen
class Job:
    """A plan and the assumptions. ``attributes`` are those of the request that batches have columns for.

    ``files`` are the names that the column ``file`` counts, for rows that are left out.
    """

    plan: Plan
    settings: Settings
    attributes: tuple[str, ...] = ()
    files: Sequence[str] = ("",)
    prices: UnitPrices = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = dict.fromkeys((*self.attributes, "session", "model"))
        known = tuple(name for name in names if name in self.plan.attributes)
        object.__setattr__(self, "attributes", known)
        object.__setattr__(self, "prices", UnitPrices(self.plan))


class State:
    """The sums, the caches of sessions, and what was spent of each budget.

    Decisions that can be shared are kept beside it, and are made again where a state is read back. ``merge`` adds a
    state of other rows; that is right where they share no session and no budget.
    """

    __slots__ = ("accounts", "deciding", "facts", "ordered", "pricing", "served", "sums")

    def __init__(self, job: Job) -> None:
        self.facts = FactsTable()
        self.sums = Sums()
        self.accounts = Accounts(job.plan, job.prices.digits)
        self.served = SessionCaches(job.settings)
        self.deciding = Deciding(job.plan, job.attributes, self.facts, job.prices)
        self.pricing = Pricing(job.plan, job.settings, self.facts, job.prices, SessionCaches(job.settings))
        lines = Lines(job.plan, job.attributes, self.accounts)
        exactly = Exactly(job.plan, job.attributes, self.facts, self.accounts)
        self.ordered = Ordered(job.settings, self.facts, job.prices, lines, exactly) if job.plan.budgets else None

    def merge(self, other: State) -> None:
        """Add the sums of a state over other rows."""
        self.sums.merge(other.sums)

    def to_dict(self) -> dict[str, Any]:
        """Return the state as JSON-like data."""
        held = [] if self.ordered is None else [[*key, *value] for key, value in self.ordered.held.items()]
        return {
            "sums": self.sums.to_dict(),
            "served": [list(row) for row in self.served.held.iter_rows()],
            "recorded": [list(row) for row in self.pricing.recorded.held.iter_rows()],
            "held": held,
            "accounts": self.accounts.to_list(),
        }

    @classmethod
    def from_dict(cls, job: Job, data: dict[str, Any]) -> State:
        """Return the state that ``to_dict`` wrote, for the same job."""
        state = cls(job)
        state.sums = Sums.from_dict(data["sums"])
        for caches, name in ((state.served, "served"), (state.pricing.recorded, "recorded")):
            caches.held = pl.DataFrame(data[name], schema=caches.held.schema, orient="row")
        if state.ordered is not None:
            state.ordered.held = {(session, model): (held, ends) for session, model, held, ends in data["held"]}
        state.accounts.restore(data["accounts"])
        return state


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
        frame = frame.hstack(state.ordered.settle(frame, codes, state.sums))
        frame = frame.with_columns(_models(state).gather(frame["_code"]).alias("_chosen"))
    frame = _accepted(job, state, frame)
    if state.ordered is None and frame.height:
        read = state.pricing.reads(frame, state.served, "_chosen", "_sent")
        frame = frame.with_columns(read.alias("_read"))
    state.sums.made += state.deciding.made - made
    if frame.height:
        state.pricing.settle(frame, state.sums)
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
        state.sums.reject(reject)
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
