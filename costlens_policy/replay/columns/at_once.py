"""Stretches of rows whose order decides nothing: all of them are charged at once, as one by one would.

In such a stretch every call has room for its first model on every budget, or finds one budget full, whichever of its
rows were charged before. What it comes to is then known beforehand, and with that whether it is such a stretch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

import polars as pl

from costlens_policy.frozen import frozen
from costlens_policy.replay.columns.accounts import UNKNOWN, Account, Lines
from costlens_policy.replay.columns.deciding import ALONE, FactsTable
from costlens_policy.replay.columns.pricing import HELD, Pricing, SessionCaches, lifetime_of
from costlens_policy.replay.columns.room import Kind, Span
from costlens_policy.replay.settings import Settings
from costlens_policy.units import Unit, measure

__all__ = ["AtOnce", "Held", "Stretch"]

_NO_PROBLEM: Final = pl.lit(None, pl.String).alias("_problem")
_Place = tuple[int, int]
"""The codes of facts and lines."""
Held = dict[str, dict[str, tuple[int, int]]]
"""By session and model what a cache holds, and until when."""


@frozen(eq=False)
class Stretch:
    """Rows that can be charged at once: ``settled`` is what becomes of each, ``charge`` does it."""

    settled: pl.DataFrame
    charge: Callable[[], None]


class AtOnce:
    """Finds stretches of rows whose budgets have room for all of them, whatever they cost."""

    __slots__ = ("_facts", "_lifetime", "_lines", "_pricing", "_settings")

    def __init__(self, settings: Settings, facts: FactsTable, lines: Lines, pricing: Pricing) -> None:
        self._settings = settings
        self._facts = facts
        self._lines = lines
        self._pricing = pricing
        self._lifetime = lifetime_of(settings)

    def look(self, frame: pl.DataFrame, held: Held) -> Stretch | int:
        """Return rows as a stretch.

        They have the columns of a batch, ``_code`` of the facts without budgets, and ``_line``. Where they are no
        stretch, how many of the first to look at by themselves is returned: up to one that shares no decision, or the
        end of a period. It is 0 where it might be any of them.
        """
        codes = frame["_code"]
        served = pl.Series([*(bool(item.choices) for item in self._facts.rows), True])
        served = served.gather(codes.replace(ALONE, len(self._facts.rows)))
        apart = ((codes == ALONE) | ((frame["_line"] == UNKNOWN) & served)).arg_true()
        if apart.len():
            return max(1, int(apart[0]))
        kinds = dict(self._kinds(frame.select("_code", "_line", "prompt").filter(served)))
        accounts = {line.account for kind in kinds.values() for line in kind.lines}
        span = Span.of(accounts, int(frame["time"][0]), int(frame["time"][-1]))
        if span.ends <= span.last:
            return max(1, int(frame["time"].search_sorted(span.ends, "left")))
        full = {place: kind.full(span) for place, kind in kinds.items()}
        if None in full.values():
            return 0
        return self._stretch(self._decided(frame, full), kinds, full, span, held)

    def _kinds(self, calls: pl.DataFrame) -> Iterator[tuple[_Place, Kind]]:
        lengths = pl.col("prompt").min().alias("shortest"), pl.col("prompt").max().alias("longest")
        for code, line, shortest, longest in calls.group_by("_code", "_line").agg(*lengths).iter_rows():
            yield (code, line), Kind(self._facts[code], self._lines.rows[line], shortest, longest)

    def _decided(self, frame: pl.DataFrame, full: Mapping[_Place, str | None]) -> pl.DataFrame:
        """Return the stretch with the codes that rows have once the full budgets are known, and what serves them."""
        denied = [(*place, self._facts.denied(place[0], budget)) for place, budget in full.items() if budget]
        if denied:
            names = ["_code", "_line"]
            known = pl.DataFrame(denied, schema=dict.fromkeys([*names, "_denied"], pl.Int32), orient="row")
            found = frame.select(pl.col(names).cast(pl.Int32)).join(known, on=names, how="left", maintain_order="left")
            frame = frame.with_columns(pl.coalesce(found["_denied"], "_code").alias("_code"))
        winners = [item.winner for item in self._facts.rows]
        models = pl.Series([None if item is None else item.model for item in winners], dtype=pl.String)
        shifts = pl.Series([0 if item is None else item.shift for item in winners], dtype=pl.Int64)
        code = frame["_code"]
        return frame.with_columns(
            models.gather(code).alias("_chosen"), (frame["prompt"] + shifts.gather(code)).alias("_sent")
        )

    def _stretch(
        self,
        frame: pl.DataFrame,
        kinds: Mapping[_Place, Kind],
        full: Mapping[_Place, str | None],
        span: Span,
        held: Held,
    ) -> Stretch | int:
        """Return a stretch, unless what it comes to makes rows find other balances than ``full`` says."""
        caches = self._caches(frame, held)
        frame = frame.with_columns(self._pricing.reads(frame, caches, "_chosen", "_sent").alias("_read"))
        amounts = self._amounts(frame, sorted({line.unit for kind in kinds.values() for line in kind.lines}))
        if amounts is None:
            return 0
        charged = self._charged(amounts)
        totals = {
            account: sum(total for _, _, total in parts) if account.counts else 0 for account, parts in charged.items()
        }

        def finds_others(most: Mapping[Account, int]) -> bool:
            after = span.reaching(most)
            return any(kind.full(after) != full[place] for place, kind in kinds.items())

        if finds_others({account: account.used + total for account, total in totals.items()}):
            peaks = {account: account.peak(totals[account], *_of(amounts, parts)) for account, parts in charged.items()}
            if finds_others(peaks):
                return 0

        def charge() -> None:
            for account, parts in charged.items():
                account.charge_all(totals[account], partial(_each, amounts, parts))
            for session, model, prompt, time in caches.held.iter_rows():
                held.setdefault(session, {})[model] = prompt, time + self._lifetime

        return Stretch(frame.select("_code", "_sent", "_read", _NO_PROBLEM), charge)

    def _caches(self, frame: pl.DataFrame, held: Held) -> SessionCaches:
        """Return the caches of the sessions of a stretch."""
        if not self._settings.cache:
            return SessionCaches(self._settings)
        known = [
            (session, model, prompt, ends - self._lifetime)
            for session in frame["session"].drop_nulls().unique().to_list()
            for model, (prompt, ends) in held.get(session, {}).items()
        ]
        return SessionCaches(self._settings, pl.DataFrame(known, schema=HELD, orient="row"))

    def _amounts(self, frame: pl.DataFrame, units: Sequence[Unit]) -> pl.DataFrame | None:
        """Return what each call is charged in each unit, with its time and line; None where that is not simple."""
        of_others = "others" in frame.columns and frame["others"].null_count() < frame.height
        if of_others and any(measure(unit).base == "tokens" for unit in units):
            return None
        try:
            columns = [self._amount(frame, unit).alias(f"in {unit}") for unit in units]
        except OverflowError:
            return None
        amounts = frame.select("time", "_line", *columns).filter(frame["_chosen"].is_not_null())
        if any((amounts[column.name] < 0).any() for column in columns):
            return None
        return amounts

    def _amount(self, frame: pl.DataFrame, unit: Unit) -> pl.Series:
        if unit == "usd":
            return self._pricing.costs(frame).fill_null(0)
        if unit == "requests":
            return pl.repeat(1, frame.height, dtype=pl.Int64, eager=True)
        return self._pricing.weighed(frame, measure(unit).per_token)

    def _charged(self, amounts: pl.DataFrame) -> dict[Account, list[tuple[int, Unit, int]]]:
        """Return for each account the lines that charge it, in which unit, and what they come to."""
        found: dict[Account, list[tuple[int, Unit, int]]] = {}
        for line, *totals in amounts.drop("time").group_by("_line").sum().iter_rows():
            by_unit = dict(zip(amounts.columns[2:], totals, strict=True))
            for account, unit in self._lines.charged[line]:
                found.setdefault(account, []).append((line, unit, by_unit[f"in {unit}"]))
        return found


def _of(amounts: pl.DataFrame, parts: Sequence[tuple[int, Unit, int]]) -> tuple[pl.Series, pl.Series]:
    """Return when an account is charged, and what, in the order of time."""
    units = {unit for _, unit, _ in parts}
    assert len(units) == 1, "an account has one unit"
    rows = amounts.filter(pl.col("_line").is_in([line for line, _, _ in parts]))
    return rows["time"], rows[f"in {units.pop()}"]


def _each(amounts: pl.DataFrame, parts: Sequence[tuple[int, Unit, int]]) -> Iterator[tuple[int, int]]:
    times, each = _of(amounts, parts)
    return zip(times.to_list(), each.to_list(), strict=True)
