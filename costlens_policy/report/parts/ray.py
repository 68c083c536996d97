"""Reports on datasets of Ray Data. Needs the extra ``ray``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import polars as pl

from costlens_policy.replay import ColumnMapping
from costlens_policy.replay.parts.ray import by_block, checked, usual_parts, with_columns
from costlens_policy.replay.parts.task import PART, REPORT
from costlens_policy.replay.stream.tables import BATCH
from costlens_policy.report.parts.gather import gather_report
from costlens_policy.report.parts.reading import sum_part
from costlens_policy.report.parts.task import ReportTask, report_task
from costlens_policy.report.prices import Prices
from costlens_policy.report.summarize import Report, Settings

if TYPE_CHECKING:
    import pyarrow as pa
    from ray.data import Dataset

__all__ = ["report_ray"]

_PLAIN: Final = ("string", "large_string", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32")


def report_ray(
    dataset: Dataset,
    mapping: ColumnMapping | str = "plain",
    settings: Settings | None = None,
    *,
    prices: Prices | None = None,
    baseline: str | None = None,
    parts: int | None = None,
    place: str | None = None,
) -> Report:
    """Report on a dataset, summed up on Ray's workers: every figure is that of ``report_on``.

    As ``report_spark``; where rows are exchanged by their ids, a worker holds the rows of a part in memory.
    """
    dataset, columns = with_columns(dataset)
    kinds = dict(zip(columns, dataset.schema().types, strict=True)) if columns else {}
    plain = [name for name, kind in kinds.items() if str(kind) in _PLAIN]
    task = report_task(mapping, settings, prices, baseline, "the dataset", columns, plain, place)
    blocks = by_block(dataset, task.reader)
    if task.ids or task.whole:
        count = 1 if task.whole else parts or usual_parts()
        marked = by_block(dataset, task.reader).map_batches(
            _marking(task, count), batch_format="pyarrow", batch_size=BATCH
        )
        summed = marked.groupby(PART, num_partitions=count).map_groups(_summing(task), batch_format="pyarrow")
    else:
        summed = blocks.map_batches(_summing(task), batch_format="pyarrow", batch_size=BATCH)
    return gather_report(task, (row[REPORT] for row in summed.iter_rows()))


def _marking(task: ReportTask, count: int) -> Callable[[pa.Table], pa.Table]:
    def run(table: pa.Table) -> pa.Table:
        names = [name for name in (*task.ids, *task.times) if name in table.column_names]
        frame = pl.DataFrame(table.select(names)).with_columns(pl.lit("").alias("_none")).cast(pl.String)
        key = pl.coalesce(*(pl.when(pl.col(name) != "").then(name) for name in names), "_none")
        return table.append_column(PART, frame.select((key.hash() % count).cast(pl.Int32)).to_series().to_arrow())

    return run


def _summing(task: ReportTask) -> Callable[[pa.Table], pa.Table]:
    def run(table: pa.Table) -> pa.Table:
        import pyarrow as pa

        return pa.table({REPORT: pa.array([sum_part(task, map(checked, [table]))], pa.string())})

    return run
