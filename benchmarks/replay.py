"""How many recorded requests a second are decided anew, beside a row-by-row ``decide`` and a query of Polars.

    python -m benchmarks.replay [ROWS]

The traffic is made up and written as Parquet. Reading it is measured apart from deciding. Rates are by CPU time, so
that other work on the machine does not count; Polars uses all cores.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import polars as pl

from costlens_policy import load
from costlens_policy.engine.decide import decide
from costlens_policy.replay import READY, Settings, Traffic, read_traffic, replay

DEFAULT_ROWS: Final = 200_000
MAPPING: Final = READY["plain"].with_columns({"request.team": "team", "request.task": "task"}, {})
ROUTES: Final = """
routes:
  - {id: coding, when: 'has(request.task) && request.task == "coding"', model: large}
  - {id: search, when: 'has(request.team) && request.team == "search"', model: middle, fallbacks: [small]}
"""
BUDGETS: Final = """
budgets:
  - {id: team, scope: 'request.?team.orValue("none")', hard_limit_usd: 1000000, window: {calendar: month}}
  - {id: day, hard_limit_usd: 100000, window: {rolling: 24h}}
"""
FILES: Final = {
    "policy-set.yaml": "kind: PolicySet\npolicies: [policy.yaml]\ncatalogues: [catalogue.yaml]\n"
    "defaults: {access: allow, route: {model: small}, max_output_tokens: 1000}\n",
    "catalogue.yaml": "kind: Catalogue\nmodels:\n"
    + "".join(
        f"  {name}: {{provider: p, context_window: 200000, prices: [{{usd_per_million_tokens: "
        f"{{input: {price}, cache_read: {price / 10}, cache_write: {price * 1.25}, output: {price * 5}}}}}]}}\n"
        for name, price in (("large", 5), ("middle", 3), ("small", 1))
    ),
}


def main(rows: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        traffic_file = _traffic(folder, rows)
        routes, budgets = _policies(folder / "routes", ROUTES), _policies(folder / "budgets", ROUTES + BUDGETS)
        traffic = _timed("read Parquet into rows", rows, lambda: _read(traffic_file, routes))
        assert isinstance(traffic, Traffic)
        off, on = Settings(cache=False), Settings()
        _timed("routes, caches ignored", rows, lambda: replay(routes.plan, traffic, off))
        _timed("routes, caches", rows, lambda: replay(routes.plan, traffic, on))
        _timed("routes, caches, two budgets", rows, lambda: replay(budgets.plan, traffic, on))
        _timed("decide alone, row by row", rows, lambda: _decide_each(routes, traffic))
        _timed("a Polars query by hand, file to sum", rows, lambda: _by_hand(traffic_file))


def _timed(what: str, rows: int, run: Callable[[], Any]) -> Any:
    start = time.process_time()
    result = run()
    took = time.process_time() - start
    print(f"{what:40} {rows / took:12,.0f} rows/s {took:8.2f} s")  # noqa: T201 - a benchmark prints
    return result


def _traffic(folder: Path, rows: int) -> Path:
    chance = random.Random(1)
    start = datetime(2026, 6, 1, tzinfo=UTC)
    frame = pl.DataFrame(
        {
            "time": [start + timedelta(seconds=number / 10) for number in range(rows)],
            "session": [f"s{chance.randrange(5_000)}" for _ in range(rows)],
            "team": [chance.choice(["search", "billing", "support"]) for _ in range(rows)],
            "task": [chance.choice(["coding", "chat", "summary"]) for _ in range(rows)],
            "prompt_tokens": [chance.randrange(500, 60_000) for _ in range(rows)],
            "output_tokens": [chance.randrange(1, 900) for _ in range(rows)],
        }
    )
    path = folder / "traffic.parquet"
    frame.write_parquet(path)
    return path


def _policies(folder: Path, sections: str) -> Any:
    folder.mkdir()
    files = {**FILES, "policy.yaml": f"kind: Policy\non_error: skip\n{sections}"}
    for name, text in files.items():
        head = 'apiVersion: costlens-policy/v1\nmetadata: {name: bench, version: "1.0.0"}\n'
        (folder / name).write_text(head + text)
    return load(folder)


def _read(path: Path, engine: Any) -> Traffic:
    return read_traffic([str(path)], MAPPING, engine.plan, Settings().start)


def _decide_each(engine: Any, traffic: Traffic) -> None:
    for row in traffic.rows:
        decide(engine.plan, {**row.attributes, "prompt_tokens": row.prompt_tokens}, None, row.time)


def _by_hand(path: Path) -> float:
    """Do what the routes do, in columns and in floats: no caches, no windows, no exact money."""
    price = pl.when(pl.col("task") == "coding").then(5.0).when(pl.col("team") == "search").then(3.0).otherwise(1.0)
    cost = (pl.col("prompt_tokens") + pl.col("output_tokens") * 5) * price / 1e6
    total: float = pl.scan_parquet(path).select(cost.sum()).collect().item()
    return total


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_ROWS)
