"""Files replayed in columns give what they give row by row: figures, notes, and rows that are left out."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import polars as pl
import pytest

from costlens_policy.replay import (
    READY,
    Settings,
    TrafficError,
    diff_files,
    open_traffic,
    read_traffic,
    replay,
    replay_files,
)
from costlens_policy.replay.stream import blocks, copy, reading, tables
from tests.replay.columns.traffic import facts
from tests.replay.conftest import SET
from tests.replay.stream.conftest import MAPPING, POLICY, some_rows


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch):
    """Let files of a few hundred rows be many batches."""
    for module, name in ((tables, "BATCH"), (copy, "BATCH"), (reading, "_ROWS")):
        monkeypatch.setattr(module, name, 70)
    monkeypatch.setattr(blocks, "_SIZE", 20_000)


@pytest.fixture
def same(plan_of):
    """Return a function that replays files in both ways, and gives the result."""
    plan = plan_of(POLICY)

    def compare(files, mapping=MAPPING):
        got = replay_files(plan, files, mapping, Settings())
        expected = replay(plan, read_traffic(files, mapping, plan, Settings().start), Settings())
        assert facts(got) == facts(expected)
        assert got.rows
        return got

    return compare


@pytest.mark.parametrize("unsorted", [False, True])
@pytest.mark.parametrize("bad", [False, True])
@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_every_kind_of_file_and_of_row(same, written, kind, bad, unsorted):
    rows = some_rows(900, bad=bad, unsorted=unsorted)
    result = same([written(rows, f"t.{kind}")])
    assert bool(result.rejected) == bad
    assert any("time order" in note for note in result.notes) == unsorted


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_every_count_in_a_column(same, written, kind):
    """Parts, totals that show more or less, counts that contradict each other, and tiers."""
    chance = random.Random(4)
    rows = [
        {
            **row,
            "prompt_tokens": chance.choice([None, row["prompt_tokens"], 2100]),
            "uncached_tokens": chance.choice([None, None, 2000]),
            "cached_tokens": chance.choice([None, 0, 100]),
            "cache_write_tokens": chance.choice([None, None, 0, 40]),
            "cache_write_1h_tokens": chance.choice([None, None, 60]),
            "reasoning_tokens": chance.choice([None, 0, 10, 700]),
            "total_tokens": chance.choice([None, None, None, 2510, 10, 40_000]),
            "service_tier": chance.choice([None, "batch", "flex"]),
        }
        for row in some_rows(400)
    ]
    counts = [name for name in rows[0] if name.endswith("_tokens")]
    result = same([written(rows, f"t.{kind}", **dict.fromkeys(counts, pl.Int64), service_tier=pl.String)])
    assert result.rows > 100
    assert any("above the sum of their tokens" in note for note in result.notes)
    assert any("below the sum of their tokens" in note for note in result.notes)


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_costs_keep_their_digits(same, written, tmp_path, kind):
    costs = ["0.12345678901234567890123", "12345678901234.5", "0", "1e-7", "0.000000000000000123", "007", "", None]
    path = tmp_path / f"t.{kind}"
    rows = [{**row, "cost": costs[place % len(costs)]} for place, row in enumerate(some_rows(80))]
    if kind == "jsonl":
        lines = [json.dumps({**row, "time": row["time"].isoformat(), "cost": "COST"}) for row in rows]
        amounts = ["null" if not row["cost"] else row["cost"].removeprefix("00") for row in rows]
        path.write_text("".join(line.replace('"COST"', a) + "\n" for line, a in zip(lines, amounts, strict=True)))
    else:
        written(rows, f"t.{kind}", cost=pl.String)
    exact = sum((Decimal(row["cost"]) for row in rows if row["cost"]), Decimal(0))
    result = same([str(path)])
    assert not result.rejected
    assert abs(result.logged_cost - exact) < Decimal("1e-15") * 80


def test_a_walked_copy_keeps_tiers_and_further_models(plan_of, tmp_path):
    path, plan = tmp_path / "t.jsonl", plan_of(POLICY)
    asked = {"model": "advisor", "input_tokens": 5, "output_tokens": 7}
    usage = {"input_tokens": 9, "output_tokens": 3, "service_tier": "batch", "iterations": [asked]}
    row = {"id": "a", "created_at": "2026-06-01T10:00:00Z", "model": "large", "usage": usage}
    path.write_text(json.dumps(row) + "\n")
    with open_traffic(plan, [str(path)], READY["anthropic"], Settings()) as traffic:
        (copied,) = traffic.rows
    (read,) = read_traffic([str(path)], READY["anthropic"], plan, Settings().start).rows
    assert (read.service_tier, [name for name, _ in read.other_models]) == ("batch", ["advisor"])
    assert (copied.service_tier, copied.other_models) == (read.service_tier, read.other_models)


def test_what_is_wrong_with_rows_is_told_word_for_word(same, written):
    good = some_rows(1)[0] | {"id": "one", "cached_tokens": None}
    wrong = [
        {"prompt_tokens": 0}, {"prompt_tokens": -1}, {"output_tokens": None}, {"time": None}, {"cached_tokens": 10**6},
        {"cost": -1.0}, {"id": "one"},
    ]  # fmt: skip
    rows = [good, *({**good, "id": f"w{place}", **item} for place, item in enumerate(wrong))]
    result = same([written(rows, "t.parquet")])
    assert [(item.number, item.problem.partition(";")[0]) for item in result.rejects][:3] == [
        (2, "0 prompt tokens"),
        (3, "prompt_tokens: a number of tokens must be non-negative, got `-1`"),
        (4, "no output tokens"),
    ]
    assert result.rows == 1
    assert any("duplicate id `one`, first seen at " in item.problem for item in result.rejects)


def test_files_of_several_kinds_in_one_replay(same, written):
    kinds = ("parquet", "jsonl", "csv")
    files = [written(some_rows(200, seed), f"{seed}.{kind}") for seed, kind in enumerate(kinds)]
    assert same(files).rows == 600


def test_an_id_that_is_in_two_files_is_left_out_once(same, written):
    rows = [row | {"id": f"i{place}"} for place, row in enumerate(some_rows(300))]
    result = same([written(rows, "a.parquet"), written(rows[-1:], "b.parquet")])
    assert (result.rows, result.rejected) == (300, 1)


def test_what_older_writers_store_as_bytes_and_days(same, tmp_path):
    rows = [row | {"time": row["time"].date(), "model": (row["model"] or "m").encode()} for row in some_rows(100)]
    pl.DataFrame(rows, schema_overrides={"time": pl.Date, "model": pl.Binary}).write_parquet(tmp_path / "t.parquet")
    result = same([str(tmp_path / "t.parquet")])
    assert result.rejected == 0
    assert not any(name.startswith("b'") for name in result.unknown_models)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_times_of_another_unit_are_noted_in_every_way(same, written, kind):
    rows = [row | {"time": int(row["time"].timestamp())} for row in some_rows(100)]
    types = {"time": pl.Int64} if kind == "parquet" else {}
    result = same([written(rows, f"t.{kind}", **types)], replace(MAPPING, time_unit="ms"))
    assert any("100 timestamps are before 2015" in note for note in result.notes)


@pytest.mark.parametrize("kind", [pl.Datetime("ns"), pl.Datetime("ms", "Europe/Berlin"), pl.String, pl.Int64])
def test_times_of_other_types(same, written, kind):
    rows = some_rows(200)
    mapping = MAPPING
    if kind == pl.String:
        rows = [row | {"time": row["time"].isoformat().replace("+00:00", "Z")} for row in rows]
        rows[7]["time"], rows[8]["time"] = "2026-06-30 20:00:00", "yesterday"
    elif kind == pl.Int64:
        rows = [row | {"time": int(row["time"].timestamp())} for row in rows]
        mapping = replace(MAPPING, time_unit="s")
    elif kind == pl.Datetime("ns"):
        rows = [row | {"time": row["time"].replace(tzinfo=None)} for row in rows]
    result = same([written(rows, "t.parquet", time=kind)], mapping)
    assert result.rejected == (kind == pl.String)
    assert any("have no zone" in note for note in result.notes) == (kind in (pl.Datetime("ns"), pl.String))


def test_columns_of_other_types_are_read_row_by_row(same, written):
    rows = [row | {"prompt_tokens": float(row["prompt_tokens"])} for row in some_rows(100)]
    assert same([written(rows, "t.parquet", prompt_tokens=pl.Float64)]).rows == 100


def test_relative_times_and_alternatives(same, written):
    rows = [
        row | {"time": 40 * place, "team": None if place % 2 else row["team"]}
        for place, row in enumerate(some_rows(99))
    ]
    mapping = replace(MAPPING, time_unit="ms", relative=True).with_columns({"request.team": "team|model"}, {})
    assert same([written(rows, "t.parquet", time=pl.Int64)], mapping).rows == 99


def test_tokens_beyond_every_call_are_replayed_row_by_row(same, written):
    rows = some_rows(50)
    rows[3]["output_tokens"] = 10**15
    assert same([written(rows, "t.parquet")]).rows == 50


def test_usage_objects_beside_counts_and_in_other_files(same, written, tmp_path):
    usage = {"prompt_tokens": 900, "completion_tokens": 90, "prompt_tokens_details": {"audio_tokens": 5}}
    rows = [{**row, "time": row["time"].isoformat()} for row in some_rows(150)]
    text = "".join(
        json.dumps({**row, "usage": usage} if place % 5 == 0 else row) + "\n" for place, row in enumerate(rows)
    )
    (tmp_path / "u.jsonl").write_text(text)
    result = same([written(some_rows(150, seed=2), "t.parquet"), str(tmp_path / "u.jsonl")])
    assert (result.rows, result.rejected) == (300, 0)


def test_a_usage_object_keeps_its_buckets(same, tmp_path):
    path = tmp_path / "t.jsonl"
    usage = {
        "input_tokens": 9, "cache_read_input_tokens": 2000, "cache_creation_input_tokens": 50, "output_tokens": 3,
    }  # fmt: skip
    rows = [
        {"id": str(place), "created_at": f"2026-06-01T10:00:{place:02}Z", "model": "large", "usage": usage}
        for place in range(60)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = same([str(path)], READY["anthropic"])
    assert result.models["large"].cached_tokens == 60 * 2000


def test_missing_columns_and_broken_files_are_named(plan_of, written, tmp_path):
    plan = plan_of(POLICY)
    path = tmp_path / "t.parquet"
    pl.DataFrame({"time": [datetime(2026, 6, 1)], "promt_tokens": [1], "output_tokens": [1]}).write_parquet(path)
    with pytest.raises(TrafficError, match=r"no column `prompt_tokens` .*did you mean `promt_tokens`\?"):
        replay_files(plan, [str(path)], READY["plain"], Settings())
    path.write_bytes(b"PAR1 no")
    with pytest.raises(TrafficError, match="cannot be read as Parquet"):
        replay_files(plan, [str(path)], READY["plain"], Settings())
    empty = replay_files(plan, [written([], "empty.parquet")], MAPPING, Settings())
    assert (empty.rows, empty.rejected) == (0, 0)
    assert "contains no rows" in empty.notes[0]


def test_what_goes_row_by_row_says_why(plan_of, written, tmp_path):
    plan, files = plan_of(POLICY), [written(some_rows(30), "t.parquet")]
    runs = plan_of("budgets:\n  - {id: trees, hard_limit_runs: 5, window: {lifetime: true}}\n", "runs")
    assert replay_files(plan, files, MAPPING, Settings()).by_rows == ""
    assert replay_files(runs, files, MAPPING, Settings()).by_rows == "`p/trees` counts runs, each of them once"
    for old, new in ((plan, runs), (runs, plan)):
        assert "counts runs" in diff_files(old, new, files, MAPPING, Settings()).by_rows
    assert diff_files(plan, plan, files, MAPPING, Settings()).by_rows == ""
    typed = "attributes: {tier: {type: int}}\nmetadata: {name: s"
    old, new = (plan_of(POLICY, name, SET.replace("metadata: {name: s", text))
                for name, text in (("old", typed), ("new", typed.replace("int", "string"))))  # fmt: skip
    mapping = MAPPING.with_columns({}, {"request.tier": "1"})
    assert "different types" in diff_files(old, new, files, mapping, Settings()).by_rows
    rows = some_rows(5)
    rows[3]["output_tokens"] = 10**15
    assert replay_files(plan, [written(rows, "u.parquet")], MAPPING, Settings()).by_rows == (
        "a row has values that batches cannot hold"
    )


@pytest.mark.parametrize("in_order", [False, True])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_ids_of_rows_that_the_policy_set_refuses_count_as_seen(plan_of, tmp_path, kind, in_order):
    """Which rows are repeats does not depend on the policy set, and steps back in time count all rows that are read."""
    plan = plan_of(POLICY, policy_set=SET + "attributes: {team: {type: string}, size: {type: int}}\n")
    times = [1, 2, 3, 4, 5, 6] if in_order else [1, 2, 5, 3, 6, 4]
    cells = [("i0", "abc"), ("i0", "20"), ("i1", "20"), ("i2", "x"), ("i2", "30"), ("i3", "y")]
    rows = [
        {"time": f"2026-06-01T00:00:0{second}Z", "id": id, "model": "large", "request.size": size, "prompt_tokens": 10,
         "output_tokens": 10}
        for second, (id, size) in zip(times, cells, strict=True)
    ]  # fmt: skip
    path, mapping = tmp_path / f"t.{kind}", READY["plain"]
    getattr(pl.DataFrame(rows), "write_csv" if kind == "csv" else "write_ndjson")(path)
    got = replay_files(plan, [str(path)], mapping, Settings())
    expected = replay(plan, read_traffic([str(path)], mapping, plan, Settings().start), Settings())
    assert got.by_rows == ""
    assert facts(got) == facts(expected)
    assert (got.rows, got.rejected) == (1, 5)
    assert sum("duplicate id" in item.problem for item in got.rejects) == 2
