"""A report as JSON, and as one CSV table: money as exact decimal strings, rates and latencies as numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from costlens_policy.money import plain
from costlens_policy.replay.judged import Quality, all_judged
from costlens_policy.replay.tables import csv_text
from costlens_policy.report.anomalies import Anomalies
from costlens_policy.report.figures import Figures, Grouping
from costlens_policy.report.forecast import Forecast
from costlens_policy.report.summarize import Report
from costlens_policy.report.timeline import shown_start

__all__ = ["as_csv", "as_json", "export_report"]


def as_json(report: Report) -> str:
    return json.dumps(export_report(report), indent=2, ensure_ascii=False)


def export_report(report: Report) -> dict[str, Any]:
    """Return the report as JSON data."""
    unit, zone = report.unit, report.zone
    return {
        "source": report.source,
        "first_call": _instant(report.first),
        "last_call": _instant(report.last),
        "zone": zone.key,
        "totals": _export_figures(report.totals),
        "by": {grouping.dimension: _grouping(grouping) for grouping in report.groupings},
        "time_unit": unit,
        "timeline": [
            {"start": shown_start(bucket.start, unit, zone), **_export_figures(bucket.figures)}
            for bucket in report.timeline
        ],
        "baseline": report.baseline or None,
        "forecast": _forecast(report.forecast),
        "anomalies": _anomalies(report.anomalies, report),
        "expected_quality": None if report.expected is None else report.expected.to_dict(),
        "recorded_quality": _judged(report.judged),
        "left_out": dict(report.left_out),
        "not_recorded": list(report.not_recorded),
        "notes": list(report.notes),
        "assumptions": list(report.assumptions),
    }


def _judged(judged: Mapping[str, Quality]) -> dict[str, Any] | None:
    """Return the recorded quality of all answers, and by model; None where none is recorded."""
    if not judged:
        return None
    return {**_quality(all_judged(judged)), "models": {name: _quality(way) for name, way in sorted(judged.items())}}


def _quality(way: Quality) -> dict[str, Any]:
    mean = way.mean
    assert mean is not None
    return {"calls": way.answered, "right": way.right, "quality": mean.value, "low": mean.low, "high": mean.high}


def _export_figures(figures: Figures) -> dict[str, Any]:
    """Return figures as JSON data; what is not known is null."""
    latency = figures.latency
    return {
        "requests": figures.requests,
        "denied": figures.denied,
        "unpriced": figures.unpriced,
        "cost_usd": plain(figures.cost) if figures.priced else None,
        "input_tokens": figures.input_tokens,
        "cached_tokens": figures.cached_tokens if figures.cache_known_tokens else None,
        "output_tokens": figures.output_tokens,
        "cache_hit_rate": _rate(figures.cache_hit_rate),
        "latency_ms": None
        if latency is None
        else {"calls": latency.calls, **{name: float(getattr(latency, name)) for name in ("p50", "p95", "p99")}},
        "compared": figures.compared,
        "compared_cost_usd": plain(figures.compared_cost) if figures.compared else None,
        "baseline_cost_usd": plain(figures.baseline_cost) if figures.compared else None,
        "savings_usd": None if figures.savings is None else plain(figures.savings),
        "savings_share": _rate(figures.savings_share),
        "reserved": figures.reserved,
        "held_usd": plain(figures.held) if figures.reserved else None,
        "charged_usd": plain(figures.charged) if figures.reserved else None,
    }


def _grouping(grouping: Grouping) -> dict[str, Any]:
    others = grouping.others
    return {
        "groups": [{"value": group.value, **_export_figures(group.figures)} for group in grouping.groups],
        "others": None if others is None else {"groups": grouping.left, **_export_figures(others)},
    }


def _forecast(forecast: Forecast) -> dict[str, Any]:
    window = forecast.window
    return {
        "window": window.unit,
        "starts_at": _instant(window.starts_at),
        "ends_at": _instant(window.ends_at),
        "now": _instant(forecast.now),
        "spent_usd": plain(forecast.spent),
        "expected_usd": _amount(forecast.expected),
        "low_usd": _amount(forecast.low),
        "high_usd": _amount(forecast.high),
        "steps": forecast.steps,
        "method": forecast.method,
    }


def _anomalies(anomalies: Anomalies, report: Report) -> dict[str, Any]:
    return {
        "unit": anomalies.unit,
        "series_judged": anomalies.judged,
        "series_too_short": anomalies.skipped,
        "found": [
            {
                "by": item.dimension,
                "value": item.value,
                "start": shown_start(item.start, anomalies.unit, report.zone),
                "cost_usd": plain(item.spend),
                "usual_usd": plain(item.usual),
                "deviations": _rate(item.deviations),
                "compared": item.compared,
            }
            for item in anomalies.found
        ],
    }


def _instant(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def _rate(value: Decimal | None) -> float | None:
    return None if value is None else round(float(value), 6)


def _amount(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


_NAMES: Final = (
    "requests", "denied", "unpriced", "cost_usd", "input_tokens", "cached_tokens", "output_tokens", "cache_hit_rate",
    "compared", "compared_cost_usd", "baseline_cost_usd", "savings_usd", "savings_share",
    "reserved", "held_usd", "charged_usd",
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
        yield report.unit, shown_start(bucket.start, report.unit, report.zone), bucket.figures


def _cells(figures: Figures) -> Iterator[Any]:
    data = _export_figures(figures)
    latency = data["latency_ms"] or {}
    for value in (*(data[name] for name in _NAMES), *(latency.get(name) for name in _LATENCIES)):
        yield "" if value is None else value
