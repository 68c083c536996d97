"""The page: figures, charts with their tables, and all that was assumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib.resources import files
from typing import Final

from costlens_policy.report.groups import Grouping
from costlens_policy.report.html.bars import group_bars
from costlens_policy.report.html.charts import (
    Spec,
    cache_over_time,
    colour_of,
    latency_over_time,
    series_names,
    spend_over_time,
    tokens_over_time,
)
from costlens_policy.report.html.drawing import draw
from costlens_policy.report.html.forecast_chart import forecast_chart
from costlens_policy.report.html.tables import anomaly_table, group_table, time_table, written
from costlens_policy.report.result import Report
from costlens_policy.report.words import (
    NOT_KNOWN,
    NOT_RECORDED,
    forecast_sentence,
    no_anomalies,
    shown_count,
    shown_percent,
    shown_usd,
    tiles,
    title_of,
)

__all__ = ["as_html"]

_WIDE: Final = 1040
_HALF: Final = 490
_NARROW: Final = 330
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def as_html(report: Report) -> str:
    """Return the page. The same report gives the same page; nothing in it is loaded from elsewhere."""
    style = files("costlens_policy.report.html").joinpath("style.css").read_text(encoding="utf-8")
    cards = "\n".join(_cards(report))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>LLM spend, {written(title_of(report))}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        f"<header><h1>Where the money went</h1><p>{written(report.source)}, {written(title_of(report))}</p></header>\n"
        f"{_tiles(report)}\n"
        f'<div class="cards">\n{cards}\n</div>\n</main>\n</body>\n</html>\n'
    )


def _tiles(report: Report) -> str:
    found = []
    for name, value, more in tiles(report):
        kind = "value absent" if value in (NOT_RECORDED, NOT_KNOWN, "none") else "value"
        found.append(
            f'<div class="tile"><dt>{written(name)}</dt><dd class="{kind}">{written(value)}</dd>'
            f'<dd class="more">{written(more)}</dd></div>'
        )
    return f'<dl class="tiles">{"".join(found)}</dl>'


def _cards(report: Report) -> Iterator[str]:
    what = "Spend" if report.priced else "Tokens"
    layers = f" and {report.stack.dimension}" if report.priced and report.stack else ""
    if len(report.timeline) > 1:
        chart = _chart(f"{what} by {report.unit}{layers}", "spend", partial(spend_over_time, report), _WIDE)
        under = "hover over a mark for its numbers; a triangle marks an anomaly" if _marked(report) else ""
        yield _card(f"{what} by {report.unit}{layers}", under, chart + _details(time_table(report)), wide=True)
    yield from _groups(report)
    yield _forecast(report)
    if len(report.timeline) > 1:
        yield from _over_time(report)
    yield _anomalies(report)
    yield _said(report)


def _marked(report: Report) -> bool:
    return any(item.dimension == "total" for item in report.anomalies.found) and report.anomalies.unit == report.unit


def _groups(report: Report) -> Iterator[str]:
    what = "Spend" if report.priced else "Tokens"
    for place, grouping in enumerate(report.groupings):
        title = f"{what} by {grouping.dimension}"
        if not grouping.recorded:
            continue
        chart = _chart(title, f"group{place}", partial(group_bars, report, grouping), _HALF)
        yield _card(title, _beside(report, grouping), chart + _details(group_table(report, grouping)))


def _beside(report: Report, grouping: Grouping) -> str:
    """Return what the bars leave out: all groups beyond the first few."""
    others = grouping.others
    if others is None:
        return ""
    amount = shown_usd(others.cost) if report.priced else f"{shown_count(others.tokens)} tokens"
    share = shown_percent(others.cost / report.totals.cost) if report.priced and report.totals.cost else ""
    return f"the first {len(grouping.groups)}; {grouping.left:,} others: {amount}{f', {share}' if share else ''}"


def _forecast(report: Report) -> str:
    title = f"Forecast to the end of the {report.forecast.window.unit}"
    chart = ""
    if forecast_chart(report, _HALF) is not None:
        chart = _chart(title, "forecast", lambda width: forecast_chart(report, width) or {}, _HALF)
    return _card(title, forecast_sentence(report), chart)


def _over_time(report: Report) -> Iterator[str]:
    totals = report.totals
    yield _card("Tokens", "", _chart("Tokens", "tokens", partial(tokens_over_time, report), _HALF))
    if totals.cache_known_tokens:
        under = "cached input tokens as a share of input tokens"
        chart = _chart("Cache hit rate", "cache", partial(cache_over_time, report), _HALF)
        yield _card("Cache hit rate", under, chart)
    if totals.latency is not None:
        chart = _chart("Latency", "latency", partial(latency_over_time, report), _HALF)
        yield _card("Latency", f"of {totals.latency.calls:,} calls", chart)


def _anomalies(report: Report) -> str:
    anomalies = report.anomalies
    if anomalies.found:
        under = f"{len(anomalies.found)} in {anomalies.judged} series by {anomalies.unit}"
        return _card("Anomalies", under, anomaly_table(report), wide=True)
    return _card("Anomalies", no_anomalies(report), "", wide=True)


def _said(report: Report) -> str:
    lines = [f"left out: {count:,} {reason}" for reason, count in report.left_out.items()]
    if report.not_recorded:
        lines.append(f"not recorded: {', '.join(report.not_recorded)}")
    if report.anomalies.skipped and report.anomalies.judged:
        lines.append(f"series too short to be judged for anomalies: {report.anomalies.skipped}")
    items = "".join(f"<li>{written(line)}</li>" for line in (*lines, *report.notes, *report.assumptions))
    return _card("What this rests on", "", f'<ul class="said">{items}</ul>', wide=True)


def _card(title: str, under: str, content: str, *, wide: bool = False) -> str:
    below = f'<p class="under">{written(under)}</p>' if under else ""
    return f'<section class="card{" wide" if wide else ""}"><h2>{written(title)}</h2>{below}{content}</section>'


def _chart(title: str, name: str, spec: Callable[[int], Spec], width: int) -> str:
    """Return a chart twice: for broad screens, and with the same size of text for narrow ones."""
    label, broad = written(title), spec(width)
    names = series_names(broad)
    keys = "".join(f'<li style="--key:{colour_of(item, names)}">{written(item)}</li>' for item in names)
    legend = f'<ul class="legend">{keys}</ul>' if keys else ""
    return (
        f"{legend}"
        f'<figure class="broad">{draw(broad, f"{name}-broad", label)}</figure>'
        f'<figure class="narrow">{draw(spec(_NARROW), f"{name}-narrow", label)}</figure>'
    )


def _details(table: str) -> str:
    return f"<details><summary>in numbers</summary>{table}</details>"
