"""Rows read one by one and put into batches; those that no batch can hold end the replay in columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import polars as pl

from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.request import admit_request
from costlens_policy.errors import RequestError
from costlens_policy.replay.columns.rows import batch_of, fits
from costlens_policy.replay.run import rejected
from costlens_policy.replay.simulation import request_of
from costlens_policy.replay.traffic.reading import RowReader
from costlens_policy.replay.traffic.row import Reject, Row
from costlens_policy.replay.traffic.sources import RawRow

__all__ = ["Fitting", "UnfitError"]


class UnfitError(Exception):
    """A row cannot be held by a batch, as one of more tokens than a call can have."""


class Fitting:
    """A reader of rows whose results are batches. ``refused`` are rows that the policy set does not accept."""

    __slots__ = ("_attributes", "_files", "_plan", "reader", "refused")

    def __init__(self, reader: RowReader, plan: Plan, attributes: tuple[str, ...], files: tuple[str, ...]) -> None:
        self.reader = reader
        self._plan = plan
        self._attributes = attributes
        self._files = {name: place for place, name in enumerate(files)}
        self.refused: list[Reject] = []

    def take(self, raws: Iterable[RawRow]) -> pl.DataFrame:
        """Read rows; return those that could be read. Raises ``UnfitError``."""
        for raw in raws:
            self.reader.take(raw)
        return self.drain()

    def drain(self) -> pl.DataFrame:
        """Return what was read since the last time as a batch."""
        rows = list(self._fitted())
        self.reader.rows.clear()
        return batch_of(rows, self._plan, self._attributes, self._files.__getitem__)

    def rejects(self) -> list[Reject]:
        """Return the rows that were left out since the last time."""
        found = [*self.reader.rejects, *self.refused]
        self.reader.rejects.clear()
        self.refused.clear()
        return found

    def _fitted(self) -> Iterator[Row]:
        for row in self.reader.rows:
            if fits(row, self._plan):
                yield row
                continue
            fitted = self._admitted(row)
            if fitted is not None:
                yield fitted

    def _admitted(self, row: Row) -> Row | None:
        """Return a row with its attributes as the engine would take them."""
        try:
            admitted: dict[str, Any] = admit_request(self._plan, request_of(row, self._plan))
        except RequestError as error:
            self.refused.append(rejected(row, error))
            return None
        fitted = replace(row, attributes={name: admitted[name] for name in row.attributes if name in admitted})
        if not fits(fitted, self._plan):
            raise UnfitError(row.place)
        return fitted
