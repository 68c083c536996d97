"""One decision with every stage: access, a choice among 50 models, four budgets in memory, three rewrites."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.policies import write_pipeline
from benchmarks.timing import Effort, microseconds
from costlens_policy import Balance, Engine, load

__all__ = ["BALANCES", "REQUEST", "load_pipeline", "measure_pipeline"]

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
