"""A report as one table of CSV: a line for all calls, for each group, and for each stretch of time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from costlens_policy.replay.report.csv_text import csv_text
from costlens_policy.report.export import export_figures
from costlens_policy.report.figures import Figures
from costlens_policy.report.result import Report
from costlens_policy.report.timeline import shown_moment

__all__ = ["as_csv"]

_NAMES: Final = (
    "requests", "denied", "unpriced", "cost_usd", "input_tokens", "cached_tokens", "output_tokens", "cache_hit_rate",
    "compared", "compared_cost_usd", "baseline_cost_usd", "savings_usd", "savings_share",
)  # fmt: skip
_LATENCIES: Final = ("calls", "p50", "p95", "p99")


def as_csv(report: Report) -> str:
    """Return the table. ``by`` is ``total``, a label, or the unit of time; an empty value is one that is not recorded.

    What is left of a label beyond its first groups has the ``by`` of the label with `` (others)``.
    """
    head = ("by", "value", *_NAMES, "latency_calls", *(f"latency_{name}_ms" for name in _LATENCIES[1:]))
    return csv_text([head, *((by, value, *_cells(figures)) for by, value, figures in _lines(report))])


def _lines(report: Report) -> Iterator[tuple[str, str, Figures]]:
    yield "total", "", report.totals
    for grouping in report.groupings:
        for group in grouping.groups:
            yield grouping.dimension, group.value or "", group.figures
        if grouping.others is not None:
            yield f"{grouping.dimension} (others)", f"{grouping.left}", grouping.others
    for bucket in report.timeline:
        yield report.unit, shown_moment(bucket.moment, report.unit, report.zone), bucket.figures


def _cells(figures: Figures) -> Iterator[Any]:
    data = export_figures(figures)
    latency = data["latency_ms"] or {}
    for value in (*(data[name] for name in _NAMES), *(latency.get(name) for name in _LATENCIES)):
        yield "" if value is None else value
