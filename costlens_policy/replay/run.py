"""Replay traffic through one policy set."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from costlens_policy.compiler.plan import Plan
from costlens_policy.errors import RequestError
from costlens_policy.replay.result import Result
from costlens_policy.replay.settings import Settings
from costlens_policy.replay.simulation import Baseline, Simulation
from costlens_policy.replay.traffic.row import Reject, Row, Traffic

__all__ = ["rejected", "replay"]


def replay(
    plan: Plan,
    traffic: Traffic,
    settings: Settings,
    block_tokens: int = 0,
    tick: Callable[[], None] | None = None,
) -> Result:
    """Re-run every decision in the order of time. ``block_tokens`` is the size of a block of the rows' ``prefix``."""
    rejects = list(traffic.rejects)
    result = Result(settings, traffic.files, list(traffic.notes), rejects=rejects, rejected=len(rejects))
    simulation, baseline = Simulation(plan, settings, block_tokens), Baseline(plan, settings, block_tokens)
    for row in traffic.rows:
        try:
            outcome = simulation.step(row)
        except RequestError as error:
            result.reject(rejected(row, error))
        else:
            result.add(row, outcome, baseline.step(row))
        if tick is not None:
            tick()
    result.shared = simulation.verdicts.shared
    return result


def rejected(row: Row, error: RequestError) -> Reject:
    """Return a row that the policy set does not accept as one that is left out."""
    shown: Sequence[tuple[str, object]] = (("model", row.model), ("id", row.id), *row.attributes.items())
    text = ", ".join(f"{name}={value}" for name, value in shown if value is not None)
    return Reject(row.file, row.number, str(error), text[:500])
