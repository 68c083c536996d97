"""What was read: the calls in columns, and all that has to be said about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from costlens_policy.replay.traffic.row import Reject

__all__ = ["DIMENSIONS", "Asked", "Read", "shown_calls"]

DIMENSIONS: tuple[str, ...] = ("provider", "model", "team", "feature", "user", "rule")
"""The labels of a call by which a report groups, unless others are named."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which calls to read: from a time on, before a time, with which labels."""

    dimensions: tuple[str, ...] = DIMENSIONS
    since: datetime | None = None
    until: datetime | None = None

    def covers(self, instant: datetime) -> bool:
        return (self.since is None or instant >= self.since) and (self.until is None or instant < self.until)


@dataclass(frozen=True, slots=True)
class Read:
    """``frame`` has the columns of ``Columns``.

    ``left_out`` counts what is not in it, by the reason; ``notes`` say what had to be taken for granted,
    ``assumptions`` what the figures rest on. ``denials_known`` is false where the source cannot tell of any.
    """

    source: str
    frame: pl.DataFrame
    dimensions: tuple[str, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    rejects: tuple[Reject, ...] = ()
    denials_known: bool = True
    baseline: str = ""


def shown_calls(count: int) -> str:
    """Return a number of calls in words."""
    return f"{count:,} call{'' if count == 1 else 's'}"
