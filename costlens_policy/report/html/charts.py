"""The charts of the page as Vega-Lite specifications, for a width in pixels.

Time is an ordered list of labels here, so that no time zone of the machine that draws can move a bar. Floats are for
drawing only; all numbers that are written are in ``text``. Names of users are data of marks, never part of an
expression or a key, where JavaScript might see more in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final, TypeAlias

from costlens_policy.diagnostics.text import printable
from costlens_policy.diagnostics.text import width as width_of
from costlens_policy.money import add
from costlens_policy.report.figures import Figures, Grouping
from costlens_policy.report.summarize import ALL_OTHERS, Report, Stack
from costlens_policy.report.timeline import BucketStart, bucket_starts, shown_start
from costlens_policy.report.words import NOT_RECORDED, shown_cost, shown_count, shown_ms, shown_percent, shown_usd

__all__ = [
    "Spec", "cache_over_time", "color_of", "forecast_chart", "group_bars", "latency_over_time", "series_names",
    "shortened", "spend_over_time", "tokens_over_time",
]  # fmt: skip

Spec: TypeAlias = dict[str, Any]
COLORS: Final = tuple(f"var(--series-{number})" for number in range(1, 7))
"""Of series, in order; the last one is for what is left."""

_HEIGHT: Final = 220
_LOW: Final = 150
_BARS_UP_TO: Final = 100
"""So many steps of time are drawn as bars, more as areas."""


def spend_over_time(report: Report, width: int) -> Spec:
    """Spend by time, layered by a label; where no cost is known, tokens."""
    rows = list(_stacked(report, report.stack) if report.priced and report.stack else _single(report))
    names = list(dict.fromkeys(row["series"] for row in rows))
    spec = _stack_of(report, rows, names, width, _HEIGHT, _dollars(rows) if report.priced else "~s")
    marked = list(_marked(report)) if report.priced else []
    if not marked:
        return spec
    points = {
        "data": {"values": marked},
        "mark": {"type": "point", "shape": "triangle-down", "filled": True, "size": 70, "yOffset": -9},
        "encoding": {
            "x": spec["encoding"]["x"],
            "y": {"field": "amount", "type": "quantitative"},
            "color": {"value": "var(--alert)"},
            "description": {"field": "text"},
        },
    }
    bars = {"mark": spec.pop("mark"), "encoding": spec.pop("encoding"), "data": spec.pop("data")}
    return {**spec, "layer": [bars, points]}


def tokens_over_time(report: Report, width: int) -> Spec:
    """Tokens by time: input that was read from a cache, other input, output."""
    rows = []
    cached_known = report.totals.cache_known_tokens > 0
    for label, start, figures in _steps(report):
        parts = [
            ("input", figures.input_tokens - figures.cached_tokens),
            *([("cached input", figures.cached_tokens)] if cached_known else []),
            ("output", figures.output_tokens),
        ]
        rows += [_row(label, name, count, f"{start}: {shown_count(count)} {name} tokens") for name, count in parts]
    return _stack_of(report, rows, list(dict.fromkeys(row["series"] for row in rows)), width, _LOW, "~s")


def cache_over_time(report: Report, width: int) -> Spec:
    """The cached share of input by time."""
    rows = [
        _row(label, "cache hit rate", rate, f"{start}: {shown_percent(rate)} of input from caches")
        for label, start, figures in _steps(report)
        if (rate := figures.cache_hit_rate) is not None
    ]
    return _lines_of(report, rows, ["cache hit rate"], width, {"format": ".0%"})


def latency_over_time(report: Report, width: int) -> Spec:
    """The median and the 95th percentile of latency by time, in seconds."""
    rows = []
    for label, start, figures in _steps(report):
        if figures.latency is not None:
            for name, value in (("p50", figures.latency.p50), ("p95", figures.latency.p95)):
                rows.append(_row(label, name, value / 1000, f"{start}: {name} {shown_ms(value)}"))
    return _lines_of(report, rows, ["p50", "p95"], width, {"format": "~s", "title": "seconds"})


def _steps(report: Report) -> Iterable[tuple[str, str, Figures]]:
    """Yield the short label of each bucket, its full one, and its figures."""
    for bucket in report.timeline:
        yield _label(report, bucket.start), shown_start(bucket.start, report.unit, report.zone), bucket.figures


def _label(report: Report, start: BucketStart) -> str:
    full = shown_start(start, report.unit, report.zone)
    years = {report.timeline[0].start.year, report.timeline[-1].start.year}
    if report.unit == "month" or len(years) > 1:
        return full
    return full[5:]


def _single(report: Report) -> Iterable[dict[str, Any]]:
    for label, start, figures in _steps(report):
        amount = figures.cost if report.priced else Decimal(figures.tokens)
        shown = shown_usd(figures.cost) if report.priced else f"{shown_count(figures.tokens)} tokens"
        yield _row(label, "spend" if report.priced else "tokens", amount, f"{start}: {shown}")


def _stacked(report: Report, stack: Stack) -> Iterable[dict[str, Any]]:
    for bucket in report.timeline:
        start = shown_start(bucket.start, report.unit, report.zone)
        for name, spend in stack.layers:
            amount = spend.get(bucket.start, Decimal(0))
            if amount or bucket in (report.timeline[0], report.timeline[-1]):
                yield _row(_label(report, bucket.start), name, amount, f"{start}, {name}: {shown_usd(amount)}")


def _marked(report: Report) -> Iterable[dict[str, Any]]:
    """Yield a mark for each odd step of the total, where the chart has the same steps."""
    if report.anomalies.unit != report.unit:
        return
    for item in report.anomalies.found:
        if item.dimension == "total":
            start = shown_start(item.start, report.unit, report.zone)
            text = f"anomaly, {start}: {shown_usd(item.spend)}, usually {shown_usd(item.usual)}"
            yield _row(_label(report, item.start), "anomaly", item.spend, text)


def _row(label: str, series: str, amount: Decimal | int, text: str) -> dict[str, Any]:
    return {"at": label, "series": series, "amount": float(amount), "text": text}


def _time_axis(report: Report, width: int, scale: str = "band") -> dict[str, Any]:
    labels = [label for label, _, _ in _steps(report)]
    longest = max(map(len, labels), default=1) * 7 + 18
    every = -(-len(labels) // max(1, (width - 50) // longest))
    return {
        "field": "at", "type": "ordinal", "sort": None, "title": None, "scale": {"domain": labels, "type": scale},
        "axis": {"values": labels[::every], "labelAngle": 0, "grid": False, "labelOverlap": True},
    }  # fmt: skip


def _amount_axis(axis: dict[str, Any]) -> dict[str, Any]:
    return {
        "field": "amount", "type": "quantitative", "title": axis.get("title"),
        "axis": {"tickCount": 4, "format": axis["format"], "minExtent": 34},
    }  # fmt: skip


def _stack_of(
    report: Report, rows: Sequence[dict[str, Any]], names: list[str], width: int, height: int, format: str
) -> Spec:
    bars = len(report.timeline) <= _BARS_UP_TO
    mark = {"type": "bar", "cornerRadiusEnd": 2} if bars else {"type": "area", "interpolate": "step"}
    encoding = {
        "x": _time_axis(report, width),
        "y": {**_amount_axis({"format": format}), "stack": "zero"},
        "color": _colors(names),
        "order": {"field": "order", "type": "quantitative"},
        **({"description": {"field": "text"}} if bars else {}),
    }
    return {
        "width": width - 50, "height": height, "usermeta": {"series": names}, "data": {"values": _keyed(rows, names)},
        "mark": mark, "encoding": encoding,
    }  # fmt: skip


def _lines_of(
    report: Report, rows: Sequence[dict[str, Any]], names: list[str], width: int, axis: dict[str, Any]
) -> Spec:
    points = len(report.timeline) <= _BARS_UP_TO
    mark = {"type": "line", "strokeWidth": 2, "point": {"size": 26, "filled": True} if points else False}
    encoding = {
        "x": _time_axis(report, width, "point"),
        "y": _amount_axis(axis),
        "color": _colors(names),
        "description": {"field": "text"},
    }
    return {
        "width": width - 50, "height": _LOW, "usermeta": {"series": names}, "data": {"values": _keyed(rows, names)},
        "mark": mark, "encoding": encoding,
    }  # fmt: skip


def color_of(name: str, names: Sequence[str]) -> str:
    """Return the color of a series, as the style sheet names it."""
    return COLORS[-1] if name == ALL_OTHERS else COLORS[names.index(name) % 5]


def series_names(spec: Spec) -> list[str]:
    """Return the series that a chart distinguishes by color; none if it has only one."""
    names: list[str] = spec.get("usermeta", {}).get("series", [])
    return names if len(names) > 1 else []


def _dollars(rows: Iterable[dict[str, Any]]) -> str:
    """Return how an axis writes amounts: in thousands where they are that large, never in thousandths."""
    sums: dict[str, float] = {}
    for row in rows:
        sums[row["at"]] = sums.get(row["at"], 0) + row["amount"]
    return "$~s" if max(sums.values(), default=0) >= 1000 else "$,.3~r"


def _keyed(rows: Iterable[dict[str, Any]], names: list[str]) -> list[dict[str, Any]]:
    """Name series by their places: a name of users, such as `constructor`, may mean something to JavaScript."""
    return [{**row, "series": str(names.index(row["series"])), "order": names.index(row["series"])} for row in rows]


def _colors(names: list[str]) -> dict[str, Any]:
    scale = {
        "domain": [str(place) for place in range(len(names))],
        "range": [color_of(name, names) for name in names],
    }
    return {"field": "series", "type": "nominal", "scale": scale, "legend": None}


_FORECAST_HEIGHT: Final = 150


def forecast_chart(report: Report, width: int) -> Spec | None:
    """Cumulated spend of a window of days with the range of its end; None where no such forecast was made."""
    forecast = report.forecast
    if forecast.expected is None or forecast.low is None or forecast.high is None or forecast.window.unit == "day":
        return None
    zone = report.zone
    first = forecast.window.starts_at.astimezone(zone).date()
    last = (forecast.window.ends_at - timedelta(microseconds=1)).astimezone(zone).date()
    days = bucket_starts(first, last, "day")
    today = forecast.now.astimezone(zone).date()
    past = list(_past(report, days, today))
    so_far = float(forecast.spent)
    text = f"expected {shown_usd(forecast.expected)}, {shown_usd(forecast.low)} to {shown_usd(forecast.high)}"
    coming = [
        {"at": today.isoformat()[5:], "amount": so_far, "low": so_far, "high": so_far, "text": ""},
        {
            "at": last.isoformat()[5:], "amount": float(forecast.expected), "low": float(forecast.low),
            "high": float(forecast.high), "text": text,
        },
    ]  # fmt: skip
    domain = [day.isoformat()[5:] for day in days]
    every = -(-len(domain) // max(1, (width - 50) // 58))
    x = {
        "field": "at", "type": "ordinal", "title": None, "scale": {"domain": domain, "type": "point"},
        "axis": {"values": domain[::every], "labelAngle": 0, "grid": False},
    }  # fmt: skip
    axis = {"tickCount": 4, "format": _dollars(coming), "minExtent": 34}
    y = {"field": "amount", "type": "quantitative", "title": None, "axis": axis}
    line = {"type": "line", "strokeWidth": 2}
    color = {"value": COLORS[0]}
    drawn = {"x": x, "y": y, "color": color}
    return {
        "width": width - 50, "height": _FORECAST_HEIGHT,
        "layer": [
            {
                "data": {"values": coming}, "mark": {"type": "area", "opacity": 0.22},
                "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": color},
            },
            {"data": {"values": coming}, "mark": {**line, "strokeDash": [5, 4]}, "encoding": drawn},
            {"data": {"values": past}, "mark": line, "encoding": drawn},
            {
                "data": {"values": coming[-1:]}, "mark": {"type": "point", "filled": True, "size": 50},
                "encoding": {**drawn, "description": {"field": "text"}},
            },
        ],
    }  # fmt: skip


def _past(report: Report, days: tuple[BucketStart, ...], today: BucketStart) -> Iterator[dict[str, Any]]:
    spent = Decimal(0)
    for day in days:
        if day > today:
            return
        spent = add(spent, report.daily.get(day, Decimal(0)))
        yield {"at": day.isoformat()[5:], "amount": float(spent)}


_BAR: Final = 26
_LABEL_WIDTH: Final = 92


def group_bars(report: Report, grouping: Grouping, width: int) -> Spec:
    """One bar for each group of a label, the most expensive first; what nothing is known of has none."""
    rows: list[dict[str, Any]] = []
    for group in grouping.groups:
        amount = group.figures.cost if report.priced else Decimal(group.figures.tokens)
        if amount or group.value is not None:
            name = NOT_RECORDED if group.value is None else printable(group.value)
            shown = shown_cost(group.figures) if report.priced else shown_count(group.figures.tokens)
            text = f"{name}: {shown}"
            rows.append({"place": len(rows), "name": name, "amount": float(amount), "shown": shown, "text": text})
    left = 150 if width > 400 else 112
    for row in rows:
        row["name"] = shortened(row["name"], left // 7)
    y = {"field": "place", "type": "ordinal", "axis": None}
    most = max((row["amount"] for row in rows), default=0) or 1
    reach = {"domain": [0, most], "range": [left, width - _LABEL_WIDTH], "nice": False}
    x = {"field": "amount", "type": "quantitative", "axis": None, "scale": reach}
    bar = {"type": "bar", "cornerRadiusEnd": 3, "height": {"band": 0.66}}
    names = {"y": y, "x": {"value": left - 8}, "text": {"field": "name"}}
    return {
        "width": width, "height": {"step": _BAR}, "data": {"values": rows},
        "layer": [
            {
                "mark": bar,
                "encoding": {"y": y, "x": x, "color": {"value": COLORS[0]}, "description": {"field": "text"}},
            },
            {
                "mark": {"align": "left", "dx": 6, "type": "text"},
                "encoding": {"y": y, "x": x, "text": {"field": "shown"}},
            },
            {"mark": {"align": "right", "fontSize": 12, "type": "text"}, "encoding": names},
        ],
    }  # fmt: skip


def shortened(text: str, columns: int) -> str:
    """Truncate text to a width. The drawing library must not do it, since it splits characters."""
    if width_of(text) <= columns:
        return text
    while text and width_of(text) >= columns:
        text = text[:-1]
    return text + "…"
