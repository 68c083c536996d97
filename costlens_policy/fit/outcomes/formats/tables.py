"""Tables: CSV, JSON lines, JSON and Parquet whose columns have the names of fields, or are mapped to them."""

from __future__ import annotations

from collections.abc import Iterator

from costlens_policy.fit.outcomes.formats.format import Format, Opened
from costlens_policy.fit.outcomes.joining import Joining
from costlens_policy.fit.outcomes.mapping import FIELDS
from costlens_policy.replay.traffic.sources import RawRow, read_file

__all__ = ["TABLE"]


def _rows(file: Opened, joining: Joining) -> Iterator[RawRow]:
    return read_file(file.name, joining.remarks.add)


TABLE = Format(
    "table",
    "CSV, JSON lines, JSON or Parquet with a score for each request and model",
    lambda file: True,
    _rows,
    {name: name for name in FIELDS},
)
