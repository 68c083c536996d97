"""Replays and reports on real engines: what docs/engines.md shows runs, and shuffled calls give what one machine gives.

Each engine is started once, by a script that answers all questions.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Final

import polars as pl
import pytest

from costlens_policy import load
from costlens_policy.fit.outcomes import read_outcomes
from costlens_policy.replay import READY, Settings, replay_files
from costlens_policy.report import CallQuery, report_on, summarize
from costlens_policy.report.traffic import source_of
from tests.conftest import ROOT
from tests.docs.walkthrough import blocks
from tests.fit.outcomes.scored import said, table_of
from tests.integration.engines.cases import BY, prices_of, replay_text, report_text, write_log
from tests.integration.environments import installed
from tests.replay.conftest import SET, folder_of
from tests.replay.parts.traffic import MAPPING, POLICIES

_PACKAGES: Final = (
    "polars>=2,<3", "pyspark>=4,<5", "ray[data]>=2.49,<3", "duckdb", "daft", "pyarrow", "pandas",
    "pyiceberg[sql-sqlite]",
)  # fmt: skip
_SCRIPTS: Final = {
    "in_spark": ("Spark",),
    "in_ray": ("Ray",),
    "in_process": ("DuckDB, Daft, Polars and Arrow readers",),
}
"""With the sections of the page whose snippets each runs."""
_PAGE: Final = (ROOT / "docs/engines.md").read_text(encoding="utf-8")
_QUESTIONS: Final = (*POLICIES, "report", "without ids", "outcomes")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("engines")
    write_log(folder / "log.csv")
    table_of(100).write_parquet(folder / "outcomes.parquet")
    for name, text in POLICIES.items():
        folder_of(folder / name, text, SET + "attributes: {team: {type: string}}\n")
    return folder


@pytest.fixture(scope="module")
def answers(folder: Path) -> Callable[[str], dict[str, str]]:
    @cache
    def done(script: str) -> subprocess.CompletedProcess[str]:  # also one that failed is not run again
        asked = {
            "log": str(folder / "log.csv"),
            "outcomes": str(folder / "outcomes.parquet"),
            "folders": {name: str(folder / name) for name in POLICIES},
            "snippets": [shown for name in _SCRIPTS[script] for shown in _snippets(name)],
        }
        python = installed("engines", *_PACKAGES)
        return _run(python, "-m", f"tests.integration.engines.{script}", json.dumps(asked))

    def of(script: str) -> dict[str, str]:
        run = done(script)
        assert run.returncode == 0, run.stdout + run.stderr
        lines = [line.removeprefix("ANSWER ") for line in run.stdout.splitlines() if line.startswith("ANSWER ")]
        return dict(json.loads(line) for line in lines)

    return of


def _snippets(name: str) -> list[str]:
    section = re.split(r"^## ", _PAGE.split(f"\n## {name}\n", 1)[1], flags=re.M)[0]
    return [block.text for block in blocks(section) if block.language == "python"]


def _run(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "PYSPARK_PYTHON": str(python), "SPARK_LOCAL_IP": "127.0.0.1",
        "RAY_AUTH_MODE": "disabled", "COSTLENS_POLICY_CACHE": "off",
    }  # fmt: skip
    return subprocess.run(
        [python, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False
    )


@pytest.fixture(scope="module")
def alone(folder: Path) -> dict[str, str]:
    """What one machine answers."""
    log = str(folder / "log.csv")
    plans = {name: load(folder / name).plan for name in POLICIES}
    found = {name: replay_text(replay_files(plan, [log], MAPPING, Settings())) for name, plan in plans.items()}
    without = folder / "without.csv"
    pl.read_csv(log, infer_schema=False).drop("id").write_csv(without)
    for name, file in (("report", log), ("without ids", str(without))):
        source = source_of([file], READY["plain"], BY.by, prices_of(plans["routes"]), None)
        found[name] = report_text(summarize(source.read(CallQuery(BY.by)), BY))
    return found | {"outcomes": repr(said(read_outcomes([str(folder / "outcomes.parquet")])))}


@pytest.mark.parametrize("script", _SCRIPTS)
def test_what_the_page_shows_gives_the_figures_of_one_machine(answers, script: str) -> None:
    replayed = replay_files(
        load("examples/replay/after").plan, ["examples/replay/traffic.jsonl"], READY["plain"], Settings()
    )
    reported = report_on(["examples/replay/traffic.jsonl"]).totals
    shown = answers(script)["snippet"].split()
    assert shown == list(map(str, (replayed.rows, replayed.cost, reported.requests, reported.cost)))


@pytest.mark.parametrize("question", _QUESTIONS)
@pytest.mark.parametrize("script", ["in_spark", "in_ray"])
def test_shuffled_calls_give_what_one_machine_gives(answers, alone, folder: Path, script: str, question: str) -> None:
    """Of two questions a worker dies on the way, and its task is run again."""
    engine = script.removeprefix("in_")
    assert answers(script)[question] == alone[question]
    if question in ("by team", "report"):
        assert (folder / f"{engine} died in {question}").exists()


def test_a_shuffled_dataset_is_read_once(answers) -> None:
    assert answers("in_ray")["rows read"] == "1500"


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("in_spark", "column `row` must have an integer in every row, as rows are put in order by it"),
        ("in_ray", "`the dataset` has no column `team` for `request.team`"),
    ],
)
def test_what_a_worker_refuses_is_the_error_of_one_machine(answers, script: str, problem: str) -> None:
    assert answers(script)["problem"].startswith(problem)


def test_what_the_page_shows_of_beam_runs() -> None:
    (shown,) = _snippets("Beam")
    done = _run(installed("beam", "apache-beam>=2.70,<3", "polars>=2,<3"), "-c", shown)
    assert done.returncode == 0, done.stdout + done.stderr
    rows, cost = done.stdout.split()[-2:]
    assert (int(rows), Decimal(cost)) == (4, Decimal("0.171"))


@pytest.mark.parametrize("question", [*POLICIES, "report"])
@pytest.mark.parametrize("engine", ["duckdb", "daft", "polars", "iceberg"])
def test_batches_in_this_process_give_what_one_machine_gives(answers, alone, engine: str, question: str) -> None:
    assert answers("in_process")[f"{engine}: {question}"] == alone[question]
