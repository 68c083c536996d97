"""One batch at a time: the job, the state between batches, and the step that decides, prices and counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Final, Protocol

import polars as pl

from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.decide import decide
from costlens_policy.errors import RequestError
from costlens_policy.frozen import frozen
from costlens_policy.replay.columns.accounts import Accounts, Lines
from costlens_policy.replay.columns.batch import (
    ATTRIBUTE,
    complete_batch,
    instant,
)
from costlens_policy.replay.columns.budgeted import Exactly, Ordered
from costlens_policy.replay.columns.checking import checked_batch
from costlens_policy.replay.columns.deciding import (
    ALONE,
    REFUSED,
    Deciding,
    FactsTable,
    requests_in,
)
from costlens_policy.replay.columns.hashes import Hashes
from costlens_policy.replay.columns.pricing import Pricing, SessionCaches
from costlens_policy.replay.columns.reads import PROMPT
from costlens_policy.replay.columns.sums import Sums
from costlens_policy.replay.columns.units import UnitPrices
from costlens_policy.replay.expected import is_measured
from costlens_policy.replay.settings import Settings, reads_caches
from costlens_policy.replay.traffic.row import MergeError, Reject

__all__ = ["ArrowStream", "Job", "State", "settle", "step"]


@frozen
class Job:
    """A plan and the assumptions. ``attributes`` are the request attributes for which batches have columns.

    Raises ``ValueError`` for a plan with a budget that holds a quantile, which is replayed row by row.

    ``files`` are the names to which the column ``file`` refers by index, for rows that are left out. ``split`` says
    that the rows are shared out over several states, which are merged: each then remembers its sessions.
    """

    plan: Plan
    settings: Settings
    attributes: tuple[str, ...] = ()
    files: Sequence[str] = ("",)
    split: bool = False
    needed: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """The attributes that each batch must have a column for."""
    prices: UnitPrices = field(init=False, repr=False, compare=False)
    measured: bool = field(init=False, repr=False, compare=False)
    """Whether the catalogue knows the quality of any model."""

    def __post_init__(self) -> None:
        if self.plan.stages.quantiles:
            raise ValueError(f"`{self.plan.stages.quantiles[0].id}` holds a quantile, and is replayed row by row")
        names = dict.fromkeys((*self.attributes, "session", "model", *(("id",) if self.plan.reads_id else ())))
        known = tuple(name for name in names if name in self.plan.attributes)
        object.__setattr__(self, "needed", self.attributes)
        object.__setattr__(self, "attributes", known)
        object.__setattr__(self, "prices", UnitPrices(self.plan))
        object.__setattr__(self, "measured", is_measured(self.plan))

    @property
    def in_order(self) -> bool:
        """Whether the result depends on the order of the rows."""
        return self.settings.cache or bool(self.plan.budgets)

    @property
    def identity(self) -> tuple[Any, ...]:
        """What two jobs have in common whose states can be merged."""
        return self.plan.policy_digest, self.plan.catalogue_digest, self.settings, self.attributes, tuple(self.files)


class State:
    """The sums, the caches of sessions, and the accounts of budgets.

    Shared decisions are kept beside it, and are made again when a state is restored. A state can be pickled.
    """

    __slots__ = ("accounts", "deciding", "facts", "job", "last", "ordered", "pricing", "served", "sessions", "sums")

    def __init__(self, job: Job) -> None:
        self.job = job
        self.last = -(2**63)
        """The time of the last row that ``step`` was given."""
        self.facts = FactsTable()
        self.sums = Sums()
        self.accounts = Accounts(job.plan, job.prices.digits)
        self.served = SessionCaches(job.settings)
        self.sessions = Hashes()
        self.deciding = Deciding(job.plan, job.attributes, self.facts, job.prices)
        self.pricing = Pricing(job.plan, job.settings, self.facts, job.prices, SessionCaches(job.settings))
        lines = Lines(job.plan, job.attributes, self.accounts)
        exactly = Exactly(job.plan, job.attributes, self.facts, self.accounts)
        asks_caches, self.ordered = reads_caches(job.plan, job.settings), None
        if job.plan.budgets or asks_caches:
            self.ordered = Ordered(
                job.settings, self.facts, job.prices, lines, exactly, self.pricing, asks_caches=asks_caches
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return State.from_dict, (self.job, self.to_dict())

    def merge(self, other: State) -> None:
        """Add a state over other rows: its sums, caches and accounts, so that both can go on as one.

        Raises ``MergeError``, with nothing added, for a state of another job, and where both have seen the same session
        or scope key, for then the result would be another than that of all rows in order.
        """
        problem = self._apart(other)
        if problem:
            raise MergeError(problem)
        self.last = max(self.last, other.last)
        self.sums.merge(other.sums)
        self.accounts.merge(other.accounts)
        self.sessions.unite(other.sessions)
        for mine, theirs in ((self.served, other.served), (self.pricing.recorded, other.pricing.recorded)):
            mine.held = pl.concat([mine.held, theirs.held])
        if self.ordered is not None and other.ordered is not None:
            self.ordered.held.update(other.ordered.held)

    def _apart(self, other: State) -> str:
        """Return why two states cannot be merged; an empty text where they can."""
        if not (self.job.split and other.job.split):
            return "only states of a job with `split=True` can be merged: others do not know which sessions they have"
        if self.job.identity != other.job.identity:
            return "the two states are of different policy sets, prices, assumptions or attributes"
        shared = sorted(set(self.accounts) & set(other.accounts))
        if shared:
            budget, key = shared[0]
            return f"budget `{budget}` has rows of `{key}` in both parts; those of one scope key must be in one part"
        if self.sessions.meets(other.sessions):
            return "a session has rows in both parts, which share a cache; those of one session must be in one part"
        return ""

    def to_dict(self) -> dict[str, Any]:
        """Return the state as JSON-like data."""
        sessions = {} if self.ordered is None else self.ordered.held
        held = [[session, model, *state] for session, models in sessions.items() for model, state in models.items()]
        return {
            "last": self.last,
            "sums": self.sums.to_dict(),
            "served": [list(row) for row in self.served.held.iter_rows()],
            "recorded": [list(row) for row in self.pricing.recorded.held.iter_rows()],
            "held": held,
            "accounts": self.accounts.to_list(),
            "sessions": self.sessions.to_list(),
        }

    @classmethod
    def from_dict(cls, job: Job, data: dict[str, Any]) -> State:
        """Return the state that ``to_dict`` wrote, for the same job."""
        state = cls(job)
        state.last = data["last"]
        state.sums = Sums.from_dict(data["sums"])
        for caches, name in ((state.served, "served"), (state.pricing.recorded, "recorded")):
            caches.held = pl.DataFrame(data[name], schema=caches.held.schema, orient="row")
        if state.ordered is not None:
            for session, model, held, ends in data["held"]:
                state.ordered.held.setdefault(session, {})[model] = held, ends
        state.accounts.restore(data["accounts"])
        state.sessions = Hashes.from_list(data["sessions"])
        return state


_LONGEST: Final = 500


class ArrowStream(Protocol):
    """Whatever hands out Arrow data: a table or record batch of PyArrow, a frame of Polars, pandas or DuckDB."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...


def step(job: Job, state: State, batch: ArrowStream) -> State:
    """Replay the requests of a batch and return the state after it. ``replay/columns/batch.py`` lists the columns.

    The state is changed in place and returned. Rows must be in time order, also from one batch to the next if they
    share sessions or budgets. Raises ``BatchError``, with nothing counted, for a batch that is not as described there.
    """
    given = batch if isinstance(batch, pl.DataFrame) else pl.DataFrame(batch)
    if not given.height:
        return state
    frame = checked_batch(given, job.plan, job.needed, state.last if job.in_order else None)
    state.last = int(frame["time"][-1])
    return settle(job, state, frame)


def settle(job: Job, state: State, batch: pl.DataFrame) -> State:
    """Replay the requests of a batch that is as ``batch.py`` describes, and return the state after it."""
    if not batch.height:
        return state
    frame = complete_batch(batch, job.plan)
    if job.split and job.settings.cache:
        state.sessions.include(frame["session"].drop_nulls().unique())
    made = state.deciding.made
    codes = state.deciding.codes(frame)
    if state.ordered is None:
        frame = with_models(state, frame.with_columns(decided_alone(state, frame, codes).alias("_code")))
    else:
        frame = frame.hstack(state.ordered.settle(frame, codes, state.sums))
        frame = frame.with_columns(models_in(state).gather(frame["_code"]).alias("_chosen"))
    frame = _accepted(job, state, frame)
    if state.ordered is None and frame.height:
        read = state.pricing.reads(frame, state.served, "_chosen", "_sent")
        frame = frame.with_columns(read.alias("_read"))
    state.sums.made += state.deciding.made - made
    if frame.height:
        state.pricing.settle(frame, state.sums)
        if job.measured:
            _count_tasks(job, state, frame)
    return state


def _count_tasks(job: Job, state: State, frame: pl.DataFrame) -> None:
    """Count which model served how many requests of which task."""
    tasks = pl.DataFrame([frame["_chosen"], tasks_of(job.plan, state.facts, frame).alias("task")])
    counts = tasks.drop_nulls("_chosen").group_by("_chosen", "task").len()
    state.sums.served.update({(model, task): count for model, task, count in counts.iter_rows()})


def tasks_of(plan: Plan, facts: FactsTable, frame: pl.DataFrame) -> pl.Series:
    """Return the task of each request whose quality counts."""
    if plan.defaults.task is not None:
        return pl.Series([item.task for item in facts.rows], dtype=pl.String).gather(frame["_code"])
    column, usual = f"{ATTRIBUTE}task", str(dict(plan.filled_in).get("task", ""))
    if column not in frame.columns:
        return pl.repeat(usual, frame.height, dtype=pl.String, eager=True)
    return frame[column].cast(pl.String).fill_null(usual)


def decided_alone(state: State, frame: pl.DataFrame, codes: pl.Series) -> pl.Series:
    """Decide the rows that share nothing with others."""
    rows = (codes == ALONE).arg_true()
    if not rows.len():
        return codes
    requests = requests_in(frame[rows], state.deciding.attributes)
    decided = [state.deciding.alone(request, at, prompt) for request, at, prompt in requests]
    return codes.scatter(rows, decided)


def with_models(state: State, frame: pl.DataFrame) -> pl.DataFrame:
    """Add the model that serves each request, and the length of its prompt as it is sent."""
    winners = [facts.winner for facts in state.facts.rows]
    shifts = pl.Series([0 if winner is None else winner.shift for winner in winners], dtype=pl.Int64)
    code = frame["_code"]
    return frame.with_columns(
        models_in(state).gather(code).alias("_chosen"), (frame["prompt"] + shifts.gather(code)).alias("_sent")
    )


def models_in(state: State) -> pl.Series:
    winners = (facts.winner for facts in state.facts.rows)
    return pl.Series([None if winner is None else winner.model for winner in winners], dtype=pl.String)


def _accepted(job: Job, state: State, frame: pl.DataFrame) -> pl.DataFrame:
    """Reject rows that the policy set does not accept, with the reason."""
    refused = [code for code, facts in enumerate(state.facts.rows) if facts == REFUSED]
    if not refused:
        return frame
    bad = frame["_code"].is_in(refused)
    if not bad.any():
        return frame
    for reject in rejects_in(job, frame.filter(bad)):
        state.sums.reject(reject)
    return frame.filter(~bad)


def rejects_in(job: Job, frame: pl.DataFrame) -> Sequence[Reject]:
    requests = requests_in(frame, job.attributes)
    known = (name if name in frame.columns else pl.lit(None).alias(name) for name in ("id", "_problem"))
    shown = frame.select("file", "number", "model", *known)
    found = []
    for (file, number, model, id, problem), (request, at, prompt) in zip(shown.iter_rows(), requests, strict=True):
        problem = problem or _problem(job.plan, {**request, PROMPT: prompt}, at)
        found.append(Reject(job.files[file], number, problem, _text({"model": model, "id": id, **request})))
    return found


def _problem(plan: Plan, request: Mapping[str, Any], at: int) -> str:
    """Return why a request is not acceptable, whatever is spent."""
    try:
        decide(plan, request, {}, instant(at))
    except RequestError as error:
        return str(error)
    raise AssertionError("a request that was rejected whatever is spent is rejected again")


def _text(shown: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in shown.items() if value is not None)[:_LONGEST]
