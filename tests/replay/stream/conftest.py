"""Files of traffic in three formats, and a policy set with a budget."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from costlens_policy.replay import READY

polars = pytest.importorskip("polars", reason="replay in columns needs the extra `replay`")

MAPPING = READY["plain"].with_columns({"request.team": "team"}, {"request.task": "chat"})
POLICY = """
routes:
  - {id: r, when: 'has(request.team) && request.team == "a"', model: small, fallbacks: [large]}
budgets:
  - id: team
    scope: request.?team.orValue("none")
    hard_limit_usd: 5
    window: {calendar: day}
    thresholds: [{at_ratio: 0.5, alert: half}]
  - {id: hour, hard_limit_usd: 20, window: {rolling: 1h}}
"""
SCHEMA = {
    "time": polars.Datetime("us", "UTC"), "id": polars.String, "model": polars.String, "session": polars.String,
    "prompt_tokens": polars.Int64, "output_tokens": polars.Int64, "cached_tokens": polars.Int64,
    "cost": polars.Float64, "team": polars.String,
}  # fmt: skip


def some_rows(number: int, seed: int = 1, bad: bool = False, unsorted: bool = False) -> list[dict[str, Any]]:
    """Return rows; with ``bad``, many of which cannot be read."""
    chance, at, rows = random.Random(seed), datetime(2026, 6, 30, 20, tzinfo=UTC), []
    wrong = (None,) if bad else ()
    for place in range(number):
        at += timedelta(seconds=chance.choice([-5, 0, 10, 100] if unsorted else [0, 1, 10, 100]))
        rows.append({
            "time": chance.choice([at, at, at, at, *wrong]),
            "id": chance.choice([f"i{seed}-{place}", None, *([f"i{chance.randrange(number)}"] if bad else [])]),
            "model": chance.choice([None, "large", "of-somebody-else", ""]),
            "session": chance.choice([None, "s1", "s2", ""]),
            "prompt_tokens": chance.choice([1, 2000, 2000, 30_000, *([0, -4, None] if bad else [])]),
            "output_tokens": chance.choice([0, 10, 500, *([None, -1] if bad else [])]),
            "cached_tokens": chance.choice([None, 0, 1, *([5000] if bad else [])]),
            "cost": chance.choice([None, 0.0, 0.1, 1e-7, *([-1.0, float("nan")] if bad else [])]),
            "team": chance.choice(["a", "b", None, ""]),
        })  # fmt: skip
    return rows


@pytest.fixture
def written(tmp_path) -> Callable[..., str]:
    """Return a function that writes rows into a file and returns its name."""

    def write(rows: list[dict[str, Any]], name: str, **given: Any) -> str:
        path: Path = tmp_path / name
        frame = polars.DataFrame(rows, schema={**SCHEMA, **given})
        if name.endswith(".parquet"):
            frame.write_parquet(path, row_group_size=300)
        elif name.endswith(".csv"):
            frame.write_csv(path)
        else:
            frame.write_ndjson(path)
        return str(path)

    return write
