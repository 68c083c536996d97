"""Reports on logs that are read in columns are those on logs that are read row by row."""

from __future__ import annotations

import json
import os
import random
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from costlens_policy.replay import READY, TrafficError
from costlens_policy.replay.settings import START
from costlens_policy.replay.stream import blocks, tables
from costlens_policy.report import CallQuery, Extras, Prices, Settings, TrafficSource, summarize
from costlens_policy.report import traffic as traffic_module
from costlens_policy.report.export import as_json
from tests.replay.conftest import plan_of

__all__ = ["plan_of"]

SEEDS = range(120 if os.environ.get("COSTLENS_SOAK") else 3)
BY = ("model", "provider", "team", "user")
COLUMNS = {
    "time": pl.Datetime("us", "UTC"), "id": pl.String, "model": pl.String, "provider": pl.String, "team": pl.String,
    "user": pl.Int64, "prompt_tokens": pl.Int64, "cached_tokens": pl.Int64, "cache_write_tokens": pl.Int64,
    "output_tokens": pl.Int64, "reasoning_tokens": pl.Int64, "cost": pl.Float64, "latency_ms": pl.Float64,
    "end_time": pl.Datetime("us", "UTC"), "denied": pl.Boolean, "baseline_cost": pl.Float64, "service_tier": pl.String,
}  # fmt: skip


def random_rows(chance: random.Random, number: int) -> list[dict[str, Any]]:
    """Return rows with gaps and mistakes, in any order of time."""
    rows = []
    for place in range(number):
        odd = chance.random() < 0.08
        at = datetime(2026, 6, 30, 12 + chance.randrange(12), chance.randrange(60), chance.randrange(60), tzinfo=UTC)
        rows.append({
            "time": at.replace(microsecond=chance.choice([0, 1, 999_999])) if not odd else chance.choice([at, None]),
            "id": chance.choice([None, f"i{place}", f"i{chance.randrange(number)}" if chance.random() < 0.1 else None]),
            "model": chance.choice([None, "large", "large", "nightly", "unheard-of", "p/small", ""]),
            "provider": chance.choice([None, None, "p", "azure"]),
            "team": chance.choice(["a", "b", None, ""]),
            "user": chance.choice([None, 1, 20]),
            "prompt_tokens": chance.choice([1000, 900, 901, 99_000] + ([0, None, -1] if odd else [])),
            "cached_tokens": chance.choice([None, 0, 500]),
            "cache_write_tokens": chance.choice([None, None, 100]),
            "output_tokens": chance.choice([0, 10, 700] + ([None] if odd else [])),
            "reasoning_tokens": chance.choice([None, 0, 10, 900]),
            "cost": chance.choice([None, None, 0.0, 0.25, 1e-7, 3.3e-5, 12.000000000000001] + ([-1.0] if odd else [])),
            "latency_ms": chance.choice([None, 0.29, 12.5, 1e6, 1e-5, -1.0 if odd else None]),
            "end_time": chance.choice(
                [None, at.replace(microsecond=1_001), at.replace(hour=23), START if odd else None]
            ),
            "denied": chance.choice([None, None, None, False, True if chance.random() < 0.2 else None]),
            "baseline_cost": chance.choice([None, 0.5, 1e-9, -2.0 if odd else None]),
            "service_tier": chance.choice([None, "default", "flex", "priority", "auto", "standard, geo us"]),
        })  # fmt: skip
    return rows


def write_rows(rows: list[dict[str, Any]], path: Path, gone: set[str]) -> str:
    frame = pl.DataFrame(rows, schema=COLUMNS).drop(gone)
    if path.suffix == ".parquet":
        frame.write_parquet(path, row_group_size=100)
    elif path.suffix == ".csv":
        frame.write_csv(path, datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ")
    else:
        lines = [{name: item.isoformat() if isinstance(item, datetime) else item for name, item in row.items()
                  if item is not None and name not in gone} for row in rows]  # fmt: skip
        path.write_text("".join(json.dumps(row) + "\n" for row in lines))
    return str(path)


@pytest.mark.parametrize("seed", SEEDS)
def test_columns_and_rows_agree(plan_of, tmp_path, monkeypatch, seed):
    monkeypatch.setattr(blocks, "_SIZE", 20_000)
    monkeypatch.setattr(tables, "BATCH", 90)
    chance = random.Random(seed)
    gone = {
        name for name in COLUMNS if name not in ("time", "prompt_tokens", "output_tokens") and chance.random() < 0.2
    }
    kinds = chance.sample(["parquet", "csv", "jsonl"], chance.choice([1, 1, 2]))
    files = [
        write_rows(random_rows(chance, 300), tmp_path / f"{place}.{kind}", gone) for place, kind in enumerate(kinds)
    ]
    catalogue = plan_of().catalogue
    mapping = READY["plain"].with_columns({}, {"model": "large"} if chance.random() < 0.2 else {})
    query = CallQuery(BY, datetime(2026, 6, 30, 13, tzinfo=UTC), None) if chance.random() < 0.3 else CallQuery(BY)
    costs, baseline = (
        chance.choice(["either", "recorded", "computed"]),
        chance.choice([None, catalogue.models["nightly"]]),
    )

    def source() -> TrafficSource:
        extras = Extras.of(mapping, {}, {}, BY, START)
        return TrafficSource(files, extras.reader_mapping, extras, Prices(catalogue, "c"), START, costs, baseline)

    expected = source().read(query, each=lambda call: None)
    with monkeypatch.context() as patched:
        patched.setattr(traffic_module, "raw_rows", None)  # no file is read row by row
        got = source().read(query)
    order = sorted(got.frame.columns)
    texts = pl.selectors.categorical().cast(pl.String)
    assert_frame_equal(got.frame.with_columns(texts).sort(order), expected.frame.with_columns(texts).sort(order))
    assert sorted(map(str, got.rejects)) == sorted(map(str, expected.rejects))
    empty = pl.DataFrame()
    assert replace(got, frame=empty, rejects=()) == replace(expected, frame=empty, rejects=())
    if expected.frame.height:
        assert as_json(summarize(got, Settings(by=BY))) == as_json(summarize(expected, Settings(by=BY)))


def test_a_column_that_is_asked_for_has_to_be_there_in_columns_too(tmp_path):
    path = write_rows(random_rows(random.Random(1), 5), tmp_path / "t.csv", set())
    extras = Extras.of(READY["plain"], {"team": "teem"}, {}, BY, START)
    with pytest.raises(TrafficError, match="has no column `teem` for `team`; did you mean `team`"):
        TrafficSource([path], extras.reader_mapping, extras, Prices(), START).read(CallQuery(BY))
