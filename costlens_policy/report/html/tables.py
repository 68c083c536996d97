"""The tables of the page: what the charts show, in numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Final

from costlens_policy.diagnostics.text import printable
from costlens_policy.report.figures import Figures
from costlens_policy.report.groups import Grouping
from costlens_policy.report.result import Report
from costlens_policy.report.timeline import shown_moment
from costlens_policy.report.words import NOT_RECORDED, shown_cost, shown_count, shown_ms, shown_percent, shown_usd

__all__ = ["anomaly_table", "group_table", "time_table", "written"]

_MOST_STEPS: Final = 200
_MOST_ANOMALIES: Final = 25


def group_table(report: Report, grouping: Grouping) -> str:
    """Return a row for each group, and one for all others."""
    rows = [
        (written(group.value) if group.value is not None else _absent(NOT_RECORDED), group.figures)
        for group in grouping.groups
    ]
    if grouping.others is not None:
        rows.append((_absent(f"{grouping.left:,} others"), grouping.others))
    return _figures(report, grouping.dimension, rows)


def time_table(report: Report) -> str:
    """Return a row for each step of time, the latest first."""
    steps = list(reversed(report.timeline))[:_MOST_STEPS]
    rows = [(shown_moment(step.moment, report.unit, report.zone), step.figures) for step in steps]
    table = _figures(report, report.unit, rows)
    if len(report.timeline) <= len(steps):
        return table
    return f'{table}<p class="under">The latest {len(steps)} of {len(report.timeline):,} steps.</p>'


def anomaly_table(report: Report) -> str:
    """Return a row for each anomaly, those about the most money first."""
    anomalies = report.anomalies
    rows = (
        (
            shown_moment(item.moment, anomalies.unit, report.zone),
            written(f"{item.dimension} {item.value}".strip()),
            f'<span class="up">{shown_usd(item.spend)}</span>',
            shown_usd(item.usual),
            f"{item.deviations:+.1f}",
        )
        for item in anomalies.found[:_MOST_ANOMALIES]
    )
    return _table((anomalies.unit, "series", "spend", "usual", "deviations"), rows, "words")


def written(text: str) -> str:
    """Return a text of users as text of HTML: no markup, and nothing that is invisible or turns what follows."""
    return escape(printable(text))


def _absent(text: str) -> str:
    return f'<span class="absent">{escape(text)}</span>'


def _figures(report: Report, heading: str, rows: Iterable[tuple[str, Figures]]) -> str:
    headings = (written(heading), *(name for name, _ in _cells(report, report.totals)))
    return _table(headings, ((name, *(cell for _, cell in _cells(report, figures))) for name, figures in rows))


def _cells(report: Report, figures: Figures) -> Iterator[tuple[str, str]]:
    """Yield heading and content; what no call has recorded has no column."""
    totals, latency = report.totals, figures.latency
    if report.priced:
        yield "spend", shown_cost(figures)
        yield "share", shown_percent(figures.cost / totals.cost if totals.cost else None)
    yield "requests", f"{figures.requests:,}"
    yield "input", shown_count(figures.input_tokens)
    yield "output", shown_count(figures.output_tokens)
    if totals.cache_known_tokens:
        yield "cache hit", shown_percent(figures.cache_hit_rate)
    if totals.latency is not None:
        yield "p50", "" if latency is None else shown_ms(latency.p50)
        yield "p95", "" if latency is None else shown_ms(latency.p95)
    if totals.denied:
        yield "denied", f"{figures.denied:,}"
    if totals.unpriced:
        yield "unpriced", f"{figures.unpriced:,}"
    if totals.compared:
        yield "savings", "" if figures.savings is None else shown_usd(figures.savings)


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "figures") -> str:
    head = "".join(f'<th scope="col">{heading}</th>' for heading in headings)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f'<div class="scroll"><table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )
