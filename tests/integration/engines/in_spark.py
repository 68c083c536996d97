"""Run by the Python that has Spark: one session for all of it, whose failed tasks run again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession, functions

from costlens_policy import load
from costlens_policy.compiler.plan import Plan
from costlens_policy.fit.outcomes.engines import outcomes_spark
from costlens_policy.replay import Result, TrafficError, replay_spark
from costlens_policy.report import Prices, Report, report_spark
from tests.fit.outcomes.scored import said
from tests.integration.engines.cases import BY, answer, answers, asked, prices_of, report_text, run_snippet
from tests.replay.parts.traffic import MAPPING

what = asked()
spark = (
    SparkSession.builder.master("local[2,3]")
    .config("spark.ui.enabled", "false")
    .config("spark.sql.shuffle.partitions", "4")
    .config("spark.sql.session.timeZone", "America/New_York")
    .config("spark.sql.execution.arrow.maxRecordsPerBatch", "200")
    .getOrCreate()
)
for snippet in what["snippets"]:
    run_snippet(snippet)

read = spark.read.csv(what["log"], header=True, inferSchema=True)
calls = read.orderBy(functions.rand(3)).repartition(3).union(read.limit(0)).cache()


def dying(marker: Path) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """Return what passes batches on, and kills the first worker that has passed one on."""

    def run(batches: Iterator[Any]) -> Iterator[Any]:
        for batch in batches:
            yield batch
            if not marker.exists():
                marker.touch()
                os._exit(1)

    return run


def frame_of(name: str) -> DataFrame:
    """Return the calls: as they are, or for some questions from workers that die."""
    marker = Path(what["log"]).parent / f"spark died in {name}"
    return calls.mapInArrow(dying(marker), calls.schema) if name in ("by team", "report") else calls


def replayed(name: str, plan: Plan) -> Result:
    return replay_spark(frame_of(name), plan, MAPPING, parts=3, place="row")


def reported(prices: Prices) -> Report:
    return report_spark(frame_of("report"), settings=BY, prices=prices, parts=3, place="row")


for item in answers(what["folders"], replayed, reported):
    answer(*item)
by_zone = report_spark(calls.drop("id"), settings=BY, prices=prices_of(load(what["folders"]["routes"]).plan))
answer("without ids", report_text(by_zone))
scores = spark.read.parquet(what["outcomes"]).orderBy(functions.rand(5)).repartition(3)
answer("outcomes", repr(said(outcomes_spark(scores))))
try:
    replay_spark(
        calls.withColumn("row", functions.lit(None).cast("int")), load(what["folders"]["routes"]).plan, place="row"
    )
except TrafficError as error:
    answer("problem", str(error))
