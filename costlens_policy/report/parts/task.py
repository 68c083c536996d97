"""A report that is shared out: what each worker needs to know, and which rows have to be read by the same one."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from costlens_policy.frozen import frozen
from costlens_policy.replay import READY, ColumnMapping, TrafficError
from costlens_policy.replay.stream.layout import is_inside
from costlens_policy.replay.traffic.reading import RowReader
from costlens_policy.report.calls import CallQuery, micros
from costlens_policy.report.prices import Prices
from costlens_policy.report.summarize import Settings
from costlens_policy.report.traffic import TrafficSource, source_of

__all__ = ["ReportTask", "report_task"]


@frozen
class ReportTask:
    """``name`` stands for the traffic in messages, ``place`` is a column of whole numbers that tells rows apart.

    No call depends on another, but of rows with one id only the first counts. So rows with the same values of the
    columns ``ids`` are read together; where ids lie inside of columns, ``whole``, all rows are. Else they lie anywhere.
    Rows without an id are spread by the first of ``times``, columns with times.
    """

    mapping: ColumnMapping
    settings: Settings
    prices: Prices
    baseline: str | None
    name: str
    place: str | None
    ids: tuple[str, ...]
    times: tuple[str, ...]
    whole: bool

    @property
    def query(self) -> CallQuery:
        return CallQuery(self.settings.by)

    @property
    def now(self) -> int | None:
        """The end of the known period, in microseconds."""
        return None if self.settings.now is None else micros(self.settings.now)

    def source(self, files: Sequence[str]) -> TrafficSource:
        """Return the source of files, or with the name of the traffic, that of all of it."""
        return source_of(files, self.mapping, self.settings.by, self.prices, self.baseline)

    def reader(self) -> RowReader:
        """Return the reader of all of the traffic's rows."""
        return self.source((self.name,)).reader({})


def report_task(
    mapping: ColumnMapping | str, settings: Settings | None, prices: Prices | None, baseline: str | None, name: str,
    columns: Collection[str], plain: Collection[str], place: str | None,
) -> ReportTask:  # fmt: skip
    """Return the task of a report on traffic with these columns, of which ``plain`` ones are texts or whole numbers.

    ``mapping`` may be the name of a ready one. Raises ``TrafficError`` for traffic that only ``report_on`` reads, and
    ``ReportError`` for a baseline without a price.
    """
    if isinstance(mapping, str):
        if mapping not in READY:
            raise TrafficError(f"unknown mapping `{mapping}`; the ready ones are {', '.join(sorted(READY))}")
        mapping = READY[mapping]
    if mapping.spans or mapping.transcripts or mapping.outcomes:
        raise TrafficError(f"mapping `{mapping.name}` needs whole files; use `report_on`")
    if place is not None and place not in columns:
        raise TrafficError(f"`{name}` has no column `{place}` for `place`")
    options, times = (mapping.columns[name].split("|") if name in mapping.columns else [] for name in ("id", "time"))
    ids = tuple(option for option in options if option in columns)
    whole = any(option not in columns and is_inside(option, columns) for option in options)
    whole = whole or not set(ids) <= set(plain)
    task = ReportTask(
        mapping,
        settings or Settings(),
        prices or Prices(),
        baseline,
        name,
        place,
        ids,
        tuple(name for name in times if name in columns),
        whole,
    )
    task.source((name,))
    return task
