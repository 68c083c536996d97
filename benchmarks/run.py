"""``make bench``: every contestant on the same rules in one run, and a decision with all its steps.

Microseconds of CPU for one decision, dict in and model out, and the ratio to our full ``Decision``. ``--quick`` takes
fewer rounds and leaves the slowest out.
"""

from __future__ import annotations

import sys
from statistics import mean

from rich.console import Console
from rich.table import Table

from benchmarks.pipeline import measure_pipeline
from benchmarks.routing import SIZES, Standing, measure_routing
from benchmarks.timing import FULL, QUICK

OURS = "decide"


def main(arguments: list[str]) -> None:
    quick = "--quick" in arguments
    console = Console(width=None if Console().is_terminal else 120)
    standings = []
    for standing in measure_routing(quick=quick):
        console.print(f"measured {standing.title}", style="dim")
        standings.append(standing)
    console.print(_table(standings))
    for standing in standings:
        if standing.failure:
            console.print(f"{standing.title}: {standing.failure}")
    pipeline = measure_pipeline(QUICK if quick else FULL)
    console.print(f"a decision with access, a choice, budgets and rewrites: {pipeline:.1f} µs")


def _table(standings: list[Standing]) -> Table:
    table = Table(title="microseconds of CPU for one decision (and times as long as our full Decision)")
    table.add_column("first-match rules")
    for size in SIZES:
        table.add_column(f"{size:,}", justify="right")
    ours = next(standing for standing in standings if standing.key == OURS)
    for standing in standings:
        table.add_row(f"{standing.title} {standing.version or ''}", *(_cell(standing, ours, size) for size in SIZES))
    return table


def _cell(standing: Standing, ours: Standing, size: int) -> str:
    if size not in standing.times:
        return "-"
    time = mean(standing.times[size].values())
    return f"{time:.2f} ({time / mean(ours.times[size].values()):.2f})"


if __name__ == "__main__":
    main(sys.argv[1:])
