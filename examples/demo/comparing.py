"""Two versions of a policy on the same traffic: which requests are decided differently, what that costs, and why."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.table import Table
from shapes import table

from costlens_policy import load
from costlens_policy.replay import READY, Settings, read_traffic
from costlens_policy.replay.difference import Difference, diff
from costlens_policy.replay.tables import difference_tables

__all__ = ["policy_change"]

_START = datetime(2026, 6, 1, tzinfo=UTC)
_LENGTH_KNOWN = {"request.expected_output_tokens": "output_tokens"}


def policy_change(examples: Path, recorded: Path) -> Iterator[Table]:
    """Yield the effect of a policy change on recorded sessions of coding agents or, without them, on sample traffic."""
    real = recorded.is_file()
    path = recorded if real else examples / "replay" / "traffic.jsonl"
    mapping = READY["claude-code" if real else "plain"].with_columns(_LENGTH_KNOWN, {})
    old, new = load(examples / "replay" / "before").plan, load(examples / "replay" / "after").plan
    traffic = read_traffic([str(path)], mapping, new, _START)
    shown = table(
        "3. A pull request: short turns of a coding agent go to a cheaper model. What does it cost?",
        ("prompt caches", "requests", "decide differently", "newly denied", "before", "after", "change"),
        numbers=("requests", "decide differently", "newly denied", "before", "after", "change"),
        caption=f"{'Recorded' if real else 'Synthetic'} sessions; examples/replay/before against after.",
    )  # fmt: skip
    live = Settings(start=_START)
    ways = {
        "ignored": Settings(start=_START, cache=False),
        "modeled, five-minute lifetime": live,
        "modeled, one-hour lifetime": Settings(start=_START, cache_lifetime=timedelta(hours=1)),
    }
    differences = {name: diff(old, new, traffic, settings) for name, settings in ways.items()}
    for name, found in differences.items():
        shown.add_row(name, f"{found.rows:,}", f"{found.changed:,}", f"{found.newly_denied:,}", *_costs(found))
    yield shown
    yield _causes(differences["modeled, five-minute lifetime"])


def _costs(found: Difference) -> tuple[str, str, str]:
    color = "red" if found.delta > 0 else "green"
    change = "" if found.increase is None else f"[{color}]{float(found.increase):+.1%}[/]"
    return f"${found.old_cost:,.2f}", f"${found.new_cost:,.2f}", change


def _causes(found: Difference) -> Table:
    """Return why the cost changes: each model has its own cache, and a switch writes it again."""
    (causes, decisions, *_) = difference_tables(found)
    shown = table("   Why, with five-minute caches", ("what changes", *causes.headings[1:]), numbers=causes.headings)
    for row in (*causes.rows, *((f"{was} -> {now}", number, cost) for was, now, number, cost, _ in decisions.rows)):
        shown.add_row(*row)
    return shown
