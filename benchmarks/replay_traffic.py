"""Made-up traffic in columns, the policies that it is replayed through, and the same job as a query by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import polars as pl

from costlens_policy.replay import READY

__all__ = ["BUDGETS", "MAPPING", "ROUTES", "TIGHT", "by_hand", "write_policies", "write_traffic"]

MAPPING: Final = READY["plain"].with_columns({"request.team": "team", "request.task": "task"}, {})
ROUTES: Final = """
routes:
  - {id: coding, when: 'has(request.task) && request.task == "coding"', model: large}
  - {id: search, when: 'has(request.team) && request.team == "search"', model: middle, fallbacks: [small]}
  - {id: long, when: 'request.prompt_tokens > 50000', model: middle}
"""
BUDGETS: Final = """
budgets:
  - {id: team, scope: 'request.?team.orValue("none")', hard_limit_usd: 1000000, window: {calendar: month}}
  - {id: day, hard_limit_usd: 100000, window: {rolling: 24h}}
"""
TIGHT: Final = BUDGETS.replace("1000000", "2000").replace("100000", "5000")
_TEAMS: Final = ["search", "billing", "support"]
_TASKS: Final = ["coding", "chat", "summary"]
_SESSIONS: Final = 5_000
_PART: Final = 500_000
_PRICES: Final = {"large": 5, "middle": 3, "small": 1}
_FILES: Final = {
    "policy-set.yaml": "kind: PolicySet\npolicies: [policy.yaml]\ncatalogues: [catalogue.yaml]\n"
    "defaults: {access: allow, route: {model: small}, max_output_tokens: 1000}\n",
    "catalogue.yaml": "kind: Catalogue\nmodels:\n"
    + "".join(
        f"  {name}: {{provider: p, context_window: 200000, prices: [{{usd_per_million_tokens: "
        f"{{input: {price}, cache_read: {price / 10}, cache_write: {price * 1.25}, output: {price * 5}}}}}]}}\n"
        for name, price in _PRICES.items()
    ),
}


def write_policies(folder: Path, sections: str) -> Path:
    """Write a policy set of three models into a folder; return the folder."""
    folder.mkdir()
    files = {**_FILES, "policy.yaml": f"kind: Policy\non_error: skip\n{sections}"}
    for name, text in files.items():
        head = 'apiVersion: costlens-policy/v1\nmetadata: {name: bench, version: "1.0.0"}\n'
        (folder / name).write_text(head + text)
    return folder


def write_traffic(file: Path, rows: int) -> None:
    """Write calls, ten in a second of time, of 5,000 sessions."""
    parts = [_part(start, min(_PART, rows - start)).lazy() for start in range(0, rows, _PART)]
    pl.concat(parts).sink_parquet(file, row_group_size=200_000)


def _part(start: int, rows: int) -> pl.DataFrame:
    number = pl.int_range(start, start + rows, dtype=pl.Int64)
    return pl.select(
        (pl.datetime(2026, 6, 1, time_zone="UTC") + pl.duration(milliseconds=number * 100)).alias("time"),
        (pl.lit("s") + _chance(number, 1, _SESSIONS).cast(pl.String)).alias("session"),
        _chance(number, 2, 3).replace_strict([0, 1, 2], _TEAMS).alias("team"),
        _chance(number, 3, 3).replace_strict([0, 1, 2], _TASKS).alias("task"),
        (500 + _chance(number, 4, 59_500)).alias("prompt_tokens"),
        (1 + _chance(number, 5, 899)).alias("output_tokens"),
    )


def _chance(number: pl.Expr, seed: int, below: int) -> pl.Expr:
    return (number.hash(seed) % below).cast(pl.Int64)


def by_hand(file: Path) -> pl.DataFrame:
    """Do what the routes do: no caches, no context windows, no rows that could be wrong, and money in doubles."""
    task, team, prompt = pl.col("task"), pl.col("team"), pl.col("prompt_tokens")
    rule = (
        pl.when(task == "coding").then(pl.lit("coding")).when(team == "search").then(pl.lit("search"))
        .when(prompt > 50_000).then(pl.lit("long")).otherwise(pl.lit("default"))
    )  # fmt: skip
    models = {"coding": "large", "search": "middle", "long": "middle", "default": "small"}
    price = pl.col("rule").replace_strict({rule: float(_PRICES[model]) for rule, model in models.items()})
    cost = (prompt + pl.col("output_tokens") * 5) * price / 1e6
    return (
        pl.scan_parquet(file)
        .with_columns(rule.alias("rule"))
        .with_columns(cost.alias("cost"))
        .group_by("rule")
        .agg(pl.len(), pl.col("prompt_tokens", "output_tokens", "cost").sum())
        .collect()
    )
