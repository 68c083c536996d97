"""A report in the terminal: tables with bars, and sparklines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from rich.markup import escape
from rich.table import Table

from costlens_policy.diagnostics.text import printable
from costlens_policy.replay.expected import Expected
from costlens_policy.replay.tables import SummaryTable, estimate_text, expected_line, expected_table
from costlens_policy.report.figures import Figures, Grouping
from costlens_policy.report.summarize import Report
from costlens_policy.report.timeline import shown_start
from costlens_policy.report.words import (
    NOT_RECORDED,
    forecast_sentence,
    judged_line,
    no_anomalies,
    shown_cost,
    shown_count,
    shown_ms,
    shown_percent,
    shown_usd,
    tiles,
    title_of,
)

__all__ = ["sparkline", "text_parts"]

_BAR: Final = 24
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
_LEVELS: Final = "▁▂▃▄▅▆▇█"
_MOST_BUCKETS: Final = 31
_WIDEST: Final = 100
_MOST_ANOMALIES: Final = 10


def text_parts(report: Report) -> Iterator[Table | str]:
    """Yield the tables and lines of a report, in order."""
    yield f"{printable(report.source)}: {title_of(report)}"
    yield _headline(report)
    if len(report.timeline) > 1:
        yield from _over_time(report)
    for grouping in report.groupings:
        if grouping.recorded:
            yield _grouping(report, grouping)
    if report.expected is not None:
        yield from _expected(report.expected)
    if report.judged:
        yield from _judged(report)
    yield f"\nforecast: {forecast_sentence(report)}"
    yield from _anomalies(report)
    yield from _notes(report)


def sparkline(amounts: Sequence[Decimal]) -> str:
    """Return one character for each amount, from zero to the largest; several become one where they are too many."""
    size = -(-len(amounts) // _WIDEST)
    sums = [sum(amounts[at : at + size], Decimal(0)) for at in range(0, len(amounts), max(size, 1))]
    most = max(sums, default=Decimal(0))
    return "".join(
        _LEVELS[int(amount * (len(_LEVELS) - 1) / most + Decimal("0.5"))] if most else " " for amount in sums
    )


def _headline(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    for name, value, more in tiles(report):
        table.add_row(name, value, escape(printable(more)))
    return table


def _over_time(report: Report) -> Iterator[Table | str]:
    measure = _measure(report)
    amounts = [measure(bucket.figures) for bucket in report.timeline]
    what = "spend" if report.priced else "tokens"
    yield f"\n{what} by {report.unit}  {sparkline(amounts)}"
    shown = report.timeline[-_MOST_BUCKETS:]
    table = _table(report, report.unit)
    most = max(amounts)
    for bucket in shown:
        table.add_row(
            shown_start(bucket.start, report.unit, report.zone),
            _bar(measure(bucket.figures), most),
            *_cells(report, bucket.figures),
        )
    yield table
    if len(report.timeline) > len(shown):
        yield f"the last {len(shown)} of {len(report.timeline):,}; `--format csv` has all of them"


def _grouping(report: Report, grouping: Grouping) -> Table:
    measure = _measure(report)
    table = _table(report, grouping.dimension, title=f"\nby {grouping.dimension}")
    figures = [group.figures for group in grouping.groups]
    most = max(map(measure, [*figures, grouping.others] if grouping.others else figures), default=Decimal(0))
    for group in grouping.groups:
        name = f"[dim]{NOT_RECORDED}[/dim]" if group.value is None else escape(printable(group.value))
        table.add_row(name, _bar(measure(group.figures), most), *_cells(report, group.figures))
    if grouping.others is not None:
        bar = _bar(measure(grouping.others), most)
        table.add_row(f"[dim]{grouping.left:,} others[/dim]", bar, *_cells(report, grouping.others))
    return table


def _expected(expected: Expected) -> Iterator[Table | str]:
    yield f"\nexpected quality: {expected_line(expected)}"
    if expected.measured:
        yield _shown(expected_table(expected))


def _judged(report: Report) -> Iterator[Table | str]:
    yield f"\n{judged_line(report)}"
    rows = [
        (name, shown_count(way.answered), estimate_text(way.mean))
        for name, way in sorted(report.judged.items(), key=lambda item: -item[1].answered)
    ]
    if len(rows) > 1:
        yield _shown(SummaryTable("", ("model", "calls", "right"), rows, frozenset({1, 2})))


def _shown(summary: SummaryTable) -> Table:
    table = Table(title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for place, name in enumerate(summary.headings):
        table.add_column(name, justify="right" if place in summary.numbers else "left", no_wrap=place > 1)
    for row in summary.rows:
        table.add_row(*(escape(printable(cell)) for cell in row))
    return table


def _measure(report: Report) -> Callable[[Figures], Decimal]:
    if report.priced:
        return lambda figures: figures.cost
    return lambda figures: Decimal(figures.tokens)


def _table(report: Report, heading: str, title: str | None = None) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )  # fmt: skip
    table.add_column(heading, overflow="fold", max_width=44)
    table.add_column("", no_wrap=True, min_width=_BAR, style="cyan")
    for name in _headings(report):
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _headings(report: Report) -> Iterator[str]:
    totals = report.totals
    yield from ("spend", "share") if report.priced else ()
    yield from ("requests", "tokens")
    yield from ("cache hit",) if totals.cache_known_tokens else ()
    yield from ("p50", "p95") if totals.latency else ()
    yield from ("denied",) if totals.denied else ()
    yield from ("unpriced",) if totals.unpriced else ()
    yield from ("savings",) if totals.compared else ()
    yield from ("held", "charged of it") if totals.reserved else ()


def _cells(report: Report, figures: Figures) -> Iterator[str]:
    totals = report.totals
    if report.priced:
        yield shown_cost(figures)
        yield shown_percent(figures.cost / totals.cost if totals.cost else None)
    yield f"{figures.requests:,}"
    yield shown_count(figures.tokens)
    if totals.cache_known_tokens:
        yield shown_percent(figures.cache_hit_rate)
    if totals.latency:
        yield "" if figures.latency is None else shown_ms(figures.latency.p50)
        yield "" if figures.latency is None else shown_ms(figures.latency.p95)
    if totals.denied:
        yield f"{figures.denied:,}" if figures.denied else ""
    if totals.unpriced:
        yield f"{figures.unpriced:,}" if figures.unpriced else ""
    if totals.compared:
        yield "" if figures.savings is None else shown_usd(figures.savings)
    if totals.reserved:
        yield shown_usd(figures.held) if figures.reserved else ""
        yield shown_percent(figures.used_share)


def _bar(amount: Decimal, most: Decimal) -> str:
    if not most or amount <= 0:
        return ""
    eighths = max(1, int((amount * _BAR * 8 / most).to_integral_value(ROUND_HALF_UP)))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _anomalies(report: Report) -> Iterator[Table | str]:
    anomalies = report.anomalies
    unit = anomalies.unit
    if not anomalies.found:
        yield f"anomalies: {no_anomalies(report)}"
        return
    table = Table(
        title=f"\n{len(anomalies.found)} anomalies in {anomalies.judged} series by {unit}",
        title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0),
    )  # fmt: skip
    for name in (unit, "series"):
        table.add_column(name, overflow="fold")
    for name in ("spend", "usual", "deviations"):
        table.add_column(name, justify="right", no_wrap=True)
    for item in anomalies.found[:_MOST_ANOMALIES]:
        table.add_row(
            shown_start(item.start, unit, report.zone),
            escape(printable(f"{item.dimension} {item.value}".strip())),
            shown_usd(item.spend),
            shown_usd(item.usual),
            f"{item.deviations:+.1f}",
        )
    yield table
    if len(anomalies.found) > _MOST_ANOMALIES:
        yield f"the {_MOST_ANOMALIES} largest of {len(anomalies.found)}; `--format json` has all of them"


def _notes(report: Report) -> Iterator[str]:
    if report.anomalies.skipped and report.anomalies.judged:
        yield f"series too short to be judged: {report.anomalies.skipped}"
    if report.not_recorded:
        yield f"\nnot recorded: {', '.join(map(printable, report.not_recorded))}"
    for reason, count in report.left_out.items():
        yield f"left out: {count:,} {printable(reason)}"
    for text in report.notes:
        yield f"note: {printable(text)}"
    yield "\nassumptions:"
    for text in report.assumptions:
        yield f"  - {printable(text)}"
