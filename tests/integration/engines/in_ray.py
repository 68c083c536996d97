"""Run by the Python that has Ray: one cluster for all of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray

from costlens_policy import load
from costlens_policy.compiler.plan import Plan
from costlens_policy.fit.outcomes.engines import outcomes_ray
from costlens_policy.replay import Result, TrafficError, replay_ray
from costlens_policy.report import Prices, Report, report_ray
from tests.fit.outcomes.scored import said
from tests.integration.engines.cases import BY, answer, answers, asked, prices_of, report_text, run_snippet
from tests.replay.parts.traffic import MAPPING

what = asked()
for snippet in what["snippets"]:
    run_snippet(snippet)

read = ray.data.read_csv(what["log"])
shuffled = read.random_shuffle(seed=3).repartition(3)
calls = shuffled.materialize().union(ray.data.from_arrow(ray.get(read.limit(1).to_arrow_refs()[0]).slice(0, 0)))


def counting(log: Path) -> Callable[[Any], Any]:
    """Return what passes tables on, and notes that it was there."""

    def run(table: Any) -> Any:
        with log.open("a") as out:
            out.write(f"{table.num_rows}\n")
        return table

    return run


def dying(marker: Path) -> Callable[[Any], Any]:
    """Return what passes tables on, and kills the first worker that would pass on a second one."""

    def run(table: Any) -> Any:
        if marker.with_suffix(".first").exists() and not marker.exists():
            marker.touch()
            os._exit(1)
        marker.with_suffix(".first").touch()
        return table

    return run


def dataset_of(name: str) -> ray.data.Dataset:
    """Return the calls: as they are, or for some questions from workers that die."""
    marker = Path(what["log"]).parent / f"ray died in {name}"
    if name not in ("by team", "report"):
        return calls
    return calls.map_batches(dying(marker), batch_format="pyarrow", batch_size=200)


def replayed(name: str, plan: Plan) -> Result:
    return replay_ray(dataset_of(name), plan, MAPPING, parts=3, place="row")


def reported(prices: Prices) -> Report:
    return report_ray(dataset_of("report"), settings=BY, prices=prices, parts=3, place="row")


for item in answers(what["folders"], replayed, reported):
    answer(*item)
plan = load(what["folders"]["routes"]).plan
seen = Path(what["log"]).parent / "seen"
lazy = read.map_batches(counting(seen), batch_format="pyarrow").random_shuffle(seed=3).drop_columns(["id"])
answer("without ids", report_text(report_ray(lazy, settings=BY, prices=prices_of(plan))))
answer("rows read", str(sum(map(int, seen.read_text().split()))))
scores = ray.data.read_parquet(what["outcomes"]).random_shuffle(seed=5).repartition(3)
answer("outcomes", repr(said(outcomes_ray(scores))))
try:
    replay_ray(calls.union(read.drop_columns(["team"])), plan, MAPPING, parts=3, place="row")
except TrafficError as error:
    answer("problem", str(error))
