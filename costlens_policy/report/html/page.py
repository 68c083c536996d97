"""The page: figures, charts with their tables, and all that was assumed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from html import escape
from importlib.resources import files
from typing import Any, Final

import vl_convert

from costlens_policy.diagnostics.text import printable
from costlens_policy.report.figures import Figures, Grouping
from costlens_policy.report.html.charts import (
    Spec,
    cache_over_time,
    colour_of,
    forecast_chart,
    group_bars,
    latency_over_time,
    series_names,
    spend_over_time,
    tokens_over_time,
)
from costlens_policy.report.summarize import Report
from costlens_policy.report.timeline import shown_moment
from costlens_policy.report.words import (
    NOT_KNOWN,
    NOT_RECORDED,
    forecast_sentence,
    no_anomalies,
    shown_cost,
    shown_count,
    shown_ms,
    shown_percent,
    shown_usd,
    tiles,
    title_of,
)

__all__ = ["anomaly_table", "as_html", "draw", "group_table", "time_table", "written"]


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


_VERSION: Final = "5.20"

_CONFIG: Final[dict[str, Any]] = {
    "background": None,
    "font": "sans-serif",
    "padding": 2,
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--muted)", "titleColor": "var(--muted)", "gridColor": "var(--line)",
        "domainColor": "var(--line)", "tickColor": "var(--line)", "labelFontSize": 11, "titleFontSize": 11,
        "titleFontWeight": "normal", "labelLimit": 150, "domain": False, "ticks": False, "labelPadding": 6,
    },
    "text": {"color": "var(--ink)", "fontSize": 11},
}  # fmt: skip
_ID: Final = re.compile(r'(id="|url\(#)((?:clip|gradient_?)\d+)')
_LABELLED: Final = re.compile(
    r'<path aria-label="(?P<label>[^"]*)" role="graphics-symbol" aria-roledescription="[^"]*"(?P<rest>[^>]*?)/>'
)
_UNSEEN: Final = re.compile(
    r'<path class="(?:fore|back)ground"[^>]*/>|<text [^>]*opacity="0"[^>]*>[^<]*</text>'
    r'| (?:pointer-events|font-family|font-weight|aria-hidden|aria-roledescription|class)="[^"]*"'
    r'| role="graphics-(?:object|symbol)"| aria-label="[XY]-axis[^"]*"| opacity="1"'
)
_LONG: Final = re.compile(r"(\d\.\d{2})\d+")
_SIZE: Final = re.compile(r'^<svg [^>]*?width="(?P<width>[\d.]+)" height="(?P<height>[\d.]+)"[^>]*>')


def draw(spec: dict[str, Any], name: str, title: str) -> str:
    """Return a chart as an ``svg`` element that fits its container; ``name`` keeps its ids apart from others'.

    Marks carry what they stand for as a ``title``, which browsers show on hovering and screen readers say.
    """
    svg = vl_convert.vegalite_to_svg({**_drawable(spec), "config": _CONFIG}, vl_version=_VERSION)
    size = _SIZE.match(svg)
    assert size is not None, "a drawing says how large it is"
    inner = svg[size.end() : svg.rindex("</svg>")]
    numbers: dict[str, str] = {}
    inner = _ID.sub(lambda found: found[1] + numbers.setdefault(found[2], f"{name}-{len(numbers)}"), inner)
    inner = _LABELLED.sub(r"<path\g<rest>><title>\g<label></title></path>", inner)
    inner = re.sub(r"<[^>]*>", lambda tag: _LONG.sub(r"\1", tag[0]), _UNSEEN.sub("", inner))
    box = f'viewBox="0 0 {size["width"]} {size["height"]}"'
    return f'<svg {box} style="max-width:{size["width"]}px" role="img" aria-label="{title}">{inner}</svg>'


def _drawable(value: Any) -> Any:
    """Return a specification whose texts can be drawn: on a control character the drawing library ends the process."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {name: _drawable(item) for name, item in value.items()}
    return [_drawable(item) for item in value] if isinstance(value, list) else value
