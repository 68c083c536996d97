"""Calls in columns: one call, many of them as a frame, and what a source has read.

Each amount of money is two integers, so sums of any length are exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import polars as pl

from costlens_policy.catalogue import Usage
from costlens_policy.checker.attributes import REPORT_LABELS
from costlens_policy.errors import CostlensPolicyError
from costlens_policy.frozen import frozen
from costlens_policy.money import MAX_FRACTION_DIGITS, from_units, to_units
from costlens_policy.replay.judged import Quality
from costlens_policy.replay.traffic.row import Reject

__all__ = [
    "CALLS", "DIMENSIONS", "HIGH", "LABEL", "LATEST", "LIMB", "LOW", "CallQuery", "Columns", "Read", "ReportError",
    "ReportedCall", "amount_in", "micros", "shown_calls", "summed",
]  # fmt: skip

LIMB: Final = 10**15
"""What the two integers of an amount differ by: femto-dollars, and units of 1e-30 US dollars."""
HIGH: Final = "_high"
LOW: Final = "_low"


def _limbs(amount: Decimal) -> tuple[int, int]:
    """Return an amount in femto-dollars, and what remains of it in units of 1e-30 US dollars."""
    return divmod(to_units(amount, MAX_FRACTION_DIGITS), LIMB)


def _amount_columns(name: str) -> dict[str, Any]:
    """Return the two columns of an amount, with their types: sums of 1e22 US dollars fit."""
    return {f"{name}{HIGH}": pl.Int128, f"{name}{LOW}": pl.Int64}


def summed(name: str, where: pl.Expr | None = None) -> tuple[pl.Expr, pl.Expr]:
    """Return the sums of both columns of an amount, over the rows where a condition holds."""
    columns = [pl.col(f"{name}{HIGH}"), pl.col(f"{name}{LOW}").cast(pl.Int128)]
    chosen = columns if where is None else [column.filter(where) for column in columns]
    return chosen[0].sum(), chosen[1].sum()


def amount_in(high: int | None, low: int | None) -> Decimal:
    """Return the US dollars of two sums, exactly."""
    return from_units((high or 0) * LIMB + (low or 0), MAX_FRACTION_DIGITS)


LABEL: Final = "label."
"""Stands before the names of columns of labels."""
CALLS: Final = "calls"
"""A column of frames whose rows stand for several calls: for how many. Without it, each row is a call."""
LATEST: Final = "latest"
"""A column beside ``CALLS``: when the last of the calls began."""
_CHUNK: Final = 50_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_NOTHING: Final = (None, None)


@frozen
class ReportedCall:
    """``labels`` are by dimension; what was not recorded is absent. ``usage`` is None for a denied call.

    ``cache_known`` is true if the cached part of the prompt is recorded. ``cost``, ``baseline`` and ``held``, what was
    held for the call until it was charged, are in US dollars, ``latency`` in microseconds; each is None where it is not
    known.
    """

    time: datetime
    labels: Mapping[str, str]
    usage: Usage | None = None
    cache_known: bool = False
    cost: Decimal | None = None
    baseline: Decimal | None = None
    latency: int | None = None
    denied: bool = False
    held: Decimal | None = None


def micros(instant: datetime) -> int:
    """Return microseconds since 1970."""
    return (instant - _EPOCH) // _MICROSECOND


@dataclass(slots=True)
class Columns:
    """Collects calls into columns. ``dimensions`` are the labels that are kept."""

    dimensions: tuple[str, ...]
    _rows: list[tuple[Any, ...]] = field(default_factory=list)
    _chunks: list[pl.DataFrame] = field(default_factory=list)

    def add(self, call: ReportedCall) -> None:
        """Add a call."""
        usage = call.usage
        tokens: tuple[int | None, ...] = (None, None, None)
        if usage is not None:
            output = usage.output + usage.reasoning + usage.output_audio + usage.output_image
            cached = usage.cache_read + usage.cache_read_audio if call.cache_known else None
            tokens = usage.prompt_tokens, cached, output
        cost = _NOTHING if call.cost is None else _limbs(call.cost)
        baseline = _NOTHING if call.baseline is None else _limbs(call.baseline)
        held = _NOTHING if call.held is None else _limbs(call.held)
        labels = (_storable(call.labels.get(name)) for name in self.dimensions)
        self._rows.append((micros(call.time), call.denied, *tokens, call.latency, *cost, *baseline, *held, *labels))
        if len(self._rows) >= _CHUNK:
            self._flush()

    def add_frame(self, calls: pl.DataFrame) -> None:
        """Add calls that are in columns."""
        if calls.height:
            self._chunks.append(
                calls.select(pl.col(name).cast(kind) for name, kind in _schema(self.dimensions).items())
            )

    def close(self) -> pl.DataFrame:
        """Return all calls: time, denied, tokens (input, cached, output), latency, cost, baseline, held, and labels."""
        self._flush()
        frame = pl.concat(self._chunks)
        self._chunks.clear()
        return frame

    def _flush(self) -> None:
        columns = list(zip(*self._rows, strict=True)) or [()] * len(_schema(self.dimensions))
        kinds = _schema(self.dimensions).items()
        self._chunks.append(
            pl.DataFrame([pl.Series(name, values, kind) for values, (name, kind) in zip(columns, kinds, strict=True)])
        )
        self._rows.clear()


def _storable(text: str | None) -> str | None:
    """Return a text that a column can hold: unpaired surrogates, which JSON can have, become question marks."""
    return text if text is None or text.isascii() else text.encode("utf-8", "replace").decode()


def _schema(dimensions: tuple[str, ...]) -> dict[str, Any]:
    return {
        "time": pl.Int64, "denied": pl.Boolean, "input": pl.Int64, "cached": pl.Int64, "output": pl.Int64,
        "latency": pl.Int64, **_amount_columns("cost"), **_amount_columns("baseline"),
        **_amount_columns("held"),
        **{f"{LABEL}{name}": pl.Categorical for name in dimensions},
    }  # fmt: skip


DIMENSIONS: tuple[str, ...] = REPORT_LABELS
"""The labels of a call by which a report groups, unless others are named."""


@frozen
class CallQuery:
    """Which calls to read: from ``since`` on, before ``until``, with which labels."""

    dimensions: tuple[str, ...] = DIMENSIONS
    since: datetime | None = None
    until: datetime | None = None

    def covers(self, instant: datetime) -> bool:
        return (self.since is None or instant >= self.since) and (self.until is None or instant < self.until)


@frozen
class Read:
    """``frame`` has the columns of ``Columns``, or those of ``alike.summed_calls``.

    ``left_out`` counts what is not in it, by the reason; ``notes`` list what had to be assumed, ``assumptions`` the
    basis of the figures. ``denials_known`` is false if the source cannot have denials.
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
    labels: frozenset[str] = frozenset()
    """Labels that any call has, named in ``dimensions`` or not, as far as the source knows."""
    judged: Mapping[str, Quality] = field(default_factory=dict)
    """The recorded quality of the answers of each model that was called; costs are not in it."""


def shown_calls(count: int) -> str:
    """Return a number of calls in words."""
    return f"{count:,} call{'' if count == 1 else 's'}"


class ReportError(CostlensPolicyError):
    """The requested report is not possible; after a semicolon the message suggests a remedy."""
