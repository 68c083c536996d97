"""Calls that are read in columns are those that are read row by row."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from datetime import timedelta

import pytest

from costlens_policy.cli import recorded_calls
from costlens_policy.cli.traffic import TrafficInput
from costlens_policy.replay import READY, Settings
from costlens_policy.replay.stream import blocks, tables
from tests.report.test_columns import COLUMNS, random_rows, write_rows

SEEDS = range(60 if os.environ.get("COSTLENS_SOAK") else 2)


@pytest.mark.parametrize("seed", SEEDS)
def test_columns_and_rows_agree(tmp_path, monkeypatch, seed):
    monkeypatch.setattr(blocks, "_SIZE", 20_000)
    monkeypatch.setattr(tables, "BATCH", 90)
    chance = random.Random(seed)
    gone = {
        name for name in COLUMNS if name not in ("time", "prompt_tokens", "output_tokens") and chance.random() < 0.2
    }
    kinds = chance.sample(["parquet", "csv", "jsonl"], 2)
    files = [
        write_rows(random_rows(chance, 250), tmp_path / f"{place}.{kind}", gone) for place, kind in enumerate(kinds)
    ]
    mapping = READY["plain"].with_columns({}, {"request.team": "c"} if chance.random() < 0.3 else {})
    asked = TrafficInput(tuple(files), mapping, Settings())
    by = chance.choice(["team", "user", "model", "task"])
    with monkeypatch.context() as patched:
        patched.setattr(recorded_calls, "raw_rows", None)  # no file is read row by row
        got = recorded_calls.read_calls(files, asked, by, lambda: None)
    monkeypatch.setattr(recorded_calls, "find_spec", lambda name: None)
    expected = recorded_calls.read_calls(files, asked, by, lambda: None)
    assert list(got.seen.tasks) == list(expected.seen.tasks)
    for one, other in zip(got.seen, expected.seen, strict=True):
        assert sorted(one.times) == sorted(other.times)
        assert one.prompts.kept == other.prompts.kept
        assert replace(one, times=None, prompts=None) == replace(other, times=None, prompts=None)
        assert one.warm(timedelta(minutes=5)) == other.warm(timedelta(minutes=5))
    assert sorted(map(str, got.rejects)) == sorted(map(str, expected.rejects))
    assert got.notes == expected.notes
