"""One decision with every stage: access, a choice among 50 models, four budgets in memory, three rewrites."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.policies import write_pipeline
from benchmarks.routing import measure_contestant
from benchmarks.section import Section
from benchmarks.timing import FULL, QUICK, Effort, microseconds
from costlens_policy import Balance, Engine, load

__all__ = ["BALANCES", "REQUEST", "load_pipeline", "measure_pipeline", "section"]

REQUEST: dict[str, Any] = {
    "team": "team-7",
    "user": "ana",
    "task": "chat",
    "prompt": "Explain to a colleague what changed in our travel policy since last year, and what it means for her. "
    * 4,
    "params": {"temperature": 0.9},
}

BALANCES = {
    ("guardrails/company-month", ""): Balance(Decimal("41234.5678"), Decimal("12.5")),
    ("guardrails/team-month", "team-7"): Balance(Decimal("301.25"), Decimal("0.75")),
    ("guardrails/user-day", "ana"): Balance(Decimal(120_000), Decimal(3_000)),
}


def load_pipeline() -> Engine:
    with TemporaryDirectory() as folder:
        write_pipeline(Path(folder))
        return load(folder)


def measure_pipeline(effort: Effort) -> float:
    """Return the microseconds of one such decision."""
    engine = load_pipeline()
    assert engine.decide(REQUEST, balances=BALANCES).allowed
    return microseconds(lambda request: engine.decide(request, balances=BALANCES), [REQUEST], effort)


def section(*, quick: bool) -> Section:
    """Compare it with the bare answer of the fastest peer, which knows neither prices nor budgets, on 200 rules."""
    ours = measure_pipeline(QUICK if quick else FULL)
    peer = measure_contestant("zen", quick=quick)
    rows: list[tuple[str | float | None, ...]] = [
        ("access, a choice among 50 models, 4 budgets, 3 rewrites", ours, 1.0)
    ]
    if 200 in peer.times:
        time = mean(peer.times[200].values())
        rows.append((f"{peer.title}: a bare answer on 200 rules", time, time / ours))
    return Section("pipeline", "microseconds of CPU for a decision with every stage", ("", "µs", "ratio"), tuple(rows))
