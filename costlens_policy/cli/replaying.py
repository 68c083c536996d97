"""What ``replay`` and ``diff`` do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from costlens_policy.api import load
from costlens_policy.cli.console import note, write_out
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.revisions import policies_at
from costlens_policy.cli.traffic import (
    no_request,
    percentage,
    print_report,
    too_many_rejects,
    understand,
    write_rejects,
)
from costlens_policy.cli.traffic_options import TrafficOptions
from costlens_policy.cli.traffic_progress import progress
from costlens_policy.compiler.plan import Plan
from costlens_policy.replay import open_traffic, replay_files
from costlens_policy.replay.difference import Difference, diff
from costlens_policy.replay.settings import assumptions
from costlens_policy.replay.tables import difference_tables, difference_verdict, result_tables, result_verdict

__all__ = ["Compared", "Gates", "compare_plans", "diff_traffic", "ended", "replay_traffic"]


@dataclass(frozen=True, slots=True)
class Gates:
    """What a change must not do."""

    max_increase: str | None
    no_new_denials: bool

    def failures(self, difference: Difference) -> list[str]:
        """Return a sentence for each gate that does not hold. What has no price cannot keep a limit of cost."""
        found = []
        if self.max_increase is not None:
            limit, increase = percentage(self.max_increase, "--max-increase"), difference.increase
            if increase is None:
                found.append("the cost grows from nothing")
            elif increase > limit:
                found.append(f"the cost grows by {increase:.2%}, more than {self.max_increase}")
            if difference.newly_unpriced:
                found.append(f"{difference.newly_unpriced} requests lose their price, so the increase is not known")
        if self.no_new_denials and difference.newly_denied:
            found.append(f"{difference.newly_denied} requests are newly denied")
        return found


def replay_traffic(policy: Path, options: TrafficOptions, output: str, resume: Path | None) -> ExitCode:
    """Replay and print. Returns ``GATE`` where too many rows were left out."""
    plan = load(policy).plan
    asked = understand(options)
    files = asked.files
    with progress() as shown:
        result = replay_files(plan, files, asked.mapping, asked.settings, shown, resume)
    if not result.rows and not result.rejected:
        raise no_request(files)
    if output == "json":
        write_out(json.dumps(result.to_dict(), indent=2, ensure_ascii=False))
    else:
        assumed = assumptions(asked.settings)
        print_report(output, "Replay", result_verdict(result), result_tables(result), result.notes, assumed)
    write_rejects(result.rejects, options.rejects, result.rejected)
    return _ended([], result.rejected, result.rows, options)


def diff_traffic(old: str, new: str, options: TrafficOptions, output: str, gates: Gates) -> ExitCode:
    """Compare and print. Returns ``GATE`` where a gate does not hold."""
    with policies_at(old) as old_path, policies_at(new) as new_path:
        before, after = load(old_path, cache=False).plan, load(new_path, cache=False).plan
    compared = compare_plans(before, after, options, gates)
    difference = compared.difference
    if output == "json":
        write_out(json.dumps(compared.to_dict(), indent=2, ensure_ascii=False))
    else:
        assumed, tables = assumptions(difference.settings), difference_tables(difference)
        print_report(output, "What this policy change does", compared.verdict, tables, difference.notes, assumed)
    return ended(compared, options)


@dataclass(frozen=True, slots=True)
class Compared:
    """What became of recorded traffic, and a sentence for each gate that does not hold."""

    difference: Difference
    failures: tuple[str, ...]

    @property
    def verdict(self) -> str:
        return "\n".join([difference_verdict(self.difference), *(f"failed: {text}" for text in self.failures)])

    def to_dict(self) -> dict[str, Any]:
        return {**self.difference.to_dict(), "failed": list(self.failures)}


def compare_plans(before: Plan, after: Plan, options: TrafficOptions, gates: Gates) -> Compared:
    """Decide the traffic with both plans."""
    asked = understand(options)
    files = asked.files
    with progress() as shown, open_traffic(after, files, asked.mapping, asked.settings, shown) as traffic:
        if not traffic.rows and not traffic.rejects:
            raise no_request(files)
        shown.start("deciding", len(traffic.rows), "rows")
        tick = partial(shown.advance, 1)
        difference = diff(before, after, traffic, asked.settings, asked.mapping.block_tokens, tick)
    return Compared(difference, tuple(gates.failures(difference)))


def ended(compared: Compared, options: TrafficOptions) -> ExitCode:
    """Write the rows that were left out, and return ``GATE`` where a gate does not hold."""
    rejects = compared.difference.rejects
    write_rejects(rejects, options.rejects, len(rejects))
    return _ended(list(compared.failures), len(rejects), compared.difference.rows, options)


def _ended(failures: list[str], rejects: int, rows: int, options: TrafficOptions) -> ExitCode:
    if too_many_rejects(rejects, rows, options.max_rejects):
        failures = [*failures, f"{rejects} rows were left out, more than {options.max_rejects}"]
    for text in failures:
        note(f"failed: {text}")
    return ExitCode.GATE if failures else ExitCode.OK
