"""Two policy sets side by side over batches: which requests each decides otherwise, and what that costs.

Both sides decide a batch before either is charged, since a row that one of them refuses is charged to neither.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from typing import Any, Final

import polars as pl

from costlens_policy.engine.decide import decide
from costlens_policy.money import add, from_units
from costlens_policy.replay.columns.at_once import Stretch
from costlens_policy.replay.columns.batch import complete_batch, instant
from costlens_policy.replay.columns.budgeted import FEW, BudgetedRows
from costlens_policy.replay.columns.deciding import REFUSED, Facts, requests_in
from costlens_policy.replay.columns.reads import PROMPT
from costlens_policy.replay.columns.step import Job, State, decided_alone, models_in, rejects_in, tasks_of, with_models
from costlens_policy.replay.difference import Cause, Difference, Example, Group, Side, side_of
from costlens_policy.replay.expected import Moved
from costlens_policy.replay.simulation import refusal_of
from costlens_policy.replay.traffic.row import Reject

__all__ = ["Comparing"]

_EXAMPLES: Final = 3
_WORST: Final = 10
_CAUSES: Final[tuple[Cause, ...]] = (
    "denied now", "allowed now", "another model", "same model at another cost",
    "same model by another rule",
)  # fmt: skip


class Comparing:
    """The states of both sides, and the difference so far. ``take`` is given batches in the order of time."""

    __slots__ = ("_digits", "_moved", "_sides", "difference", "new", "old")

    def __init__(self, old: Job, new: Job) -> None:
        self.old = _Party(old)
        self.new = _Party(new)
        self.difference = Difference(new.settings, tuple(new.files), (), [])
        self._digits = max(old.prices.digits, new.prices.digits)
        self._sides: dict[Side, int] = {}
        self._moved = Moved()

    def reject(self, reject: Reject) -> None:
        """Count a row that is left out."""
        self.difference.reject(reject)

    def take(self, batch: pl.DataFrame) -> None:
        """Replay the requests of a batch on both sides, and compare."""
        if not batch.height:
            return
        old, new = self.old, self.new
        for party in (old, new):
            party.start(batch)
        reasons = self._in_order(batch.height) if old.has_budgets or new.has_budgets else {}
        kept = ~(old.refused() | new.refused())
        if not kept.all():
            for reject in self._rejects(~kept):
                self.reject(reject)
        if kept.any():
            first, second = old.settled(kept, self._digits), new.settled(kept, self._digits)
            places = pl.int_range(batch.height, dtype=pl.Int64, eager=True).filter(kept)
            self._count_models(first, second)
            self._compare(first, second, places, reasons)

    def result(self, notes: Sequence[str]) -> Difference:
        """Return the difference once all batches were taken."""
        found = self.difference
        found.notes = tuple(notes)
        found.expect(self._moved, self.old.job.plan.catalogue, self.new.job.plan.catalogue)
        return found

    def _in_order(self, rows: int) -> dict[int, str]:
        """Decide and charge all rows on both sides. Return why rows are denied that will be examples."""
        shown, reasons = Counter[tuple[Side, Side]](), dict[int, str]()
        todo = [(0, rows)]
        while todo:
            start, end = todo.pop()
            cut = self._at_once(start, end, shown)
            if start + cut >= end > start:
                self._row_by_row(start, end, shown, reasons)
            elif cut:
                todo += [(start + cut, end), (start, start + cut)]
        return reasons

    def _at_once(self, start: int, end: int, shown: Counter[tuple[Side, Side]]) -> int:
        """Charge some rows at once on both sides, and return 0; else how many of the first to look at by themselves.

        They are not charged at once where a side does not accept one, or one will be an example of a denial.
        """
        looked = [party.look(start, end) for party in (self.old, self.new)]
        cuts = [item for item in looked if isinstance(item, int)]
        if cuts:
            return min(cuts)
        stretches = [item for item in looked if not isinstance(item, int)]
        codes = [item.settled["_code"].alias(name) for name, item in zip(("old", "new"), stretches, strict=True)]
        pairs = pl.DataFrame(codes).with_row_index("place")
        denied = Counter[tuple[Side, Side]]()
        for one, other, count, place in (
            pairs.group_by("old", "new", maintain_order=True).agg(pl.len(), pl.col("place").first()).iter_rows()
        ):
            was, now = self.old.state.facts[one], self.new.state.facts[other]
            if REFUSED in (was, now):
                return max(FEW, int(place))
            if not now.choices and (sides := (_side(was), _side(now)))[0] != sides[1]:
                group = self.difference.groups.get(sides)
                if shown[sides] + (0 if group is None else group.requests) < _EXAMPLES:
                    return max(FEW, int(place))
                denied[sides] += count
        for party, item in zip((self.old, self.new), stretches, strict=True):
            party.take(item)
        shown += denied
        return 0

    def _row_by_row(self, start: int, end: int, shown: Counter[tuple[Side, Side]], reasons: dict[int, str]) -> None:
        """Decide, then charge each row on both sides."""
        old, new = self.old, self.new
        for party in (old, new):
            party.open(start, end)
        for place in range(start, end):
            first = old.decide(place)
            second = first if first == REFUSED else new.decide(place)
            if second == REFUSED:
                problem = (old if first == REFUSED else new).problem(place)
                for party in (old, new):
                    party.leave(place, problem)
                continue
            if not second.choices and (sides := (_side(first), _side(second)))[0] != sides[1]:
                group = self.difference.groups.get(sides)
                if shown[sides] + (0 if group is None else group.requests) < _EXAMPLES:
                    reasons[place] = new.reason(place)
                shown[sides] += 1
            old.charge(place)
            new.charge(place)
        for party in (old, new):
            party.close()

    def _rejects(self, out: pl.Series) -> Sequence[Reject]:
        """Return the rows that a side does not accept, with the reason of the old one, if it has any."""
        first = self.old.refused()
        rows = [(self.old, out & first), (self.new, out & ~first)]
        found = [reject for party, which in rows if which.any() for reject in party.rejects(which)]
        return sorted(found, key=lambda item: (item.file, item.number))

    def _compare(self, old: pl.DataFrame, new: pl.DataFrame, places: pl.Series, reasons: dict[int, str]) -> None:
        """Count rows that both sides have settled."""
        found = self.difference
        rows = pl.DataFrame([
            places.alias("place"), pl.int_range(1, old.height + 1, eager=True).alias("count") + found.rows,
            new["file"], new["number"], new["prompt"], self._numbers(self.old, old).alias("old"),
            self._numbers(self.new, new).alias("new"), old["_allowed"].alias("old_allowed"),
            new["_allowed"].alias("new_allowed"), old["_chosen"].alias("old_model"), new["_chosen"].alias("new_model"),
            old["_cost"].alias("old_cost"), new["_cost"].alias("new_cost"),
        ]).with_columns((pl.col("new_cost") - pl.col("old_cost")).alias("delta"))  # fmt: skip
        self._count(rows)
        cause = (
            pl.when(pl.col("old_allowed") & ~pl.col("new_allowed")).then(0)
            .when(pl.col("new_allowed") & ~pl.col("old_allowed")).then(1)
            .when(pl.col("old_model").ne_missing(pl.col("new_model"))).then(2)
            .when(pl.col("old_cost").eq_missing(pl.col("new_cost"))).then(4).otherwise(3)
        )  # fmt: skip
        moved = pl.col("old") != pl.col("new")
        rows = rows.with_columns(cause.alias("cause"), moved.alias("moved")).filter(
            moved | (pl.col("delta") != 0).fill_null(False)
        )
        if not rows.height:
            return
        examples = _Examples(self, rows, reasons)
        sides = list(self._sides)
        for keys, count, delta, first in _grouped(rows.filter(pl.col("moved")), ["old", "new"]):
            pair = sides[keys[0]], sides[keys[1]]
            found.changed += count
            self._add(found.groups.setdefault(pair, Group()), count, delta, first, examples)
        for keys, count, delta, first in _grouped(rows, ["cause"]):
            self._add(found.causes.setdefault(_CAUSES[keys[0]], Group()), count, delta, first, examples)
        dearer = rows.filter(pl.col("delta") > 0)
        for row in dearer.sort("delta", "count", descending=[True, False]).head(_WORST).iter_rows(named=True):
            found.add_worst(self._usd(row["delta"]), row["count"], partial(examples.of, row))

    def _count_models(self, old: pl.DataFrame, new: pl.DataFrame) -> None:
        """Count which models served how many requests of which tasks on both sides."""
        ways = pl.DataFrame([old["_chosen"].alias("old"), old["_task"].alias("old task"), new["_chosen"].alias("new"),
                             new["_task"].alias("new task")])  # fmt: skip
        for one, of_one, other, of_other, count in ways.group_by(ways.columns, maintain_order=True).len().iter_rows():
            was, now = (None if one is None else (one, of_one)), (None if other is None else (other, of_other))
            self._moved[was, now] += count

    def _count(self, rows: pl.DataFrame) -> None:
        found, priced = self.difference, rows.drop_nulls("delta")
        found.rows += rows.height
        found.unpriced += rows.height - priced.height
        found.newly_unpriced += rows.filter(pl.col("delta").is_null() & pl.col("old_cost").is_not_null()).height
        found.old_cost = add(found.old_cost, self._usd(int(priced["old_cost"].sum())))
        found.new_cost = add(found.new_cost, self._usd(int(priced["new_cost"].sum())))
        found.newly_denied += int((rows["old_allowed"] & ~rows["new_allowed"]).sum())
        found.newly_allowed += int((rows["new_allowed"] & ~rows["old_allowed"]).sum())

    def _add(self, group: Group, count: int, delta: int, first: Sequence[dict[str, Any]], examples: _Examples) -> None:
        group.requests += count
        group.delta = add(group.delta, self._usd(delta))
        group.examples += (examples.of(row) for row in first[: _EXAMPLES - len(group.examples)])

    def _numbers(self, party: _Party, frame: pl.DataFrame) -> pl.Series:
        """Return the side of each row, by a number that both parties share."""
        sides = [_side(facts) for facts in party.state.facts.rows]
        codes = pl.Series([self._sides.setdefault(side, len(self._sides)) for side in sides], dtype=pl.Int32)
        return codes.gather(frame["_code"])

    def _usd(self, units: int) -> Decimal:
        return from_units(units, self._digits)


def _grouped(rows: pl.DataFrame, keys: Sequence[str]) -> list[tuple[Sequence[Any], int, int, list[dict[str, Any]]]]:
    """Return for each group, in the order of their first rows, its keys, size, sum, and first rows."""
    groups = rows.with_row_index("_at").group_by(keys, maintain_order=True).agg(
        pl.len().alias("_len"), pl.col("delta").sum(), pl.col("_at").head(_EXAMPLES)
    )  # fmt: skip
    return [
        (row[: len(keys)], row[-3], row[-2], [rows.row(at, named=True) for at in row[-1]]) for row in groups.iter_rows()
    ]


class _Examples:
    """Makes examples of rows of a batch."""

    __slots__ = ("_comparing", "_reasons", "_sides")

    def __init__(self, comparing: Comparing, rows: pl.DataFrame, reasons: dict[int, str]) -> None:
        self._comparing = comparing
        self._reasons = reasons
        self._sides = list(comparing._sides)

    def of(self, row: dict[str, Any]) -> Example:
        """Return a row as an example."""
        comparing, delta, place = self._comparing, row["delta"], row["place"]
        reason = "" if row["new_allowed"] else self._reasons.get(place)
        if reason is None:
            reason = self._reasons[place] = comparing.new.reason(place)
        name = comparing.new.job.files[row["file"]]
        return Example(
            f"{name}:{row['number']}", self._sides[row["old"]], self._sides[row["new"]],
            None if delta is None else comparing._usd(delta), row["prompt"], reason,
        )  # fmt: skip


class _Party:
    """One side: its job and state, and the batch that is under way, which goes by budgets part after part."""

    __slots__ = ("_codes", "_frame", "_left", "_parts", "_problems", "_rows", "_start", "job", "state")

    def __init__(self, job: Job) -> None:
        self.job = job
        self.state = State(job)
        self._frame = pl.DataFrame()
        self._parts: list[pl.DataFrame] = []
        self._rows: BudgetedRows | None = None
        self._codes: list[int] = []
        self._start = 0
        self._left: set[int] = set()
        self._problems: dict[int, str] = {}

    @property
    def has_budgets(self) -> bool:
        return self.state.ordered is not None

    def start(self, batch: pl.DataFrame) -> None:
        """Decide a batch as far as it can be at once."""
        state = self.state
        frame = complete_batch(batch, self.job.plan)
        codes = state.deciding.codes(frame)
        if state.ordered is not None:
            self._frame = state.ordered.with_lines(frame, codes)
        else:
            self._frame = frame.with_columns(decided_alone(state, frame, codes).alias("_code"))
        self._parts, self._left, self._problems = [], set(), {}

    def look(self, start: int, end: int) -> Stretch | int:
        """Return some rows as a stretch; else how many of the first to look at by themselves, or all of them."""
        part = self._frame[start:end]
        if self.state.ordered is not None:
            return self.state.ordered.look(part)
        return Stretch(part.select("_code"), lambda: None)

    def take(self, stretch: Stretch) -> None:
        """Charge a stretch."""
        stretch.charge()
        self._parts.append(stretch.settled)

    def open(self, start: int, end: int) -> None:
        """Begin with rows that are decided one by one."""
        part, self._start = self._frame[start:end], start
        if self.state.ordered is not None:
            self._rows = BudgetedRows(self.state.ordered, part, self.state.sums)
        else:
            self._parts.append(part.select("_code"))
            self._codes = part["_code"].to_list()

    def close(self) -> None:
        """End with rows that were decided one by one."""
        if self._rows is not None:
            self._parts.append(self._rows.settled())
        self._rows = None

    def decide(self, place: int) -> Facts:
        """Return the facts of a row."""
        facts = self.state.facts
        if self._rows is not None:
            return facts[self._rows.decide(place - self._start)]
        return facts[self._codes[place - self._start]]

    def charge(self, place: int) -> None:
        """Charge the row that was decided last."""
        if self._rows is not None:
            self._rows.take(place - self._start)

    def problem(self, place: int) -> str:
        """Return why the row that was decided last is not acceptable."""
        found = None if self._rows is None else self._rows.problem(place - self._start)
        return found or self.rejects(pl.select(pl.int_range(self._frame.height) == place).to_series())[0].problem

    def leave(self, place: int, problem: str) -> None:
        """Leave a row out."""
        if self._rows is not None:
            self._rows.leave(place - self._start, problem)
        self._left.add(place)
        self._problems[place] = problem

    def reason(self, place: int) -> str:
        """Return why a row is denied; with budgets, of the one that was decided last."""
        if self._rows is not None:
            return self._rows.reason(place - self._start)
        ((request, at, prompt),) = requests_in(self._frame[place], self.job.attributes)
        return refusal_of(decide(self.job.plan, {**request, PROMPT: prompt}, {}, instant(at))).reason

    def refused(self) -> pl.Series:
        """Return which rows this side does not accept, or were left out."""
        codes = self._settled()["_code"]
        bad = [code for code, facts in enumerate(self.state.facts.rows) if facts == REFUSED]
        out = codes.is_in(bad) if bad else pl.repeat(False, len(codes), dtype=pl.Boolean, eager=True)
        return out.scatter(sorted(self._left), True) if self._left else out

    def _settled(self) -> pl.DataFrame:
        """Return what became of all rows of the batch."""
        return pl.concat(self._parts) if self._parts else self._frame.select("_code")

    def rejects(self, which: pl.Series) -> Sequence[Reject]:
        """Return rows as those that are left out."""
        problems = [self._problems.get(place) for place in range(len(which))]
        frame = self._frame.with_columns(pl.Series("_problem", problems, dtype=pl.String))
        return rejects_in(self.job, frame.filter(which))

    def settled(self, kept: pl.Series, digits: int) -> pl.DataFrame:
        """Return the kept rows with ``_allowed``, ``_chosen``, ``_task``, and ``_cost`` in units of so many digits."""
        state, frame = self.state, self._frame
        if state.ordered is not None:
            frame = frame.drop("_code", "_line").hstack(self._settled().drop("_problem")).filter(kept)
            frame = frame.with_columns(models_in(state).gather(frame["_code"]).alias("_chosen"))
        else:
            frame = with_models(state, frame.filter(kept))
            frame = frame.with_columns(state.pricing.reads(frame, state.served, "_chosen", "_sent").alias("_read"))
        usual = pl.repeat("", frame.height, dtype=pl.String, eager=True)
        tasks = tasks_of(self.job.plan, state.facts, frame) if self.job.measured else usual
        allowed = frame["_chosen"].is_not_null()
        scale = pl.lit(10 ** (digits - self.job.prices.digits), pl.Int128)
        cost = pl.when(allowed).then(pl.lit(state.pricing.costs(frame)) * scale).otherwise(pl.lit(0, pl.Int128))
        return frame.with_columns(allowed.alias("_allowed"), cost.alias("_cost"), tasks.alias("_task"))


def _side(facts: Facts) -> Side:
    winner = facts.winner
    return side_of(facts.rule, None if winner is None else winner.model, facts.refused)
