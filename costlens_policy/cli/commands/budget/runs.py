"""The tree of a run, as text with tree lines and as data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from costlens_policy.cli.commands.budget.table import Row, shown
from costlens_policy.diagnostics.text import printable
from costlens_policy.guard.run_tree import RunSpend
from costlens_policy.money import plain
from costlens_policy.runs import RUN_SEPARATOR

__all__ = ["run_data", "tree_of"]


def tree_of(runs: Sequence[RunSpend]) -> Table:
    """Return one line for each run, below the one that it belongs to."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("run", overflow="fold", min_width=12)
    for heading in ("share", "spent", "held", "calls", "under way", "own", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    for label, item in zip(_labels([item.run for item in runs]), runs, strict=True):
        table.add_row(
            Text(label),
            "" if item.share is None else f"{item.share * 100:.0f} %",
            shown(item.total, "usd"),
            shown(item.total_held, "usd") if item.total_held else "",
            f"{item.calls:,}",
            f"{item.under_way:,}" if item.under_way else "",
            shown(item.cost, "usd"),
            "ended" if item.ended else "",
        )
    return table


def run_data(runs: Iterable[RunSpend], rows: Iterable[Row]) -> dict[str, Any]:
    """Return the tree as JSON data, with the budgets whose scope keys are its runs."""
    return {
        "runs": [
            {
                "run": item.run,
                "calls": item.calls,
                "under_way": item.under_way,
                "cost_usd": plain(item.cost),
                "held_usd": plain(item.held),
                "total_cost_usd": plain(item.total),
                "total_held_usd": plain(item.total_held),
                "share": None if item.share is None else plain(item.share),
                "ended": item.ended,
            }
            for item in runs
        ],
        "budgets": [row.to_dict() for row in rows],
    }


def _labels(paths: Sequence[str]) -> Iterator[str]:
    """Yield the name of each run behind the lines that lead to it; ``paths`` are in the order of the tree."""
    first = paths[0]
    yield printable(first)
    children: dict[str, list[str]] = {}
    for path in paths[1:]:
        children.setdefault(path.rpartition(RUN_SEPARATOR)[0], []).append(path)
    last = {siblings[-1] for siblings in children.values()}
    for path in paths[1:]:
        above = path[len(first) + 1 :].split(RUN_SEPARATOR)
        places = [RUN_SEPARATOR.join((first, *above[: depth + 1])) for depth in range(len(above))]
        lines = ["   " if place in last else "│  " for place in places[:-1]]
        yield "".join(lines) + ("└─ " if path in last else "├─ ") + printable(above[-1])
