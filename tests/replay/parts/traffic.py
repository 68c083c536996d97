"""Traffic as a table of somebody else, and what a result says of it whoever replayed it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from costlens_policy.replay import READY, ColumnMapping, Result

__all__ = ["MAPPING", "POLICIES", "rows_of", "said"]

MAPPING: ColumnMapping = READY["plain"].with_columns({"request.team": "team"}, {})

_BUDGET = """
budgets:
  - id: daily
    scope: SCOPE
    window: {calendar: day}
    hard_limit_usd: 0.9
    thresholds: [{at_ratio: 0.5, alert: half}]
routes:
  - {id: r, when: 'request.?team.orValue("") in ["a", "b"]', model: small}
"""
POLICIES = {
    "routes": 'routes:\n  - {id: r, when: \'request.?team.orValue("") in ["a", "b"]\', model: small}\n',
    "by team": _BUDGET.replace("SCOPE", 'request.?team.orValue("none")'),
    "one for all": _BUDGET.replace("    scope: SCOPE\n", ""),
}
"""By what they need: sessions together, teams together, or all rows."""


def rows_of(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Return rows, each with its line in a CSV file.

    They have ties of time, ids that repeat, rows that are left out, and sessions within one team each.
    """
    chance, at, rows = random.Random(seed), datetime(2026, 6, 1, tzinfo=UTC), list[dict[str, Any]]()
    for number in range(1, count + 1):
        at += timedelta(seconds=chance.choice([0, 0, 1, 5, 400]))
        session = chance.randrange(max(count // 15, 1))
        row = {
            "time": at.isoformat(), "id": f"c{number}", "model": chance.choice(["large", "small", "odd"]),
            "session": f"s{session}" if chance.random() < 0.8 else None,
            "prompt_tokens": 0 if number % 97 == 0 else chance.randrange(500, 18_000),
            "output_tokens": chance.randrange(0, 1000), "team": "abcdefgh"[session % 8] if session % 9 else None,
            "row": number + 1,
        }  # fmt: skip
        if number % 50 == 3:
            row |= {name: rows[-1][name] for name in ("id", "session", "team")}
        rows.append(row)
    return rows


def said(result: Result) -> dict[str, Any]:
    """Return every figure, alert and reject, whoever found them. Rows are named by their numbers."""
    beside = ("files", "notes", "rejects", "shared_decisions", "by_rows")
    figures = {name: value for name, value in result.to_dict().items() if name not in beside}
    return figures | {"left out": _problems(sorted((item.number, item.problem) for item in result.rejects))}


def _problems(rejects: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    return [(number, problem.partition(", first seen at")[0]) for number, problem in rejects]
