"""Budgets row by row: calls are charged in whole units and in order; where thresholds act, the engine decides."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from operator import mul
from typing import Any, Final

import polars as pl

from costlens_policy.catalogue import read_from
from costlens_policy.checker.attributes import WARM_TOKENS
from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.decide import decide
from costlens_policy.errors import RequestError
from costlens_policy.replay.columns.accounts import UNKNOWN, Account, Accounts, Line, Lines
from costlens_policy.replay.columns.at_once import AtOnce, Held, Stretch
from costlens_policy.replay.columns.batch import ATTRIBUTE, DAY, MINUTE, RECORDED, instant, others_in, recorded_in
from costlens_policy.replay.columns.deciding import ALONE, REFUSED, Choice, FactsTable, facts_of
from costlens_policy.replay.columns.pricing import Pricing, lifetime_of
from costlens_policy.replay.columns.reads import PROMPT
from costlens_policy.replay.columns.room import most_of
from costlens_policy.replay.columns.sums import Sums
from costlens_policy.replay.columns.units import UnitPrices
from costlens_policy.replay.settings import Settings
from costlens_policy.replay.simulation import refusal_of
from costlens_policy.units import Unit, measure
from costlens_policy.usage import weights_of

__all__ = ["FEW", "BudgetedRows", "Exactly", "Ordered"]

_SETTLED: Final = {"_code": pl.Int32, "_sent": pl.Int64, "_read": pl.Int64, "_problem": pl.String}
FEW: Final = 300
"""So many rows are decided one by one: looking at them as a whole takes as long."""
_Charged = tuple[tuple[Account, Unit], ...]
"""The accounts that a call is charged to, with their units."""


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


class Ordered:
    """Decides with budgets, and by what is warm.

    Its state are the accounts, and ``held``: by session and model what a cache holds, and until when. ``asks_caches``
    says that rules read that.
    """

    __slots__ = (
        "_asks_caches", "_at_once", "_caches", "_exactly", "_facts", "_least", "_lifetime", "_lines",
        "_prices", "_swept", "_write", "held",
    )  # fmt: skip

    def __init__(
        self,
        settings: Settings,
        facts: FactsTable,
        prices: UnitPrices,
        lines: Lines,
        exactly: Exactly,
        pricing: Pricing,
        *,
        asks_caches: bool,
    ) -> None:
        self._asks_caches = asks_caches
        self._at_once = AtOnce(settings, facts, lines, pricing)
        self._facts = facts
        self._prices = prices
        self._lines = lines
        self._exactly = exactly
        self._caches = settings.cache
        self._least = settings.cache_min_tokens
        self._lifetime = lifetime_of(settings)
        self._write = "cache_write_1h" if settings.long_lived else "cache_write"
        self._swept = 1000
        self.held: Held = {}

    def settle(self, frame: pl.DataFrame, codes: pl.Series, sums: Sums) -> pl.DataFrame:
        """Return ``_code``, ``_sent`` and ``_read`` of each row as ``Pricing`` takes them; alerts go to the sums.

        ``codes`` are of the facts without budgets. ``_problem`` is why a row is not acceptable, where that depends on
        what is spent: the scope of an overflow is read only where the budget before it has no room.
        """
        todo, settled = [self.with_lines(frame, codes)], []
        while todo:
            part = todo.pop()
            found = self.look(part)
            if not isinstance(found, int):
                found.charge()
                settled.append(found.settled)
            elif found >= part.height:
                settled.append(self._one_by_one(part, sums))
            else:
                todo += [part[found:], part[:found]]
        self._sweep(frame["time"][-1])
        return pl.concat(settled)

    def look(self, part: pl.DataFrame) -> Stretch | int:
        """Return rows as a stretch that is charged at once; else how many of the first to look at by themselves.

        All of them: they are to be decided one by one.
        """
        if part.height <= FEW or self._asks_caches:
            return part.height
        found = self._at_once.look(part, self.held)
        if not isinstance(found, int):
            return found
        return max(FEW, found) if found else part.height // 2

    def _one_by_one(self, frame: pl.DataFrame, sums: Sums) -> pl.DataFrame:
        rows = BudgetedRows(self, frame, sums)
        for place in range(frame.height):
            rows.decide(place)
            rows.take(place)
        return rows.settled()

    def with_lines(self, frame: pl.DataFrame, codes: pl.Series) -> pl.DataFrame:
        """Return a batch with ``_code`` of the facts without budgets, and ``_line``."""
        lines = self._lines.codes(frame, self._served(codes))
        return frame.with_columns(codes.alias("_code"), lines.alias("_line"))

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
                if item.acts_from is not inf and taken + most_of(facts, item, prompt) >= item.acts_from:
                    return None
                if reached > item.limit:
                    full = full or item.budget
                due = due or reached >= item.alerts_from
            if not full:
                if due:
                    self._alert(lines, worst, choice, row, sums)
                return code if not place else self._facts.without_first(code, place)
            first = first or full
        return None if facts.way_out else self._facts.denied(code, first)

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
        models = self.held.setdefault(row.session, {})
        held, ends = models.get(model, (0, row.at))
        models[model] = length, row.at + self._lifetime
        return read_from(held, length) if row.at < ends else 0

    def _warm(self, row: _Row) -> dict[str, int]:
        """Return what is warm of the session of a call, by model; nothing where no rule reads it."""
        models = self.held.get(row.session) if self._asks_caches and row.session is not None else None
        return {} if models is None else {name: held for name, (held, ends) in models.items() if row.at < ends}

    def _sweep(self, now: int) -> None:
        """Forget sessions whose caches have ended, whenever there are twice as many as were alive the last time."""
        if len(self.held) > self._swept:
            known = self.held.items()
            self.held = {name: models for name, models in known if any(ends > now for _, ends in models.values())}
            self._swept = max(1000, 2 * len(self.held))


class BudgetedRows:
    """A batch on its way through the budgets. Each row is first decided, then taken or left, in their order."""

    __slots__ = (
        "_buckets", "_charged", "_chosen", "_code", "_codes", "_frame", "_lines", "_ordered", "_problems", "_read",
        "_requests", "_rows", "_sent", "_sums",
    )  # fmt: skip

    def __init__(self, ordered: Ordered, frame: pl.DataFrame, sums: Sums) -> None:
        """``frame`` also has ``_code``, of the facts without budgets, and ``_line``."""
        self._ordered = ordered
        self._frame = frame
        self._sums = sums
        self._buckets = recorded_in(frame.columns)
        self._codes: list[int] = frame["_code"].to_list()
        self._lines: list[int] = frame["_line"].to_list()
        self._rows = list(_rows(frame, self._buckets))
        self._requests = ordered._exactly.requests(frame)
        self._code = ALONE
        self._charged: _Charged = ()
        self._chosen: list[int] = []
        self._sent: list[int] = []
        self._read: list[int] = []
        self._problems: list[str | None] = [None] * frame.height

    def decide(self, place: int) -> int:
        """Decide a row; return the code of its facts."""
        ordered, code, line, row = self._ordered, self._codes[place], self._lines[place], self._rows[place]
        facts = ordered._facts
        charged: _Charged = ()
        warm = bool(ordered._warm(row))
        if warm or code == ALONE or facts[code].choices:
            alone = warm or code == ALONE or line == UNKNOWN
            found = None if alone else ordered._judge(code, line, row, self._sums)
            if found is None:
                try:
                    code, charged = ordered._exactly.decide(self._request(place), row.at, row.prompt, self._sums)
                except RequestError as error:
                    code, self._problems[place] = facts.code(REFUSED), str(error)
            else:
                code, charged = found, ordered._lines.charged[line]
        self._code, self._charged = code, charged
        return code

    def problem(self, place: int) -> str | None:
        """Return why the row that was decided last is not acceptable, where that depends on what is spent."""
        return self._problems[place]

    def reason(self, place: int) -> str:
        """Return why the row that was decided last is denied."""
        row = self._rows[place]
        return self._ordered._exactly.reason(self._request(place), row.at, row.prompt)

    def _request(self, place: int) -> dict[str, Any]:
        """Return the request of a row, with what is warm of its session."""
        request, warm = self._requests(place), self._ordered._warm(self._rows[place])
        return {**request, WARM_TOKENS: warm} if warm else request

    def take(self, place: int) -> None:
        """Charge the row that was decided last."""
        ordered, code, row = self._ordered, self._code, self._rows[place]
        choice = ordered._facts[code].winner
        length = row.prompt if choice is None else row.prompt + choice.shift
        self._chosen.append(code)
        self._sent.append(length)
        charged = self._charged
        self._read.append(0 if choice is None else ordered._take(row, choice.model, length, charged, self._buckets))

    def leave(self, place: int, problem: str) -> None:
        """Leave the row out, without a charge."""
        self._problems[place] = problem
        self._chosen.append(self._ordered._facts.code(REFUSED))
        self._sent.append(self._rows[place].prompt)
        self._read.append(0)

    def settled(self) -> pl.DataFrame:
        """Return what became of the rows, as ``Ordered.settle`` does."""
        self._ordered._sweep(self._frame["time"][-1])
        columns = {"_code": self._chosen, "_sent": self._sent, "_read": self._read, "_problem": self._problems}
        return pl.DataFrame(columns, schema=_SETTLED)


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


class Exactly:
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

    def reason(self, request: Mapping[str, Any], at: int, prompt: int) -> str:
        """Return why a request is denied, by what is spent now."""
        self._accounts.now = at
        return refusal_of(decide(self._plan, {**request, PROMPT: prompt}, self._accounts, instant(at))).reason

    def requests(self, frame: pl.DataFrame) -> Callable[[int], dict[str, Any]]:
        """Return a function that gives the request of a row by its place, without the length of its prompt."""
        columns: list[tuple[str, list[Any]]] = []

        def request(place: int) -> dict[str, Any]:
            if not columns:
                given = [name for name in self._attributes if f"{ATTRIBUTE}{name}" in frame.columns]
                columns.extend((name, frame[f"{ATTRIBUTE}{name}"].to_list()) for name in given)
            return {name: values[place] for name, values in columns if values[place] is not None}

        return request
