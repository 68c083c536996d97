"""Options of ``report``: where the calls come from, and what to show of them. Nothing here is heavy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from costlens_policy.cli.parameters import Instant, gathered
from costlens_policy.cli.traffic_options import files_option, mapping_option, max_rejects_option, start_option

__all__ = ["ReportOptions", "report_options"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """What was asked for, word for word. Either ``ledger`` or ``files`` name where the calls come from."""

    ledger: str | None
    budget: str | None
    key: str | None
    files: tuple[str, ...]
    mapping: str | None
    columns: tuple[str, ...]
    constants: tuple[str, ...]
    start: datetime | None
    prices: tuple[Path, ...]
    costs: str
    baseline: str | None
    by: str
    since: datetime | None
    until: datetime | None
    now: datetime | None
    unit: str | None
    zone: str
    window: str
    top: int
    rejects: Path | None
    max_rejects: str


def report_options(function: _Function) -> _Function:
    """Add the options, as one argument ``options``."""
    return gathered("options", ReportOptions, (*_SOURCES, *_SUMMARY))(function)


_SOURCES = (
    click.option("--ledger", metavar="URL", help="A ledger, such as sqlite:///spend.db."),
    click.option("--budget", metavar="POLICY/BUDGET", help="Of a ledger: what was charged to one budget."),
    click.option("--key", metavar="KEY", help="Of a ledger: what was charged to one scope key, such as a team."),
    files_option(required=False),
    mapping_option,
    click.option(
        "--column", "columns", multiple=True, metavar="FIELD=COLUMN",
        help="Where a field stands: one of `replay`, a label, latency_ms, latency_s, end_time, denied, baseline_cost.",
    ),
    click.option(
        "--set", "constants", multiple=True, metavar="FIELD=VALUE",
        help="A field that has no column, such as model=gpt-5.",
    ),
    start_option,
    click.option(
        "--prices", multiple=True, type=click.Path(path_type=Path), metavar="PATH",
        help="A policy set, or catalogues, with prices; the installed price list when left out.",
    ),
    click.option(
        "--costs", type=click.Choice(["either", "recorded", "computed"]), default="either", show_default=True,
        metavar="WHICH",
        help="What a call cost: as `recorded` in the log, as `computed` from prices, or `either`, in this order.",
    ),
    click.option("--since", type=Instant(), metavar="TIME", help="From this time on."),
    click.option("--until", type=Instant(), metavar="TIME", help="Before this time."),
    click.option("--rejects", type=click.Path(path_type=Path), metavar="FILE", help="Write rows left out, as CSV."),
    max_rejects_option,
)  # fmt: skip

_SUMMARY = (
    click.option("--baseline", metavar="MODEL", help="Show savings against one model serving every call."),
    click.option(
        "--by", default="provider,model,team,feature,user,rule", show_default=True, metavar="LABELS",
        help="Labels to group by, separated by commas.",
    ),
    click.option("--top", type=click.IntRange(1, 1000), default=10, show_default=True, metavar="N", help="Groups."),
    click.option(
        "--time", "unit", type=click.Choice(["hour", "day", "week", "month"]), metavar="UNIT",
        help="Steps of time: hour, day, week or month; chosen by the span of the calls when left out.",
    ),
    click.option("--zone", default="UTC", show_default=True, metavar="ZONE", help="Zone of days: Europe/Berlin."),
    click.option(
        "--window", type=click.Choice(["day", "week", "month"]), default="month", show_default=True, metavar="WINDOW",
        help="Forecast to the end of the day, week or month.",
    ),
    click.option(
        "--now", type=Instant(), metavar="TIME",
        help="When the forecast is made; the last call of a log, the present for a ledger.",
    ),
)  # fmt: skip
