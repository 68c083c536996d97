"""Figures of calls: counts, tokens, money, latency; of all calls, and by a label with the largest groups first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Context, Decimal
from typing import Any, Final

import polars as pl

from costlens_policy.frozen import frozen
from costlens_policy.money import ZERO, subtract
from costlens_policy.report.calls import CALLS, LABEL, amount_in, summed

__all__ = ["Figures", "Group", "Grouping", "Latency", "figures_in", "figures_of", "grouping_of", "share", "totals_of"]

_ROUGHLY: Final = Context(prec=12)


@frozen
class Latency:
    """Of ``calls`` calls, in milliseconds. A percentile is the smallest latency that so many per cent keep to."""

    calls: int
    p50: Decimal
    p95: Decimal
    p99: Decimal


@frozen
class Figures:
    """What is known of some calls. Money is exact.

    ``cost`` is the sum over the ``priced`` ones. ``cached_tokens`` are part of ``input_tokens``; ``cache_known_tokens``
    is the part of them whose cached share was recorded. ``baseline_cost`` and ``compared_cost`` are over the same
    ``compared`` calls, those for which both are known; likewise ``held`` and ``charged``, what was held for calls and
    what they came to, over the ``reserved`` ones.
    """

    requests: int
    denied: int
    priced: int
    input_tokens: int
    cached_tokens: int
    cache_known_tokens: int
    output_tokens: int
    compared: int
    cost: Decimal
    compared_cost: Decimal
    baseline_cost: Decimal
    latency: Latency | None
    reserved: int
    held: Decimal
    charged: Decimal

    @property
    def unpriced(self) -> int:
        """How many calls were made whose cost is not known."""
        return self.requests - self.denied - self.priced

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @property
    def cache_hit_rate(self) -> Decimal | None:
        """The cached share of all input tokens whose cached share was recorded."""
        return share(self.cached_tokens, self.cache_known_tokens)

    @property
    def savings(self) -> Decimal | None:
        """How much less the compared calls cost than at the baseline; negative where they cost more."""
        return subtract(self.baseline_cost, self.compared_cost) if self.compared else None

    @property
    def used_share(self) -> Decimal | None:
        """How much of what was held was charged in the end; the rest was held too much. None where nothing was held."""
        return share(self.charged, self.held)

    @property
    def savings_share(self) -> Decimal | None:
        return None if self.savings is None else share(self.savings, self.baseline_cost)


def share(part: Decimal | int, whole: Decimal | int) -> Decimal | None:
    """Return a share to twelve digits, None of nothing."""
    return _ROUGHLY.divide(Decimal(part), Decimal(whole)) if whole else None


_PRICED: Final = pl.col("cost_high").is_not_null()
_BOTH: Final = _PRICED & pl.col("baseline_high").is_not_null()
_RESERVED: Final = _PRICED & pl.col("held_high").is_not_null()
_TIMED: Final = pl.col("latency").is_not_null()
_EVERY: Final = pl.col("denied").is_not_null()


def _figures(count: Callable[[pl.Expr], pl.Expr]) -> Sequence[pl.Expr]:
    """Return the figures of calls; ``count`` says how many meet a condition."""
    sums = (
        ("cost", summed("cost")),
        ("compared_cost", summed("cost", _BOTH)),
        ("baseline_cost", summed("baseline", _BOTH)),
        ("held", summed("held", _RESERVED)),
        ("charged", summed("cost", _RESERVED)),
    )
    return (
        count(_EVERY).alias("requests"),
        count(pl.col("denied")).alias("denied"),
        count(_PRICED).alias("priced"),
        pl.col("input").sum().alias("input_tokens"),
        pl.col("cached").sum().alias("cached_tokens"),
        pl.col("input").filter(pl.col("cached").is_not_null()).sum().alias("cache_known_tokens"),
        pl.col("output").sum().alias("output_tokens"),
        count(_BOTH).alias("compared"),
        count(_RESERVED).alias("reserved"),
        *(
            expression.alias(f"{name}_{part}")
            for name, (high, low) in sums
            for part, expression in (("high", high), ("low", low))
        ),
        count(_TIMED).alias("timed"),
    )


def _rows_where(where: pl.Expr) -> pl.Expr:
    return where.sum()


def _calls_where(where: pl.Expr) -> pl.Expr:
    return pl.col(CALLS).filter(where).sum()


def _percentile(percent: int) -> pl.Expr:
    latency = pl.col("latency").drop_nulls()
    return latency.sort().get((latency.len() * percent + 99) // 100 - 1, null_on_oob=True)


def _percentile_of_calls(percent: int) -> pl.Expr:
    """Return the same where rows stand for several calls: the first latency up to which there are enough of them."""
    latency, calls = pl.col("latency").filter(_TIMED), pl.col(CALLS).filter(_TIMED)
    upto = calls.sort_by(latency).cum_sum()
    return latency.sort().get((upto < (calls.sum() * percent + 99) // 100).sum(), null_on_oob=True)


_PERCENTS: Final = (50, 95, 99)
_OF_ROWS: Final = _figures(_rows_where), tuple(_percentile(at).alias(f"p{at}") for at in _PERCENTS)
_OF_CALLS: Final = _figures(_calls_where), tuple(_percentile_of_calls(at).alias(f"p{at}") for at in _PERCENTS)


def figures_in(frame: pl.DataFrame) -> Sequence[pl.Expr]:
    """Return what to select of a frame, whole or by group, for ``figures_of``."""
    figures, percentiles = _OF_CALLS if CALLS in frame.columns else _OF_ROWS
    timed = frame["latency"].null_count() < frame.height
    return (*figures, *percentiles) if timed else figures


def figures_of(row: Mapping[str, Any]) -> Figures:
    """Return the figures that a row of what ``figures_in`` selects holds."""
    latency = None
    if row["timed"]:
        latency = Latency(row["timed"], *(Decimal(row[name]) / 1000 for name in ("p50", "p95", "p99")))
    return Figures(
        requests=row["requests"],
        denied=row["denied"],
        priced=row["priced"],
        input_tokens=row["input_tokens"],
        cached_tokens=row["cached_tokens"],
        cache_known_tokens=row["cache_known_tokens"],
        output_tokens=row["output_tokens"],
        compared=row["compared"],
        cost=amount_in(row["cost_high"], row["cost_low"]),
        compared_cost=amount_in(row["compared_cost_high"], row["compared_cost_low"]),
        baseline_cost=amount_in(row["baseline_cost_high"], row["baseline_cost_low"]),
        latency=latency,
        reserved=row["reserved"],
        held=amount_in(row["held_high"], row["held_low"]),
        charged=amount_in(row["charged_high"], row["charged_low"]),
    )


EMPTY: Final = Figures(0, 0, 0, 0, 0, 0, 0, 0, ZERO, ZERO, ZERO, None, 0, ZERO, ZERO)
"""The figures of no call."""


@frozen
class Group:
    """The calls with one value of a label; None for those on which it was not recorded."""

    value: str | None
    figures: Figures


@frozen
class Grouping:
    """The groups by one label, the most expensive first. ``others`` is the sum of the ``left`` remaining groups."""

    dimension: str
    groups: tuple[Group, ...]
    others: Figures | None = None
    left: int = 0

    @property
    def recorded(self) -> bool:
        """Whether any call has the label."""
        return any(group.value is not None for group in self.groups)

    @property
    def values(self) -> tuple[str, ...]:
        return tuple(group.value for group in self.groups if group.value is not None)


def totals_of(frame: pl.DataFrame) -> Figures:
    """Return the figures of all calls."""
    return figures_of(frame.select(figures_in(frame)).row(0, named=True))


def grouping_of(frame: pl.DataFrame, dimension: str, top: int) -> Grouping:
    """Group calls by a label: by spend, then by tokens, requests and name."""
    name = f"{LABEL}{dimension}"
    if frame.height and frame[name].null_count() == frame.height:
        return Grouping(dimension, (Group(None, totals_of(frame)),))
    rows = (
        frame.group_by(pl.col(name).alias("value")).agg(figures_in(frame)).with_columns(pl.col("value").cast(pl.String))
    )
    groups = [Group(row["value"], figures_of(row)) for row in rows.iter_rows(named=True)]
    groups.sort(key=_order)
    column = pl.col(name).cast(pl.String)
    if len(groups) <= top:
        return Grouping(dimension, tuple(groups))
    kept = tuple(groups[:top])
    known = [group.value for group in kept if group.value is not None]
    rest = ~column.is_in(known) & column.is_not_null()
    if all(group.value is not None for group in kept):
        rest |= column.is_null()
    return Grouping(dimension, kept, totals_of(frame.filter(rest)), len(groups) - top)


def _order(group: Group) -> tuple[object, ...]:
    figures = group.figures
    return -figures.cost, -figures.tokens, -figures.requests, group.value is None, group.value or ""
