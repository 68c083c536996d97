"""A fit as one HTML page, in the style of the report: the curve of cost against quality, the ways, and the tasks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

from costlens_policy.fit.fitting import POLICY, Fitted, Way
from costlens_policy.fit.words import dollars, percent, points
from costlens_policy.replay.tables import Summary, SummaryTable
from costlens_policy.report.html.page import Card, Cell, NumberTable, Tile, drawn, render

__all__ = ["page_of_fit"]

_WIDE: Final = 1040
_HEIGHT: Final = 320
_SERIES: Final = ("curve", "policy", "one model", "coin", "oracle")


def page_of_fit(fitted: Fitted, summary: Summary) -> str:
    """Return the page. The same fit gives the same page; nothing in it is loaded from elsewhere."""
    finding, *more = summary.verdict.split("\n")
    return render(summary.title, summary.title, finding, _tiles(fitted), _cards(fitted, summary, more))


def _tiles(fitted: Fitted) -> Iterator[Tile]:
    policy = fitted.ways[0]
    yield (
        "saved",
        "-" if math.isnan(policy.saving.value) else f"{policy.saving.value:.1%}",
        percent(policy.saving),
        True,
    )
    yield "beside the best model", f"{100 * policy.gain.value:+.1f} points", points(policy.gain), True
    yield "cost of 1,000 calls", f"${1000 * policy.cost.value:.4f}", dollars(policy.cost), True
    yield "cases kept aside", f"{len(fitted.aside):,}", f"fitted to {len(fitted.inside):,} others", True


def _cards(fitted: Fitted, summary: Summary, more: list[str]) -> Iterator[Card]:
    title = "Quality by cost"
    under = "on the cases that were kept aside, with 95% intervals; hover over a mark for its numbers"
    chart = drawn(title, "curve", lambda width: _curve(fitted, width), _WIDE)
    yield Card(title, under, chart, lines=more, wide=True)
    for table in summary.tables:
        yield Card(table.title, table=_table(table), wide=True)
    yield Card("Assumptions and notes", lines=[*summary.notes, *summary.assumptions], wide=True)


def _table(table: SummaryTable) -> NumberTable:
    return NumberTable(table.headings, [[Cell(cell) for cell in row] for row in table.rows])


def _curve(fitted: Fitted, width: int) -> dict[str, Any]:
    """Return cost to the right and score upwards, in the form of Vega-Lite; the curve is its points and a line."""
    curve = [_row("curve", f"point {at}", item.way) for at, item in enumerate(fitted.curve[:-1])]
    rows = [*curve, *(_row(_series(way, at), way.name, way) for at, way in enumerate(fitted.ways[:5]))]
    axes: dict[str, Any] = {
        "x": {"field": "cost", "type": "quantitative", "title": "US dollars for 1,000 calls"},
        "y": {"field": "score", "type": "quantitative", "title": "score", "scale": {"zero": False}},
    }
    color = {
        "field": "series", "type": "nominal", "legend": None,
        "scale": {"domain": list(_SERIES), "range": [f"var(--series-{at})" for at in range(1, 6)]},
    }  # fmt: skip
    ends = {**axes, "y": {**axes["y"], "field": "low"}, "y2": {"field": "high"}, "color": color}
    marks = {**axes, "color": color, "description": {"field": "text"}}
    return {
        "width": width - 70,
        "height": _HEIGHT,
        "usermeta": {"series": list(_SERIES)},
        "layer": [
            {
                "data": {"values": curve},
                "mark": {"type": "line", "strokeWidth": 1},
                "encoding": {**axes, "color": color},
            },
            {"data": {"values": rows}, "mark": {"type": "rule", "opacity": 0.45}, "encoding": ends},
            {"data": {"values": rows}, "mark": {"type": "point", "filled": True, "size": 60}, "encoding": marks},
        ],
    }


def _series(way: Way, at: int) -> str:
    return "policy" if way.name == POLICY else _SERIES[{1: 2, 2: 2, 3: 3, 4: 4}[at]]


def _row(series: str, name: str, way: Way) -> dict[str, Any]:
    return {
        "series": series, "cost": 1000 * way.cost.value, "score": way.score.value, "low": way.score.low,
        "high": way.score.high,
        "text": f"{name}: score {way.score.value:.3f}, {dollars(way.cost)}, saved {percent(way.saving)}",
    }  # fmt: skip
