"""Every contestant on the same first-match rules: microseconds of CPU for one decision, dict in and model out.

The ratio in brackets is to our full ``Decision``.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import mean

from benchmarks.routing import SIZES, Standing, measure_routing
from benchmarks.section import Section

__all__ = ["section"]

_OURS = "decide"


def section(*, quick: bool) -> Section:
    standings = list(measure_routing(quick=quick))
    ours = next(standing for standing in standings if standing.key == _OURS)
    return Section(
        "decisions",
        "microseconds of CPU for one decision on first-match rules, and times as long as our full Decision",
        ("", *(title for size in SIZES for title in (f"{size:,} rules", "ratio"))),
        tuple(_row(standing, ours) for standing in standings),
        tuple(f"{standing.title}: {standing.failure}" for standing in standings if standing.failure),
    )


def _row(standing: Standing, ours: Standing) -> tuple[str | float | None, ...]:
    return (f"{standing.title} {standing.version or ''}".rstrip(), *_cells(standing, ours))


def _cells(standing: Standing, ours: Standing) -> Iterator[float | None]:
    for size in SIZES:
        if size not in standing.times:
            yield from (None, None)
        else:
            time = mean(standing.times[size].values())
            yield time
            yield time / mean(ours.times[size].values())
