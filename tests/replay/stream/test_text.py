"""CSV and JSON lines in columns are what they are row by row, however they were written."""

from __future__ import annotations

import gzip
import json
import os
import random
from pathlib import Path

import pytest

from costlens_policy.replay import READY, Settings, TrafficError, read_traffic, replay, replay_files
from costlens_policy.replay.stream import blocks
from costlens_policy.replay.stream.reading import table_of
from costlens_policy.replay.traffic.reading import TEXTS_ONLY, FileCheck, RowReader
from tests.replay.columns.traffic import facts
from tests.replay.stream.conftest import POLICY

MAPPING = READY["plain"].with_columns({"request.team": "team|meta.team"}, {})
SEEDS = range(200 if os.environ.get("COSTLENS_SOAK") else 4)
HEADER = ["time", "id", "model", "session", "prompt_tokens", "output_tokens", "cost", "team", "note"]


@pytest.fixture
def same(plan_of, monkeypatch):
    """Return a function that replays a file in both ways and returns the result; blocks are of a few lines."""
    plan = plan_of(POLICY)
    monkeypatch.setattr(blocks, "_SIZE", 900)

    def compare(path: Path, mapping=MAPPING):
        expected = replay(plan, read_traffic([str(path)], mapping, plan, Settings().start), Settings())
        got = replay_files(plan, [str(path)], mapping, Settings())
        assert facts(got) == facts(expected)
        assert [item.text for item in got.rejects if "duplicate" not in item.problem] == [
            item.text for item in expected.rejects if "duplicate" not in item.problem
        ]
        return got

    return compare


def _cells(chance: random.Random, number: int) -> list[str]:
    odd = chance.random() < 0.1
    return [
        f"2026-06-01T10:{number // 60 % 60:02}:{number % 60:02}Z" if not odd else "yesterday",
        chance.choice(["", f"i{number}", f"i{number}", f"i{number // 2}"]),
        chance.choice(["large", "NULL", "", "None", "größer"]),
        chance.choice(["s1", "", "s2", " s3"]),
        chance.choice(["1000", "007", "1000", "5.0", "+5", "0", "1.000", "9" * 15] if odd else ["1000", "30000"]),
        chance.choice(["10", "", "-3"] if odd else ["10", "0"]),
        chance.choice(["0.25", "", "1e-7", "1234.000000000000000000001"]),
        chance.choice(["a", "b", "a,b", 'say "a"', "two\nlines", "\r\n", "'", "<NA>", "\ufffd"] if odd else ["a", "b"]),
        chance.choice(["", "x", "\u2028"]),
    ]


def _line(chance: random.Random, cells: list[str], sign: str, always: bool) -> str:
    text = sign.join(f'"{cell.replace(chr(34), chr(34) * 2)}"'
                     if always or any(mark in cell for mark in (sign, '"', "\n", "\r")) else cell
                     for cell in cells)  # fmt: skip
    return chance.choice([text] * 30 + [text + sign, text[:-3], "", sign * (len(cells) - 1), 'a"b' + text])


@pytest.mark.parametrize("stray", [0, 30, 98, 99])
@pytest.mark.parametrize("closed", [False, True])
def test_what_a_stray_quote_takes_is_counted(same, tmp_path, stray, closed):
    """Each line that is lost is a row that is left out, so a limit of these sees how much of a file is gone."""
    lines = [f"2026-06-01T10:00:00Z,i{number},large,1000,10" for number in range(100)]
    lines[stray] = lines[stray].replace(",i", ',"i')
    if closed:
        lines[min(stray + 20, 99)] += '"x'
    path = tmp_path / "t.csv"
    path.write_text("time,id,model,prompt_tokens,output_tokens\n" + "\n".join(lines) + "\n")
    result = same(path, READY["plain"])
    lost = min(20, 99 - stray) + 1 if closed else 100 - stray
    assert (result.rows, result.rejected) == (100 - lost, lost)
    assert {item.number for item in result.rejects} == set(range(2 + stray, 2 + stray + lost))


@pytest.mark.parametrize("seed", SEEDS)
def test_csv(same, tmp_path, seed):
    chance = random.Random(seed)
    sign, end = chance.choice([",", ",", ";", "\t"]), chance.choice(["\n", "\n", "\r\n", "\r"])
    always = chance.random() < 0.3
    lines = [chance.choice(["", "", "sep=" + sign + end]) + sign.join(HEADER)]
    lines += [_line(chance, _cells(chance, number), sign, always) for number in range(120)]
    data = (end.join(lines) + chance.choice(["", end])).encode()
    if chance.random() < 0.3:
        data = data.replace("ö".encode(), b"\xf6", 3)
    data = chance.choice([b"", b"\xef\xbb\xbf"]) + data
    path = tmp_path / chance.choice(["t.csv", "team=z", "t.csv.gz"])
    if path.name == "team=z":
        path.mkdir()
        path /= "t.csv"
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    assert same(path).rows > 5


def _object(chance: random.Random, number: int) -> str:
    odd = chance.random() < 0.1
    row = {
        "time": f"2026-06-01T10:{number // 60 % 60:02}:{number % 60:02}Z",
        "id": chance.choice([None, f"i{number}", number, f"i{number // 2}"]),
        "model": chance.choice(["large", None, "", "größer", "na\u0000", "a\\b"] if odd else ["large"]),
        "session": "s1" if number % 3 else None,
        "prompt_tokens": chance.choice([1000, 30_000] if not odd else [True, 5.0, "7", 10**19, -0, [1], {"a": 1}]),
        "output_tokens": chance.choice([10, 0]),
        "cost": chance.choice([None, 0.25, 1e-7, 3]),
        "messages": [] if odd else [1, "two"],
        "meta": chance.choice([{"team": "a", "tokens": 5}, {"team": "b"}, {}, "{\"team\": \"a\"}", None, [{"x": 1}]]),
    }  # fmt: skip
    kept = {name: value for name, value in row.items() if value is not None or chance.random() < 0.5}
    text = json.dumps(kept, ensure_ascii=chance.random() < 0.5, separators=chance.choice([None, (",", ":")]))
    return chance.choice([text] * 20 + [
        text[:-5], text + text, f"[{text}]", "", "  " + text, text[:-1] + ', "cost": 1, "cost": 2}',
        text[:-1] + ', "x": 0.10000000000000000000001, "y": "\\ud800"}', text[:-1] + ', "data": []}', "5",
        text[:-1] + ', "z": NaN, "deep": {"a": {"a": 1, "b": [1, 2.5e3, null]}}}',
    ])  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
def test_json_lines(same, tmp_path, seed):
    chance = random.Random(seed)
    end = chance.choice(["\n", "\n", "\r\n"])
    lines = ['{"time": "2026-06-01T09:00:00Z", "prompt_tokens": 5, "output_tokens": 1}']
    lines += [_object(chance, number) for number in range(120)]
    path = tmp_path / "t.jsonl"
    path.write_text(end.join(lines) + chance.choice(["", end]), newline="")
    assert same(path).rows > 5


def test_lines_of_one_shape_are_not_decoded(tmp_path):
    """Of a thousand lines with two shapes, none is left to the reader of rows."""
    path = tmp_path / "t.jsonl"
    keys = ("prompt_tokens", "output_tokens")
    rows = [
        {"time": "2026-06-01T09:00:00Z", **dict.fromkeys(keys[:: 1 - 2 * (number % 2)], 5)} for number in range(999)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    reader = RowReader(READY["plain"], TEXTS_ONLY, Settings().start, files=(str(path),))
    table = table_of(str(path), {"time": "text", "prompt_tokens": "whole", "output_tokens": "whole"})
    (batch,) = table.batches(0, FileCheck(str(path), reader))
    assert (batch.frame.height, len(batch.others)) == (999, 0)


def test_lines_that_no_pattern_suits(same, tmp_path):
    """Wide, long, and other than ASCII: they are decoded, and still are columns."""
    row = {"time": "2026-06-01T09:00:00Z", "prompt_tokens": 5, "output_tokens": 1, "model": "größer"}
    for name, more in (("wide", {f"key {i}": "x" * 20 for i in range(160)}), ("long", {"text": "é" * 5_000})):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "t.jsonl"
        path.write_text("".join(json.dumps({**row, **more}, ensure_ascii=number % 2 > 0) + "\n" for number in range(9)))
        assert same(path, READY["plain"]).rows == 9
        reader = RowReader(READY["plain"], TEXTS_ONLY, Settings().start, files=(str(path),))
        table = table_of(str(path), {"time": "text", "prompt_tokens": "whole", "model": "text"})
        batches = list(table.batches(0, FileCheck(str(path), reader)))
        assert (sum(batch.frame.height for batch in batches), [batch.others for batch in batches if batch.others]) == (
            9,
            [],
        )


def test_other_ways_of_writing_are_read_as_before(same, tmp_path):
    row = {"time": "2026-06-01T09:00:00Z", "prompt_tokens": 5, "output_tokens": 1}
    for name, data in {
        "array.json": json.dumps([row] * 3), "pretty.json": json.dumps(row, indent=1), "none.csv": "",
        "blank.csv": "\n\n", "header.csv": ",".join(row) + "\n",
    }.items():  # fmt: skip
        (tmp_path / name).write_text(data)
        same(tmp_path / name, READY["plain"])
    (tmp_path / "wide.csv").write_bytes(
        (",".join(row) + "\n" + ",".join(map(str, row.values())) + "\n").encode("utf-16")
    )
    assert same(tmp_path / "wide.csv", READY["plain"]).rows == 1
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"time,prompt_tokens,output_tokens\n" + b"x" * 9999)[:-9])
    with pytest.raises(TrafficError, match="cannot be read"):
        same(tmp_path / "cut.csv.gz", READY["plain"])


GOOD = '{"time":"2026-06-01T00:00:01Z","id":"i0","model":"large","prompt_tokens":1000,"output_tokens":10,"team":"a"}\n'


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cut.jsonl", GOOD + '{"time":"2026-06-01T00:00:02Z","id":"i1","mod'),
        ("blanks.jsonl", GOOD + "   "),
        ("bad.jsonl", GOOD.replace("1000", "-1")),
        ("end.csv", "time,model,prompt_tokens,output_tokens,team\n2026-06-01T00:00:01Z,large,1000,10,a\nx,large,1,1,a"),
    ],
)
def test_a_block_without_any_row_is_no_end(same, tmp_path: Path, name: str, text: str):
    """Also where a budget counts, and every row of a block was left out."""
    path = tmp_path / name
    path.write_text(text)
    assert same(path).rows == (0 if name == "bad.jsonl" else 1)
