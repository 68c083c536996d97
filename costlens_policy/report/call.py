"""One call, as a report knows it, and the columns that many of them become."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import polars as pl

from costlens_policy.catalogue import Usage
from costlens_policy.report.amounts import amount_columns, limbs

__all__ = ["LABEL", "Call", "Columns", "micros"]

LABEL: Final = "label."
"""Stands before the names of columns of labels."""
_CHUNK: Final = 50_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_NOTHING: Final = (None, None)


@dataclass(frozen=True, slots=True)
class Call:
    """``labels`` are by dimension; what was not recorded is absent. ``usage`` is None for a denied call.

    ``cache_known`` says whether the record tells the cached part of the prompt. ``cost`` and ``baseline`` are in US
    dollars, ``latency`` in microseconds; each is None where it is not known.
    """

    time: datetime
    labels: Mapping[str, str]
    usage: Usage | None = None
    cache_known: bool = False
    cost: Decimal | None = None
    baseline: Decimal | None = None
    latency: int | None = None
    denied: bool = False


def micros(instant: datetime) -> int:
    """Return microseconds since 1970."""
    return (instant - _EPOCH) // _MICROSECOND


@dataclass(slots=True)
class Columns:
    """Collects calls into columns. ``dimensions`` are the labels that are kept."""

    dimensions: tuple[str, ...]
    _rows: list[tuple[Any, ...]] = field(default_factory=list)
    _chunks: list[pl.DataFrame] = field(default_factory=list)

    def add(self, call: Call) -> None:
        """Add a call."""
        usage = call.usage
        tokens: tuple[int | None, ...] = (None, None, None)
        if usage is not None:
            output = usage.output + usage.reasoning + usage.output_audio + usage.output_image
            cached = usage.cache_read + usage.cache_read_audio if call.cache_known else None
            tokens = usage.prompt_tokens, cached, output
        cost = _NOTHING if call.cost is None else limbs(call.cost)
        baseline = _NOTHING if call.baseline is None else limbs(call.baseline)
        labels = (_storable(call.labels.get(name)) for name in self.dimensions)
        self._rows.append((micros(call.time), call.denied, *tokens, call.latency, *cost, *baseline, *labels))
        if len(self._rows) >= _CHUNK:
            self._flush()

    def close(self) -> pl.DataFrame:
        """Return all calls: time, denied, tokens (input, cached, output), latency, cost, baseline, and labels."""
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
    """Return a text that a column can hold: halves of characters, which JSON can have, become question marks."""
    return text if text is None or text.isascii() else text.encode("utf-8", "replace").decode()


def _schema(dimensions: tuple[str, ...]) -> dict[str, Any]:
    return {
        "time": pl.Int64, "denied": pl.Boolean, "input": pl.Int64, "cached": pl.Int64, "output": pl.Int64,
        "latency": pl.Int64, **amount_columns("cost"), **amount_columns("baseline"),
        **{f"{LABEL}{name}": pl.Categorical for name in dimensions},
    }  # fmt: skip
