"""Figures by a label: the largest groups, and what remains of the others."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from costlens_policy.report.call import LABEL
from costlens_policy.report.figures import FIGURES, Figures, figures_of

__all__ = ["Group", "Grouping", "grouping_of", "totals_of"]


@dataclass(frozen=True, slots=True)
class Group:
    """The calls with one value of a label; None for those on which it was not recorded."""

    value: str | None
    figures: Figures


@dataclass(frozen=True, slots=True)
class Grouping:
    """The groups by one label, the dearest first. ``others`` are the ``left`` groups beyond the first few, together."""

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
    return figures_of(frame.select(FIGURES).row(0, named=True))


def grouping_of(frame: pl.DataFrame, dimension: str, top: int) -> Grouping:
    """Group calls by a label: by spend, then by tokens, requests and name."""
    column = pl.col(f"{LABEL}{dimension}").cast(pl.String)
    rows = frame.group_by(column.alias("value")).agg(FIGURES)
    groups = [Group(row["value"], figures_of(row)) for row in rows.iter_rows(named=True)]
    groups.sort(key=_order)
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
