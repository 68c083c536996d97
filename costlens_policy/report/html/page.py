"""The page: figures, charts with their tables, and all that was assumed.

`page.html.j2` is the page, and escapes all that it is given; what is ready as markup here are the drawings alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from importlib.resources import files
from typing import Any, Final, NamedTuple, TypeAlias

import vl_convert
from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from costlens_policy.diagnostics.text import printable
from costlens_policy.frozen import frozen
from costlens_policy.replay.tables import expected_line
from costlens_policy.report.figures import Figures, Grouping
from costlens_policy.report.html.charts import (
    Spec,
    cache_over_time,
    color_of,
    forecast_chart,
    group_bars,
    latency_over_time,
    series_names,
    spend_over_time,
    tokens_over_time,
)
from costlens_policy.report.summarize import Report
from costlens_policy.report.timeline import shown_start
from costlens_policy.report.words import (
    NOT_KNOWN,
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

__all__ = ["Card", "Cell", "Chart", "NumberTable", "Tile", "as_html", "drawn", "render"]

Tile: TypeAlias = tuple[str, str, str, bool]
"""A figure: its name, its value, what to know of it, and whether it is known."""

_WIDE: Final = 1040
_HALF: Final = 490
_NARROW: Final = 330
_MOST_STEPS: Final = 200
_MOST_ANOMALIES: Final = 25


class Cell(NamedTuple):
    """A cell of a table, and the class of its text in the style sheet."""

    text: str
    kind: str = ""


@frozen
class NumberTable:
    """What a chart shows, in numbers."""

    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    kind: str = "figures"
    after: str = ""


@frozen
class Chart:
    """A chart twice: for broad screens, and with the same size of text for narrow ones."""

    legend: Sequence[tuple[str, str]]
    broad: Markup
    narrow: Markup


@frozen
class Card:
    """One card of the page. A table beside a chart is folded away."""

    title: str
    under: str = ""
    chart: Chart | None = None
    table: NumberTable | None = None
    lines: Sequence[str] = ()
    wide: bool = False


def as_html(report: Report) -> str:
    """Return the page. The same report gives the same page; nothing in it is loaded from elsewhere."""
    absent = (NOT_RECORDED, NOT_KNOWN, "none")
    figures = [(name, value, more, value not in absent) for name, value, more in tiles(report)]
    title = title_of(report)
    return render(f"LLM spend, {title}", "Where the money went", f"{report.source}, {title}", figures, _cards(report))


def render(title: str, heading: str, under: str, tiles: Iterable[Tile], cards: Iterable[Card]) -> str:
    """Return a page in the style of the report."""
    return _template().render(
        style=Markup(_resource("style.css")),  # a file of this package
        title=title,
        heading=heading,
        under=under,
        tiles=list(tiles),
        cards=list(cards),
    )


def _resource(name: str) -> str:
    return files("costlens_policy.report.html").joinpath(name).read_text(encoding="utf-8")


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, finalize=_visible, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        undefined=StrictUndefined,
    )  # fmt: skip
    return environment.from_string(_resource("page.html.j2"))


def _visible(value: object) -> object:
    """Return a text without what is invisible or turns what follows; markup of this module stays as it is."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _cards(report: Report) -> Iterator[Card]:
    what = "Spend" if report.priced else "Tokens"
    layers = f" and {report.stack.dimension}" if report.priced and report.stack else ""
    if len(report.timeline) > 1:
        title = f"{what} by {report.unit}{layers}"
        chart = drawn(title, "spend", partial(spend_over_time, report), _WIDE)
        under = "hover over a mark for its numbers; a triangle marks an anomaly" if _marked(report) else ""
        yield Card(title, under, chart, _time_table(report), wide=True)
    yield from _groups(report)
    yield _forecast(report)
    if len(report.timeline) > 1:
        yield from _over_time(report)
    yield _anomalies(report)
    yield _basis(report)


def _marked(report: Report) -> bool:
    return any(item.dimension == "total" for item in report.anomalies.found) and report.anomalies.unit == report.unit


def _groups(report: Report) -> Iterator[Card]:
    what = "Spend" if report.priced else "Tokens"
    for place, grouping in enumerate(report.groupings):
        title = f"{what} by {grouping.dimension}"
        if not grouping.recorded:
            continue
        chart = drawn(title, f"group{place}", partial(group_bars, report, grouping), _HALF)
        yield Card(title, _beside(report, grouping), chart, _group_table(report, grouping))


def _beside(report: Report, grouping: Grouping) -> str:
    """Return what the bars leave out: all groups beyond the first few."""
    others = grouping.others
    if others is None:
        return ""
    amount = shown_usd(others.cost) if report.priced else f"{shown_count(others.tokens)} tokens"
    share = shown_percent(others.cost / report.totals.cost) if report.priced and report.totals.cost else ""
    return f"the first {len(grouping.groups)}; {grouping.left:,} others: {amount}{f', {share}' if share else ''}"


def _forecast(report: Report) -> Card:
    title = f"Forecast to the end of the {report.forecast.window.unit}"
    chart = None
    if forecast_chart(report, _HALF) is not None:
        chart = drawn(title, "forecast", lambda width: forecast_chart(report, width) or {}, _HALF)
    return Card(title, forecast_sentence(report), chart)


def _over_time(report: Report) -> Iterator[Card]:
    totals = report.totals
    yield Card("Tokens", "", drawn("Tokens", "tokens", partial(tokens_over_time, report), _HALF))
    if totals.cache_known_tokens:
        under = "cached input tokens as a share of input tokens"
        chart = drawn("Cache hit rate", "cache", partial(cache_over_time, report), _HALF)
        yield Card("Cache hit rate", under, chart)
    if totals.latency is not None:
        chart = drawn("Latency", "latency", partial(latency_over_time, report), _HALF)
        yield Card("Latency", f"of {totals.latency.calls:,} calls", chart)


def _anomalies(report: Report) -> Card:
    anomalies = report.anomalies
    if anomalies.found:
        under = f"{len(anomalies.found)} in {anomalies.judged} series by {anomalies.unit}"
        return Card("Anomalies", under, table=_anomaly_table(report), wide=True)
    return Card("Anomalies", no_anomalies(report), wide=True)


def _basis(report: Report) -> Card:
    lines = [f"left out: {count:,} {reason}" for reason, count in report.left_out.items()]
    if report.not_recorded:
        lines.append(f"not recorded: {', '.join(report.not_recorded)}")
    if report.anomalies.skipped and report.anomalies.judged:
        lines.append(f"series too short to be judged for anomalies: {report.anomalies.skipped}")
    if report.expected is not None:
        lines.insert(0, f"expected quality by the catalogue: {expected_line(report.expected)}")
    if report.judged:
        lines.insert(0, judged_line(report))
    return Card("Assumptions and notes", lines=(*lines, *report.notes, *report.assumptions), wide=True)


def drawn(title: str, name: str, spec: Callable[[int], Spec], width: int) -> Chart:
    """Draw a chart of a width, and once more for narrow screens; ``name`` keeps its ids apart from others'."""
    broad = spec(width)
    names = series_names(broad)
    legend = [(item, color_of(item, names)) for item in names]
    return Chart(legend, _draw(broad, f"{name}-broad", title), _draw(spec(_NARROW), f"{name}-narrow", title))


def _group_table(report: Report, grouping: Grouping) -> NumberTable:
    """Return a row for each group, and one for all others."""
    rows = [
        (Cell(NOT_RECORDED, "absent") if group.value is None else Cell(group.value), group.figures)
        for group in grouping.groups
    ]
    if grouping.others is not None:
        rows.append((Cell(f"{grouping.left:,} others", "absent"), grouping.others))
    return _figures(report, grouping.dimension, rows)


def _time_table(report: Report) -> NumberTable:
    """Return a row for each step of time, the latest first."""
    steps = list(reversed(report.timeline))[:_MOST_STEPS]
    rows = [(Cell(shown_start(step.start, report.unit, report.zone)), step.figures) for step in steps]
    all_shown = len(report.timeline) <= len(steps)
    after = "" if all_shown else f"The latest {len(steps)} of {len(report.timeline):,} steps."
    return replace(_figures(report, report.unit, rows), after=after)


def _anomaly_table(report: Report) -> NumberTable:
    """Return a row for each anomaly, those about the most money first."""
    anomalies = report.anomalies
    rows = [
        (
            Cell(shown_start(item.start, anomalies.unit, report.zone)),
            Cell(f"{item.dimension} {item.value}".strip()),
            Cell(shown_usd(item.spend), "up"),
            Cell(shown_usd(item.usual)),
            Cell(f"{item.deviations:+.1f}"),
        )
        for item in anomalies.found[:_MOST_ANOMALIES]
    ]
    return NumberTable((anomalies.unit, "series", "spend", "usual", "deviations"), rows, "words")


def _figures(report: Report, heading: str, rows: Iterable[tuple[Cell, Figures]]) -> NumberTable:
    headings = (heading, *(name for name, _ in _cells(report, report.totals)))
    return NumberTable(
        headings, [(first, *(Cell(text) for _, text in _cells(report, figures))) for first, figures in rows]
    )


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
    if totals.reserved:
        yield "held", shown_usd(figures.held) if figures.reserved else ""
        yield "charged of it", shown_percent(figures.used_share)


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


def _draw(spec: Spec, name: str, title: str) -> Markup:
    """Return a chart as an ``svg`` element that fits its container; ``name`` keeps its ids apart from others'.

    Marks have a ``title``, which browsers show on hover and screen readers read aloud.
    """
    svg = vl_convert.vegalite_to_svg({**_drawable(spec), "config": _CONFIG}, vl_version=_VERSION)
    size = _SIZE.match(svg)
    assert size is not None, "a drawing has its size"
    inner = svg[size.end() : svg.rindex("</svg>")]
    numbers: dict[str, str] = {}
    inner = _ID.sub(lambda found: found[1] + numbers.setdefault(found[2], f"{name}-{len(numbers)}"), inner)
    inner = _LABELLED.sub(r"<path\g<rest>><title>\g<label></title></path>", inner)
    inner = re.sub(r"<[^>]*>", lambda tag: _LONG.sub(r"\1", tag[0]), _UNSEEN.sub("", inner))
    box = f'viewBox="0 0 {size["width"]} {size["height"]}"'
    # Vega-Lite escapes the texts of its data; the title is escaped here.
    opened = Markup('<svg {} style="max-width:{}px" role="img" aria-label="{}">')
    return opened.format(Markup(box), size["width"], printable(title)) + Markup(f"{inner}</svg>")


def _drawable(value: Any) -> Any:
    """Return a specification whose texts can be drawn: on a control character the drawing library ends the process."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {name: _drawable(item) for name, item in value.items()}
    return [_drawable(item) for item in value] if isinstance(value, list) else value
