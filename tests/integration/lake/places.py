"""Run by ``test_lake.py`` in an environment with the packages of every place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import duckdb
import polars as pl
import pytest
from deltalake import DeltaTable
from pyiceberg.catalog.sql import SqlCatalog

from tests.conftest import ROOT

N = 2_000


def calls(rows: int = N) -> pl.DataFrame:
    start = datetime(2026, 5, 1, tzinfo=UTC)
    return pl.DataFrame({
        "id": [f"c{n}" for n in range(rows)],
        "time": [start + timedelta(minutes=7 * n) for n in range(rows)],
        "model": ["gpt-5" if n % 3 else "gpt-5-mini" for n in range(rows)],
        "prompt_tokens": [100 + n for n in range(rows)],
        "output_tokens": [None if n == 77 else n % 900 for n in range(rows)],
        "team": ["a" if n % 2 else "b" for n in range(rows)],
    })  # fmt: skip


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "costlens_policy", *words]
    known = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=known, check=False)


def report(address: str, **environment: str) -> dict[str, Any]:
    """Return what a report says, without where it comes from."""
    done = run(
        "report", "--traffic", address, "--by", "model,team", "--format", "json", "--max-rejects", "5", **environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return {**said, "source": ""}


def refused(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode not in (0, 7), done.stdout
    assert done.stdout == ""
    assert done.stderr.startswith("error: "), done.stderr


@pytest.fixture
def near(tmp_path: Path) -> dict[str, Any]:
    calls().write_parquet(tmp_path / "near.parquet")
    return report(str(tmp_path / "near.parquet"))


def test_delta(tmp_path: Path, near: dict[str, Any]) -> None:
    """With columns that older files lack, rows that are deleted, and versions of before."""
    place, frame = tmp_path / "calls", calls()
    frame.head(700).drop("team").write_delta(place)
    frame.slice(700).write_delta(place, mode="append", delta_write_options={"schema_mode": "merge"})
    less = frame.with_columns(pl.when(pl.int_range(N) >= 700).then("team").alias("team"))
    less.write_parquet(tmp_path / "less.parquet")
    assert report(f"delta:{place}") == report(str(tmp_path / "less.parquet"))
    DeltaTable(place).delete("prompt_tokens >= 1000")
    less.filter(pl.col("prompt_tokens") < 1000).write_parquet(tmp_path / "few.parquet")
    assert report(f"delta:{place}") == report(str(tmp_path / "few.parquet"))
    assert report(f"delta:{place}@1") == report(str(tmp_path / "less.parquet"))
    assert f"{place}@2" in run("report", "--traffic", f"delta:{place}").stdout
    for wrong in (f"delta:{place}@9", f"delta:{tmp_path}/nothing", "delta:", f"delta:{place}@last"):
        done = run("report", "--traffic", wrong)
        refused(done)
    assert f"pass `delta:{place}`" in run("report", "--traffic", str(place)).stderr


def test_iceberg(tmp_path: Path, near: dict[str, Any]) -> None:
    catalog = SqlCatalog("lake", uri=f"sqlite:///{tmp_path}/c.db", warehouse=f"file://{tmp_path}/w")
    catalog.create_namespace("ns")
    table = catalog.create_table("ns.calls", schema=calls().to_arrow().schema)
    table.append(calls().head(700).to_arrow())
    table.append(calls().slice(700).to_arrow())
    known = {"PYICEBERG_CATALOG__LAKE__TYPE": "sql", "PYICEBERG_CATALOG__LAKE__URI": f"sqlite:///{tmp_path}/c.db"}
    assert report("iceberg:lake/ns.calls", **known) == near
    before = table.current_snapshot().snapshot_id
    table.delete("team = 'b'")
    calls().filter(pl.col("team") != "b").write_parquet(tmp_path / "few.parquet")
    assert report("iceberg:lake/ns.calls", **known) == report(str(tmp_path / "few.parquet"))
    assert report(f"iceberg:lake/ns.calls@{before}", **known) == near
    assert report(f"iceberg:{table.metadata_location.removeprefix('file://')}") == report(str(tmp_path / "few.parquet"))
    done = run("report", "--traffic", "iceberg:lake/ns.calls", **known)
    assert f"ns.calls@{table.current_snapshot().snapshot_id}" in done.stdout
    assert "Warning" not in done.stderr
    for wrong in ("iceberg:lake/ns.nothing", "iceberg:nowhere/ns.calls", "iceberg:lake/ns.calls@1"):
        done = run("report", "--traffic", wrong, **known)
        refused(done)


def test_duckdb(tmp_path: Path, near: dict[str, Any]) -> None:
    file = tmp_path / "x.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute(f"CREATE TABLE calls AS SELECT * FROM '{tmp_path}/near.parquet'")
    assert report(f"duckdb:{file}#calls") == near
    assert report(f"duckdb:{file}#SELECT * FROM calls ORDER BY hash(id)") == near
    for wrong in (f"duckdb:{file}", f"duckdb:{file}#nothing", f"duckdb:{tmp_path}/no.duckdb#calls",
                  f"duckdb:{file}#DELETE FROM calls"):  # fmt: skip
        done = run("report", "--traffic", wrong)
        refused(done)
    assert report(f"duckdb:{file}#calls") == near


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    server = subprocess.Popen(
        [Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert server.stdout is not None
    yield next(line for line in server.stdout if "Running on http" in line).split()[-1]
    server.terminate()
    server.wait(10)


def test_s3(s3: str, tmp_path: Path, near: dict[str, Any]) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": s3}
    client = boto3.client("s3", endpoint_url=s3, region_name="us-east-1", aws_access_key_id="k",
                          aws_secret_access_key="s")  # fmt: skip
    client.create_bucket(Bucket="logs")
    frame = calls()
    for place, part in enumerate([frame.head(700), frame.slice(700)]):
        part.write_parquet(tmp_path / "part.parquet")
        client.upload_file(str(tmp_path / "part.parquet"), "logs", f"calls/n={place}/part.parquet")
        part.write_ndjson(tmp_path / "part.jsonl.gz", compression="gzip", check_extension=False)
        client.upload_file(str(tmp_path / "part.jsonl.gz"), "logs", f"text/part-{place}.jsonl.gz")
    for address in ("s3://logs/calls", "s3://logs/calls/*/*.parquet", "s3://logs/text/*.gz"):
        assert report(address, **keys) == near
    done = run("replay", "examples/replay/after", "--traffic", "s3://logs/calls", "--max-rejects", "1", **keys)
    assert (done.returncode, "1,999" in done.stdout) == (0, True), done.stdout + done.stderr
    for wrong in ("s3://logs/nothing", "s3://nowhere/calls", "s3://logs/calls/*.csv"):
        done = run("report", "--traffic", wrong, **keys)
        refused(done)
    away = {**keys, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    done = run("report", "--traffic", "s3://logs/calls", **away)
    refused(done)
