"""Calls that advice reads in columns: sums by label; rows that are not plainly right are left to the reader of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import polars as pl

from costlens_policy.advise.calls import CallSums
from costlens_policy.cli.call_rows import CallReader
from costlens_policy.replay import ColumnMapping
from costlens_policy.replay.columns.batch import RECORDED
from costlens_policy.replay.stream.copy import SeenIds
from costlens_policy.replay.stream.layout import odd_rows
from costlens_policy.replay.stream.tables import RawBatch
from costlens_policy.replay.stream.wider import OwnColumn, WiderTable, wider_tables
from costlens_policy.replay.traffic.reading import FileCheck

__all__ = ["read_in_columns"]

_LABEL: Final = "label"


def read_in_columns(
    files: Sequence[str],
    mapping: ColumnMapping,
    since: datetime,
    start: Callable[[], CallReader],
    tick: Callable[[], None],
) -> CallReader | str:
    """Return a reader that has read all files, or why they have to be read row by row.

    ``start`` makes a reader, ``since`` is what relative times count from. Rows with repeated ids are left to the reader
    of rows: which these are shows once all rows were read, and then everything is read again. Raises ``TrafficError``.
    """
    label = start().label
    own: dict[str, OwnColumn] = {
        _LABEL: (label, "text"), "prompt": ("prompt", "nothing"), "messages": ("messages", "nothing"),
    }  # fmt: skip
    tables = wider_tables(files, mapping, own, since)
    if isinstance(tables, str):
        return tables
    repeated: pl.Series | None = None
    while True:
        reader, ids = start(), SeenIds()
        if repeated is None:
            reader.rows.ids = ids
        for table in tables:
            for batch in table.table.batches(0, FileCheck(table.table.name, reader.rows)):
                _take(batch, table, reader, ids, repeated)
                for _ in range(len(batch.numbers) + len(batch.others)):
                    tick()
        if repeated is not None or not len(repeated := ids.repeated()):
            return reader


def _take(batch: RawBatch, table: WiderTable, reader: CallReader, ids: SeenIds, repeated: pl.Series | None) -> None:
    """Add the calls of a batch."""
    fields, plain = table.layout.split(batch, 0)
    hashes, named = fields["id"].hash(), fields["id"].is_not_null()
    if repeated is not None:
        plain = plain & ~(named & hashes.is_in(repeated.implode()))
    ids.add(hashes.filter(plain & named))
    reader.rows.silent += int((fields["output"].filter(plain) == 0).sum())
    reader.rows.zoneless += table.layout.zoneless(batch.frame.filter(plain))
    labels = _labels(batch.frame, table.own[_LABEL], reader.constant)
    groups = _sums(fields.with_columns(labels).filter(plain), reader)
    odd = [(raw.number, call) for raw in odd_rows(batch, plain) if (call := reader.read(raw)) is not None]
    first = [(number, label) for label, number, _ in groups] + [(number, call.task) for number, call in odd]
    for _, label in sorted(first, key=lambda item: item[0]):
        reader.seen.task(label)  # in the order in which their first calls stand in the file
    for label, _, sums in groups:
        reader.seen.task(label).add_sums(sums)
        reader.count(sums.calls if label is None else 0)
    for _, call in odd:
        reader.seen.add(call)


def _labels(frame: pl.DataFrame, columns: Sequence[str], constant: str | None) -> pl.Series:
    texts = [pl.col(name).cast(pl.String) for name in columns]
    found = (pl.when(text != "").then(text) for text in texts)
    every = frame.with_columns(pl.coalesce(*found, pl.lit(constant, pl.String)).alias("label of the call"))
    return every["label of the call"].alias(_LABEL)


def _sums(rows: pl.DataFrame, reader: CallReader) -> list[tuple[str | None, int, CallSums]]:
    """Return the labels of calls, where each is first, and the sums of its calls."""
    known = pl.col("_cached_tokens").is_not_null()
    cached, short, long = (
        pl.col(f"{RECORDED}{name}").filter(known).sum() if f"{RECORDED}{name}" in rows.columns else pl.lit(0)
        for name in ("cache_read", "cache_write", "cache_write_1h")
    )
    timed = pl.col("session").is_null() if reader.mapping.relative else pl.lit(True)
    groups = rows.group_by(_LABEL, maintain_order=True).agg(
        pl.col("number").first(), pl.len(), pl.col("prompt").sum(), pl.col("output").sum(),
        pl.col("prompt").filter(known).sum().alias("known"), cached.alias("cached"), (short + long).alias("written"),
        pl.col("model").drop_nulls().value_counts(), pl.col("time").filter(timed),
    )  # fmt: skip
    found = []
    for label, number, *sums, models, times in groups.iter_rows():
        calls, prompt, output, of_known, read, written = sums
        counts = {item["model"]: item["count"] for item in models}
        found.append((label, number, CallSums(calls, prompt, output, of_known, read, written, counts, times)))
    return found
