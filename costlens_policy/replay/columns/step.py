"""One batch at a time: the job, the state between batches, and the step that decides, prices and counts.

Where budgets count, rows are charged one by one and in order, in whole units; where thresholds act, the engine decides
each row itself.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from operator import mul
from typing import Any, Final, Protocol

import polars as pl

from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.decide import decide
from costlens_policy.errors import RequestError
from costlens_policy.frozen import frozen
from costlens_policy.replay.columns.accounts import UNKNOWN, Account, Accounts, Line, Lines
from costlens_policy.replay.columns.batch import (
    ATTRIBUTE,
    DAY,
    MINUTE,
    RECORDED,
    complete_batch,
    instant,
    others_in,
    recorded_in,
)
from costlens_policy.replay.columns.deciding import (
    ALONE,
    REFUSED,
    Choice,
    Deciding,
    Facts,
    FactsTable,
    facts_of,
    requests_in,
)
from costlens_policy.replay.columns.pricing import Pricing, SessionCaches, lifetime_of
from costlens_policy.replay.columns.reads import PROMPT
from costlens_policy.replay.columns.sums import Sums
from costlens_policy.replay.columns.units import UnitPrices
from costlens_policy.replay.expected import is_measured
from costlens_policy.replay.settings import Settings
from costlens_policy.replay.traffic.row import Reject
from costlens_policy.units import Unit, measure
from costlens_policy.usage import weights_of

__all__ = ["ArrowStream", "Job", "State", "step"]


@frozen
class Job:
    """A plan and the assumptions. ``attributes`` are the request attributes for which batches have columns.

    ``files`` are the names to which the column ``file`` refers by index, for rows that are left out.
    """

    plan: Plan
    settings: Settings
    attributes: tuple[str, ...] = ()
    files: Sequence[str] = ("",)
    prices: UnitPrices = field(init=False, repr=False, compare=False)
    measured: bool = field(init=False, repr=False, compare=False)
    """Whether the catalogue knows the quality of any model."""

    def __post_init__(self) -> None:
        names = dict.fromkeys((*self.attributes, "session", "model", *(("id",) if self.plan.reads_id else ())))
        known = tuple(name for name in names if name in self.plan.attributes)
        object.__setattr__(self, "attributes", known)
        object.__setattr__(self, "prices", UnitPrices(self.plan))
        object.__setattr__(self, "measured", is_measured(self.plan))


class State:
    """The sums, the caches of sessions, and the accounts of budgets.

    Shared decisions are kept beside it, and are made again when a state is restored. ``merge`` adds a state of other
    rows; the result is correct if they share no session and no budget.
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
        exactly = _Exactly(job.plan, job.attributes, self.facts, self.accounts)
        self.ordered = _Ordered(job.settings, self.facts, job.prices, lines, exactly) if job.plan.budgets else None

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
    """Replay the requests of a batch and return the state after it. ``replay/columns/batch.py`` lists the columns.

    The state is changed in place and returned. Rows must be in time order, also from one batch to the next if they
    share sessions or budgets.
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
        if job.measured:
            _count_tasks(job, state, frame)
    return state


def _count_tasks(job: Job, state: State, frame: pl.DataFrame) -> None:
    """Count which model served how many requests of which task."""
    tasks = pl.DataFrame([frame["_chosen"], _tasks(job.plan, state.facts, frame).alias("task")])
    counts = tasks.drop_nulls("_chosen").group_by("_chosen", "task").len()
    state.sums.served.update({(model, task): count for model, task, count in counts.iter_rows()})


def _tasks(plan: Plan, facts: FactsTable, frame: pl.DataFrame) -> pl.Series:
    """Return the task of each request whose quality counts."""
    if plan.defaults.task is not None:
        return pl.Series([item.task for item in facts.rows], dtype=pl.String).gather(frame["_code"])
    column, usual = f"{ATTRIBUTE}task", str(dict(plan.filled_in).get("task", ""))
    if column not in frame.columns:
        return pl.repeat(usual, frame.height, dtype=pl.String, eager=True)
    return frame[column].cast(pl.String).fill_null(usual)


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
    """Reject rows that the policy set does not accept, with the reason."""
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


_SETTLED: Final = {"_code": pl.Int32, "_sent": pl.Int64, "_read": pl.Int64, "_problem": pl.String}
_Charged = tuple[tuple[Account, Unit], ...]


@dataclass(slots=True)
class _Row:
    """What a call is charged for."""

    at: int
    prompt: int
    output: int
    session: str | None
    model: str | None
    recorded: tuple[int | None, ...]
    terms: str | None
    others: str | None


class _Ordered:
    """Decides with budgets. Its state are the accounts, and ``held``: by session and model what its cache holds."""

    __slots__ = (
        "_caches", "_denials", "_exactly", "_facts", "_least", "_lifetime", "_lines", "_prices", "_swept", "_variants",
        "_write", "held",
    )  # fmt: skip

    def __init__(
        self, settings: Settings, facts: FactsTable, prices: UnitPrices, lines: Lines, exactly: _Exactly
    ) -> None:
        self._facts = facts
        self._prices = prices
        self._lines = lines
        self._exactly = exactly
        self._caches = settings.cache
        self._least = settings.cache_min_tokens
        self._lifetime = lifetime_of(settings)
        self._write = "cache_write_1h" if settings.long_lived else "cache_write"
        self._variants: dict[tuple[int, int], int] = {}
        self._denials: dict[tuple[int, str], int] = {}
        self._swept = 1000
        self.held: dict[tuple[str, str], tuple[int, int]] = {}

    def settle(self, frame: pl.DataFrame, codes: pl.Series, sums: Sums) -> pl.DataFrame:
        """Return ``_code``, ``_sent`` and ``_read`` of each row as ``Pricing`` takes them; alerts go to the sums.

        ``codes`` are of the facts without budgets. ``_problem`` is why a row is not acceptable, where that depends on
        what is spent: the scope of an overflow is read only where the budget before it has no room.
        """
        facts, buckets = self._facts.rows, recorded_in(frame.columns)
        lines = self._lines.codes(frame, self._served(codes)).to_list()
        requests = self._exactly.requests(frame)
        chosen, sent, read = [], [], []
        problems: list[str | None] = [None] * frame.height
        for place, (code, line, row) in enumerate(zip(codes.to_list(), lines, _rows(frame, buckets), strict=True)):
            charged: _Charged = ()
            if code == ALONE or facts[code].choices:
                found = None if code == ALONE or line == UNKNOWN else self._judge(code, line, row, sums)
                if found is None:
                    try:
                        code, charged = self._exactly.decide(requests(place), row.at, row.prompt, sums)
                    except RequestError as error:
                        code, problems[place] = self._facts.code(REFUSED), str(error)
                else:
                    code, charged = found, self._lines.charged[line]
            choice = facts[code].winner
            length = row.prompt if choice is None else row.prompt + choice.shift
            chosen.append(code)
            sent.append(length)
            read.append(0 if choice is None else self._take(row, choice.model, length, charged, buckets))
        self._sweep(frame["time"][-1])
        return pl.DataFrame({"_code": chosen, "_sent": sent, "_read": read, "_problem": problems}, schema=_SETTLED)

    def _served(self, codes: pl.Series) -> pl.Series:
        served = pl.Series([*(bool(item.choices) for item in self._facts.rows), False], dtype=pl.Boolean)
        return served.gather(codes.replace(ALONE, len(self._facts.rows)))

    def _judge(self, code: int, line: int, row: _Row, sums: Sums) -> int | None:
        """Return the code of the facts once every budget was asked; None where the engine itself has to decide.

        That is where a threshold does more than alert or an overflow is asked, be it for a fallback, and where other
        models may serve since these have no room.
        """
        facts, lines = self._facts.rows[code], self._lines.rows[line]
        at, prompt = row.at, row.prompt
        first = ""
        for place, choice in enumerate(facts.choices):
            if choice.per_token is None:
                return None
            worst = choice.fixed + choice.per_token * prompt
            full, due = "", False
            for item in lines:
                unit = item.unit
                call = worst if unit == "usd" else 1 if unit == "requests" else choice.tokens(item.place, prompt)
                taken = item.account.at(at)
                reached = taken + call
                if item.acts_from is not inf and taken + _most(facts, item, prompt) >= item.acts_from:
                    return None
                if reached > item.limit:
                    full = full or item.budget
                due = due or reached >= item.alerts_from
            if not full:
                if due:
                    self._alert(lines, worst, choice, row, sums)
                return code if not place else self._variant(code, place)
            first = first or full
        return None if facts.way_out else self._denied(code, first)

    def _alert(self, lines: Sequence[Line], worst: int, choice: Choice, row: _Row, sums: Sums) -> None:
        for item in lines:
            unit = item.unit
            call = worst if unit == "usd" else 1 if unit == "requests" else choice.tokens(item.place, row.prompt)
            reached = item.account.at(row.at) + call
            for start, alert in item.alerts:
                if reached >= start:
                    sums.alert_once(item.account, alert, row.at)

    def _take(self, row: _Row, model: str, length: int, charged: _Charged, buckets: Sequence[str]) -> int:
        """Charge a call to its budgets; return what it reads from a cache."""
        by_session = self._caches and row.session is not None and length >= self._least
        hit = self._hit(row, model, length) if by_session else 0
        if not charged:
            return hit
        day, minute = row.at // DAY, self._minute(row.at)
        price = self._prices.of(model, day, length, minute, row.terms)
        cached = (hit, self._write) if by_session else None
        as_recorded = self._caches and row.session is None and model == row.model and length == row.prompt
        units = 0
        if price is not None:
            units = _units(price.per_token, row, length, buckets, cached, as_recorded) + price.per_request
            if row.others is not None:
                units += self._prices.of_others(row.others, model, day, minute, row.terms)
        for account, unit in charged:
            if unit == "usd":
                account.charge(row.at, units)
            elif unit == "requests":
                account.charge(row.at, 1)
            elif unit == "tokens" and row.others is None:
                account.charge(row.at, length + row.output)
            else:
                weights = measure(unit).per_token
                tokens = _units(weights, row, length, buckets, cached, as_recorded)
                account.charge(row.at, tokens + _others(unit, row))
        return hit

    def _minute(self, at: int) -> int:
        """Return the last minute before a time of day from which on prices may be others."""
        minutes = self._prices.minutes
        return minutes[bisect_right(minutes, at % DAY // MINUTE) - 1] if minutes else 0

    def _hit(self, row: _Row, model: str, length: int) -> int:
        assert row.session is not None
        key = row.session, model
        held, ends = self.held.get(key, (0, row.at))
        self.held[key] = length, row.at + self._lifetime
        return held if held <= length and row.at < ends else 0

    def _sweep(self, now: int) -> None:
        """Forget caches that have ended, whenever there are twice as many as were alive the last time."""
        if len(self.held) > self._swept:
            self.held = {key: state for key, state in self.held.items() if state[1] > now}
            self._swept = max(1000, 2 * len(self.held))

    def _variant(self, code: int, place: int) -> int:
        """Return the code of the same facts where the first models have no room."""
        known = self._variants.get((code, place))
        if known is None:
            facts = self._facts.rows[code]
            known = self._facts.code(replace(facts, choices=facts.choices[place:]))
            self._variants[code, place] = known
        return known

    def _denied(self, code: int, budget: str) -> int:
        """Return the code of the same facts where no model has room."""
        known = self._denials.get((code, budget))
        if known is None:
            facts = Facts(budget, "budget", (), self._facts.rows[code].errors)
            known = self._denials[code, budget] = self._facts.code(facts)
        return known


def _rows(frame: pl.DataFrame, buckets: Sequence[str]) -> Iterator[_Row]:
    recorded = frame.select(f"{RECORDED}{name}" for name in buckets).iter_rows() if buckets else [()] * frame.height
    columns = (frame[name].to_list() for name in ("time", "prompt", "output", "session", "_model"))
    known = (frame[name].to_list() if name in frame.columns else [None] * frame.height for name in ("tier", "others"))
    return map(_Row, *columns, recorded, *known)


def _units(
    rates: Mapping[str, int],
    row: _Row,
    length: int,
    buckets: Sequence[str],
    cached: tuple[int, str] | None,
    as_recorded: bool,
) -> int:
    """Return what the tokens of a call come to, each at the rate of its kind.

    ``cached`` is what it reads from a cache, and as what it writes the rest; ``as_recorded`` says that its tokens are
    those of ``row.recorded``, where there are some. Only text is cached: recorded tokens of other kinds stay so.
    """
    recorded = row.recorded if row.recorded and row.recorded[0] is not None else ()
    if as_recorded and recorded:
        return sum(rates[name] * (count or 0) for name, count in zip(buckets, recorded, strict=True))
    text, written, units = length, row.output, 0
    if recorded:
        known = dict(zip(buckets, recorded, strict=True))
        sound = min((known.get("input_audio") or 0) + (known.get("cache_read_audio") or 0), length)
        images = min(known.get("input_image") or 0, length - sound)
        text -= sound + images
        units = rates["input_audio"] * sound + rates["input_image"] * images
        for name in ("reasoning", "output_audio", "output_image"):
            tokens = known.get(name) or 0
            written -= tokens
            units += rates[name] * tokens
    if cached is None:
        return units + rates["input"] * text + rates["output"] * written
    hit, write = min(cached[0], text), cached[1]
    return units + rates["cache_read"] * hit + rates[write] * (text - hit) + rates["output"] * written


def _others(unit: Unit, row: _Row) -> int:
    """Return what the tokens that a call used on further models come to, in whole units."""
    if row.others is None:
        return 0
    return sum(sum(map(mul, usage, weights_of(unit))) for _, usage in others_in(row.others))


def _most(facts: Facts, line: Line, prompt: int) -> float:
    """Return the most that a call may add, whichever model serves it; infinite where that is not known."""
    if line.unit == "requests":
        return 1
    if line.unit != "usd":
        return max(choice.tokens(line.place, prompt) for choice in facts.choices)
    costs = [None if item.per_token is None else item.fixed + item.per_token * prompt for item in facts.choices]
    return inf if None in costs else max(cost for cost in costs if cost is not None)


class _Exactly:
    """The engine, over the accounts of a replay."""

    __slots__ = ("_accounts", "_attributes", "_facts", "_plan")

    def __init__(self, plan: Plan, attributes: Sequence[str], facts: FactsTable, accounts: Accounts) -> None:
        self._plan = plan
        self._attributes = tuple(attributes)
        self._facts = facts
        self._accounts = accounts

    def decide(
        self, request: Mapping[str, Any], at: int, prompt: int, sums: Sums
    ) -> tuple[int, tuple[tuple[Account, str], ...]]:
        """Return the code of the facts, and the accounts that the call is charged to, with their units.

        Raises ``RequestError``.
        """
        self._accounts.now = at
        sums.made += 1
        decision = decide(self._plan, {**request, PROMPT: prompt}, self._accounts, instant(at))
        facts = facts_of(decision, prompt)
        charged = []
        for seen in decision.balances:
            account = self._accounts.of(seen.budget, seen.key)
            account.at(at)
            charged.append((account, seen.unit))
        for alert in decision.alerts:
            account = self._accounts.of(alert.budget, alert.key)
            account.at(at)
            sums.alert_once(account, alert, at)
        return self._facts.code(replace(facts, choices=facts.choices[:1])), tuple(charged)

    def requests(self, frame: pl.DataFrame) -> Callable[[int], dict[str, Any]]:
        """Return a function that gives the request of a row by its place, without the length of its prompt."""
        columns: list[tuple[str, list[Any]]] = []

        def request(place: int) -> dict[str, Any]:
            if not columns:
                given = [name for name in self._attributes if f"{ATTRIBUTE}{name}" in frame.columns]
                columns.extend((name, frame[f"{ATTRIBUTE}{name}"].to_list()) for name in given)
            return {name: values[place] for name, values in columns if values[place] is not None}

        return request
