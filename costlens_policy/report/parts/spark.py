"""Reports on data frames of Spark, with its DataFrame API alone. Needs the extra ``spark``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from costlens_policy.replay import ColumnMapping
from costlens_policy.replay.parts.spark import usual_parts
from costlens_policy.replay.parts.task import PART, REPORT
from costlens_policy.report.parts.gather import gather_report
from costlens_policy.report.parts.reading import sum_part
from costlens_policy.report.parts.task import ReportTask, report_task
from costlens_policy.report.prices import Prices
from costlens_policy.report.summarize import Report, Settings

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame

__all__ = ["report_spark"]

_PLAIN: Final = ("string", "tinyint", "smallint", "int", "bigint")


def report_spark(
    frame: DataFrame,
    mapping: ColumnMapping | str = "plain",
    settings: Settings | None = None,
    *,
    prices: Prices | None = None,
    baseline: str | None = None,
    parts: int | None = None,
    place: str | None = None,
) -> Report:
    """Report on a data frame, summed up on Spark's workers: every figure is that of ``report_on``.

    Where the mapping has an ``id`` that the frame has, too, rows are exchanged by it, with all columns of the frame,
    over ``parts`` parts, Spark's own parallelism by default. ``baseline``, ``place`` and errors are those of
    ``report_arrow``; besides, ``MergeError`` is raised where parts were split.
    """
    plain = [name for name, kind in frame.dtypes if kind in _PLAIN]
    task = report_task(mapping, settings, prices, baseline, "the data frame", frame.columns, plain, place)
    if task.ids or task.whole:
        count = 1 if task.whole else parts or usual_parts(frame)
        frame = frame.withColumn(PART, _part(task, count)).repartition(count, PART)
    summed = frame.mapInArrow(_summing(task), f"{REPORT} string")
    return gather_report(task, (row[REPORT] for row in summed.toLocalIterator()))


def _part(task: ReportTask, count: int) -> Column:
    """Return the part of a row: by its id, or else by its time, so that a task that runs again gives the same."""
    from pyspark.sql import functions

    texts = [functions.col(f"`{name}`").cast("string") for name in (*task.ids, *task.times)]
    key = functions.coalesce(*(functions.when(text != "", text) for text in texts), functions.lit(""))
    return functions.pmod(functions.xxhash64(key), functions.lit(count)).cast("int")


def _summing(task: ReportTask) -> Any:
    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        found = sum_part(task, batches)
        if found is not None:
            yield pa.RecordBatch.from_pydict({REPORT: [found]}, pa.schema([(REPORT, pa.string())]))

    return run
