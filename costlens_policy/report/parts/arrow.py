"""Reports on Arrow data in one process: what DuckDB, Daft, Polars, PyArrow and readers of tables hand out."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from costlens_policy.replay import ColumnMapping, TrafficError
from costlens_policy.replay.columns.step import ArrowStream
from costlens_policy.replay.parts.arrow import frames_in
from costlens_policy.report.parts.gather import gather_report
from costlens_policy.report.parts.reading import sum_part
from costlens_policy.report.parts.task import report_task
from costlens_policy.report.prices import Prices
from costlens_policy.report.summarize import Report, Settings

__all__ = ["report_arrow"]


def report_arrow(
    batches: ArrowStream | Iterable[ArrowStream],
    mapping: ColumnMapping | str = "plain",
    settings: Settings | None = None,
    *,
    prices: Prices | None = None,
    baseline: str | None = None,
    place: str | None = None,
) -> Report:
    """Report on Arrow data: a table or frame, or batches one after the other, in any order.

    The rows are copied to disk. ``baseline`` is a model that savings are shown against. Of rows with one id the first
    counts, by ``place``, a column of whole numbers that tells rows apart, or else by their time and other columns.

    Raises ``TrafficError`` for columns that are not as the mapping needs them, ``ReportError`` where no call is left.
    """
    frames = frames_in(batches)
    first = next(frames, None)
    if first is None:
        raise TrafficError("the data has no rows")
    task = report_task(mapping, settings, prices, baseline, "the data", first.columns, first.columns, place)
    return gather_report(task, [sum_part(task, chain([first], frames))])
