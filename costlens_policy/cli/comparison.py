"""What ``diff`` and ``catalogue diff`` share: recorded traffic on two plans, and the gates that a change must hold."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.options import TrafficOptions
from costlens_policy.cli.output import note
from costlens_policy.cli.traffic import (
    no_request,
    percentage,
    progress,
    too_many_rejects,
    understand,
    write_rejects,
)
from costlens_policy.compiler.plan import Plan
from costlens_policy.replay import open_traffic
from costlens_policy.replay.difference import Difference, diff
from costlens_policy.replay.tables import difference_verdict

__all__ = ["Comparison", "Gates", "compare_plans", "ended", "exit_code_for"]


@dataclass(frozen=True, slots=True)
class Gates:
    """What a change must not do, word for word."""

    max_increase: str | None
    no_new_denials: bool

    def failures(self, difference: Difference) -> list[str]:
        """Return a sentence for each gate that does not hold. A request without a price cannot hold a limit of cost."""
        found = []
        if self.max_increase is not None:
            limit, increase = percentage(self.max_increase, "--max-increase"), difference.increase
            if increase is None:
                found.append("the cost grows from zero")
            elif increase > limit:
                found.append(f"the cost grows by {increase:.2%}, more than {self.max_increase}")
            if difference.newly_unpriced:
                found.append(f"{difference.newly_unpriced} requests lose their price, so the increase is not known")
        if self.no_new_denials and difference.newly_denied:
            found.append(f"{difference.newly_denied} requests are newly denied")
        return found


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of recorded traffic, and a sentence for each gate that does not hold."""

    difference: Difference
    failures: tuple[str, ...]

    @property
    def verdict(self) -> str:
        return "\n".join([difference_verdict(self.difference), *(f"failed: {text}" for text in self.failures)])

    def to_dict(self) -> dict[str, Any]:
        return {**self.difference.to_dict(), "failed": list(self.failures)}


def compare_plans(before: Plan, after: Plan, options: TrafficOptions, gates: Gates) -> Comparison:
    """Decide the traffic with both plans."""
    asked = understand(options)
    files = asked.files
    with progress() as shown, open_traffic(after, files, asked.mapping, asked.settings, shown) as traffic:
        if not traffic.rows and not traffic.rejects:
            raise no_request(files)
        shown.start("deciding", len(traffic.rows), "rows")
        tick = partial(shown.advance, 1)
        difference = diff(before, after, traffic, asked.settings, asked.mapping.block_tokens, tick)
    return Comparison(difference, tuple(gates.failures(difference)))


def ended(compared: Comparison, options: TrafficOptions) -> ExitCode:
    """Write the rows that were skipped, and return ``GATE`` where a gate does not hold."""
    rejects = compared.difference.rejects
    write_rejects(rejects, options.rejects, len(rejects))
    return exit_code_for(list(compared.failures), len(rejects), compared.difference.rows, options)


def exit_code_for(failures: list[str], rejects: int, rows: int, options: TrafficOptions) -> ExitCode:
    """Print the gates that do not hold, and return the exit code."""
    if too_many_rejects(rejects, rows, options.max_rejects):
        failures = [*failures, f"{rejects} rows were skipped, more than {options.max_rejects}"]
    for text in failures:
        note(f"failed: {text}")
    return ExitCode.GATE if failures else ExitCode.OK
