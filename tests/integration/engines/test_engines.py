"""Replay on real engines: the snippets of docs/engines.md run, and shuffled traffic gives what one machine gives."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from costlens_policy import load
from costlens_policy.replay import READY, Settings, replay_files
from tests.conftest import ROOT
from tests.docs.walkthrough import blocks
from tests.integration.environments import installed
from tests.replay.conftest import SET, folder_of
from tests.replay.parts.traffic import MAPPING, POLICIES, rows_of, said

_PACKAGES: Final = ("polars>=2,<3", "pyspark>=4,<5", "ray[data]>=2.49,<3", "duckdb", "daft", "pyarrow", "pandas")
_PAGE: Final = (ROOT / "docs/engines.md").read_text(encoding="utf-8")


def _python() -> Path:
    return installed("engines", *_PACKAGES)


def _run(python: Path, script: str, *arguments: str) -> str:
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "PYSPARK_PYTHON": str(python), "SPARK_LOCAL_IP": "127.0.0.1",
        "RAY_AUTH_MODE": "disabled", "COSTLENS_POLICY_CACHE": "off",
    }  # fmt: skip
    done = subprocess.run(
        [python, "-c", script, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["Spark", "Ray", "DuckDB, Daft, Polars and Arrow readers"])
def test_what_the_page_shows_gives_the_figures_of_one_machine(name: str) -> None:
    section = re.split(r"^## ", _PAGE.split(f"\n## {name}\n", 1)[1], flags=re.M)[0]
    (shown,) = (block.text for block in blocks(section) if block.language == "python")
    rows, cost = _run(_python(), shown).split()[-2:]
    plan = load("examples/replay/after").plan
    alone = replay_files(plan, ["examples/replay/traffic.jsonl"], READY["plain"], Settings())
    assert (rows, cost) == (str(alone.rows), str(alone.cost))


_SHUFFLED: Final = {
    "spark": """
from pyspark.sql import SparkSession, functions
from costlens_policy.replay import replay_spark
spark = (SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
         .config("spark.sql.session.timeZone", "America/New_York").getOrCreate())
calls = spark.read.csv(log, header=True, inferSchema=True).orderBy(functions.rand(3)).repartition(5)
replayed = lambda plan, parts: replay_spark(calls, plan, MAPPING, parts=parts, place="row")
""",
    "ray": """
import ray
from costlens_policy.replay import replay_ray
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
calls = ray.data.read_csv(log).random_shuffle(seed=3).repartition(5).materialize()
replayed = lambda plan, parts: replay_ray(calls, plan, MAPPING, parts=parts, place="row")
""",
    "duckdb": """
import duckdb
from costlens_policy.replay import replay_arrow
replayed = lambda plan, parts: replay_arrow(
    duckdb.sql(f"select * from '{log}' order by hash(id)").fetch_record_batch(300), plan, MAPPING, place="row")
""",
    "daft": """
import daft
from costlens_policy.replay import replay_arrow
replayed = lambda plan, parts: replay_arrow(daft.read_csv(log).to_arrow_iter(), plan, MAPPING, place="row")
""",
}
_SCRIPT: Final = """
import json, sys
from costlens_policy import load
from costlens_policy.replay import MergeError
from tests.replay.parts.traffic import MAPPING, said
log, *folders = sys.argv[1:]
{engine}
for folder in folders:
    print("RESULT", json.dumps(said(replayed(load(folder).plan, 3)), default=str))
"""


@pytest.mark.parametrize("engine", _SHUFFLED)
def test_shuffled_traffic_gives_what_one_machine_gives(engine: str, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    rows = rows_of(1500)
    lines = [",".join("" if value is None else str(value) for value in row.values()) for row in rows]
    log.write_text("\n".join([",".join(rows[0]), *lines]) + "\n")
    extra = "attributes: {team: {type: string}}\n"
    folders = [folder_of(tmp_path / str(at), text, SET + extra) for at, text in enumerate(POLICIES.values())]
    printed = _run(_python(), _SCRIPT.replace("{engine}", _SHUFFLED[engine]), str(log), *map(str, folders))
    found = [json.loads(line.removeprefix("RESULT ")) for line in printed.splitlines() if line.startswith("RESULT ")]
    assert len(found) == len(folders)
    for folder, got in zip(folders, found, strict=True):
        alone = replay_files(load(folder).plan, [str(log)], MAPPING, Settings())
        assert got == json.loads(json.dumps(said(alone), default=str))
