"""The chart of a forecast: what the window has cost so far, and where it is expected to end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from costlens_policy.money import add
from costlens_policy.report.html.charts import Spec, dollars
from costlens_policy.report.html.drawing import COLOURS
from costlens_policy.report.result import Report
from costlens_policy.report.timeline import Moment, moments
from costlens_policy.report.words import shown_usd

__all__ = ["forecast_chart"]

_HEIGHT: Final = 150


def forecast_chart(report: Report, width: int) -> Spec | None:
    """Cumulated spend of a window of days with the range of its end; None where no such forecast was made."""
    forecast = report.forecast
    if forecast.expected is None or forecast.low is None or forecast.high is None or forecast.window.unit == "day":
        return None
    zone = report.zone
    first = forecast.window.starts_at.astimezone(zone).date()
    last = (forecast.window.ends_at - timedelta(microseconds=1)).astimezone(zone).date()
    days = moments(first, last, "day")
    today = forecast.now.astimezone(zone).date()
    past = list(_past(report, days, today))
    so_far = float(forecast.spent)
    says = f"expected {shown_usd(forecast.expected)}, {shown_usd(forecast.low)} to {shown_usd(forecast.high)}"
    coming = [
        {"at": today.isoformat()[5:], "amount": so_far, "low": so_far, "high": so_far, "says": ""},
        {
            "at": last.isoformat()[5:], "amount": float(forecast.expected), "low": float(forecast.low),
            "high": float(forecast.high), "says": says,
        },
    ]  # fmt: skip
    domain = [day.isoformat()[5:] for day in days]
    every = -(-len(domain) // max(1, (width - 50) // 58))
    x = {
        "field": "at", "type": "ordinal", "title": None, "scale": {"domain": domain, "type": "point"},
        "axis": {"values": domain[::every], "labelAngle": 0, "grid": False},
    }  # fmt: skip
    axis = {"tickCount": 4, "format": dollars(coming), "minExtent": 34}
    y = {"field": "amount", "type": "quantitative", "title": None, "axis": axis}
    line = {"type": "line", "strokeWidth": 2}
    color = {"value": COLOURS[0]}
    drawn = {"x": x, "y": y, "color": color}
    return {
        "width": width - 50, "height": _HEIGHT,
        "layer": [
            {
                "data": {"values": coming}, "mark": {"type": "area", "opacity": 0.22},
                "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": color},
            },
            {"data": {"values": coming}, "mark": {**line, "strokeDash": [5, 4]}, "encoding": drawn},
            {"data": {"values": past}, "mark": line, "encoding": drawn},
            {
                "data": {"values": coming[-1:]}, "mark": {"type": "point", "filled": True, "size": 50},
                "encoding": {**drawn, "description": {"field": "says"}},
            },
        ],
    }  # fmt: skip


def _past(report: Report, days: tuple[Moment, ...], today: Moment) -> Iterator[dict[str, Any]]:
    spent = Decimal(0)
    for day in days:
        if day > today:
            return
        spent = add(spent, report.daily.get(day, Decimal(0)))
        yield {"at": day.isoformat()[5:], "amount": float(spent)}
