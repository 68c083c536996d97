"""Bad input: named, counted, never a silent zero."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess

import pytest

from costlens_policy.catalogue import Usage
from costlens_policy.replay import READY, Settings, TrafficError, find_files, read_traffic
from costlens_policy.replay.traffic.mapping_file import mapping_of
from tests.replay.conftest import call

START = Settings().start
ROW = b"2026-06-01T10:00:00Z,,,,10,1\n"
HEADER = "time,id,model,session,prompt_tokens,output_tokens\n"


@pytest.fixture
def read(plan_of, tmp_path):
    """Return a function that reads a text as a file of a name."""
    plan = plan_of()

    def do(text: str | bytes, name: str = "t.csv", mapping=READY["plain"]):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_traffic([str(path)], mapping, plan, START)

    return do


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("2026-06-01T10:00:00Z,,,,-5,1", "prompt_tokens: a number of tokens must be non-negative, got `-5`"),
        ("2026-06-01T10:00:00Z,,,,0,1", "0 prompt tokens"),
        ("2026-06-01T10:00:00Z,,,,many,1", "prompt_tokens: `many` is not a number"),
        ("2026-06-01T10:00:00Z,,,,1.5,1", "prompt_tokens: a number of tokens must be an integer, got `1.5`"),
        ("2026-06-01T10:00:00Z,,,,nan,1", "prompt_tokens: `nan` is out of range"),
        ("2026-06-01T10:00:00Z,,,,10,", "no output tokens"),
        *(
            (
                f"2026-06-01T10:00:00Z,,,,{text},1",
                f"prompt_tokens: `{text}` is ambiguous, since the dot may separate thousands; write it without the dot",
            )
            for text in ("1.000", "12.000", "+999.000")
        ),
        *(
            (f"{time},,,,10,1", f"`{time}` cannot be the time of a call; it would be in the year {year}")
            for time, year in (
                ("0001-01-01T00:00:00Z", 1),
                ("1969-12-31T23:59:59Z", 1969),
                ("2200-01-01T00:00:00Z", 2200),
                ("9999-12-31T23:59:59Z", 9999),
            )
        ),
        ("yesterday,,,,10,1", "`yesterday` is not a timestamp such as 2026-11-02T09:00:00Z"),
        (",,,,10,1", "no time"),
        ("2026-06-01T10:00:00Z,,,,10", "5 columns where the header has 6"),
    ],
)
def test_a_row_that_cannot_be_read_is_left_out_with_its_reason(read, row, problem):
    traffic = read(f"{HEADER}{row}\n2026-06-01T10:00:01Z,,,,10,1\n")
    assert [(reject.number, reject.problem) for reject in traffic.rejects] == [(2, problem)]
    assert len(traffic.rows) == 1


def test_numbers_that_can_mean_one_thing_only_are_read(read):
    texts = ("1000.0", "1000.00", "1000.000", "1e3", "1.0E+03", " 1000 ", "+1000")
    traffic = read(HEADER + "".join(f"2026-06-01T10:00:00Z,,,,{text},1\n" for text in texts))
    assert [row.prompt_tokens for row in traffic.rows] == [1000] * len(texts)
    (row,) = read(json.dumps({"time": "2026-06-01T10:00:00Z", "prompt_tokens": 1, "output_tokens": 7}), "a.json").rows
    assert (row.prompt_tokens, row.output_tokens) == (1, 7)
    assert read('{"time":"2026-06-01T10:00:00Z","prompt_tokens":7.000,"output_tokens":1}\n', "a.jsonl").rows


@pytest.mark.parametrize("empty", ["NULL", "null", "\\N", "None", "<NA>", ""])
def test_what_databases_write_for_nothing_is_nothing(read, empty):
    header = HEADER.replace("session", "session,cached_tokens,cost,service_tier")
    row = f"2026-06-01T10:00:00Z,{empty},{empty},{empty},{empty},{empty},{empty},10,1\n"
    traffic = read(header + row * 2)
    (row, _) = traffic.rows
    assert (row.id, row.model, row.session, row.recorded, row.logged_cost, row.service_tier) == (None,) * 6
    assert not traffic.rejects


@pytest.mark.parametrize(
    "time",
    ["2026-06-01 10:00:00 UTC", "2026-06-01 10:00:00.000000 UTC", "2026-06-01T10:00:00GMT",
     "2026-06-01 12:00:00.000 +0200", "2026-06-01 12:00:00 +02", "2026-06-01 05:30:00 -04:30"],
)  # fmt: skip
def test_times_as_warehouses_write_them(read, time):
    traffic = read(f"{HEADER}{time},,,,10,1\n")
    assert [row.time.isoformat() for row in traffic.rows] == ["2026-06-01T10:00:00+00:00"]
    assert not traffic.notes


def test_times_that_another_unit_would_explain_are_noted(read):
    mapping = mapping_of({"based_on": "plain", "time_unit": "ms"}, "m")
    text = json.dumps({"time": 1780300800, "prompt_tokens": 1, "output_tokens": 7}) + "\n"
    assert "1 timestamps are before 2015; is `time_unit` right?" in read(text, "a.jsonl", mapping).notes


def test_halves_of_characters_are_read_as_a_mark(read):
    row = {"time": "2026-06-01T10:00:00Z", "prompt_tokens": 1, "output_tokens": 7, "id": "a\ud83d", "session": "\ude00"}
    traffic = read(json.dumps(row) + "\n" + json.dumps({**row, "id": "\U0001f600"}) + "\n", "a.jsonl")
    assert [(row.id, row.session) for row in traffic.rows] == [("a\ufffd", "\ufffd"), ("\U0001f600", "\ufffd")]
    assert any("2 rows of" in note and "halves" in note for note in traffic.notes)
    assert len(read(json.dumps([row]), "a.json").rows) == 1


COUNTS = {
    "prompt_tokens": 100,
    "completion_tokens": 9,
    "total_tokens": 109,
    "prompt_tokens_details": {"cached_tokens": 40},
}


def test_what_a_usage_by_model_tells_of_the_row_s_model_is_the_row_s(read):
    by_model = {"m": {"inputTokens": 10, "outputTokens": 5}, "other": {"inputTokens": 4, "outputTokens": 2}}
    whole = {"usage": {"input_tokens": 10, "output_tokens": 5}, "modelUsage": by_model}
    for usage in (whole, by_model):
        row = {"time": "2026-06-01T10:00:00Z", "model": "m", "usage": usage}
        (read_row,) = read(json.dumps(row) + "\n", "a.jsonl").rows
        assert read_row.recorded == Usage(input=10, output=5)
        assert read_row.other_models == (("other", Usage(input=4, output=2)),)


@pytest.mark.parametrize("usage", [COUNTS, json.dumps(COUNTS)])
def test_a_usage_object_goes_before_counts_and_is_read_where_nobody_named_it(read, usage):
    row = {"time": "2026-06-01T10:00:00Z", "usage": usage}
    for more in ({}, {"prompt_tokens": 5, "output_tokens": 1}):
        (read_row,) = read(json.dumps({**row, **more}) + "\n", "a.jsonl").rows
        assert read_row.recorded == Usage(input=60, cache_read=40, output=9)
    for other in ("api", 5, {}, None):
        (read_row,) = read(json.dumps({**row, **more, "usage": other}) + "\n", "a.jsonl").rows
        assert (read_row.prompt_tokens, read_row.output_tokens) == (5, 1)
    columns = {"cached_tokens": "c"}
    (read_row,) = read(
        json.dumps({**row, **more, "c": 2}) + "\n", "a.jsonl", READY["plain"].with_columns(columns, {})
    ).rows
    assert read_row.recorded == Usage(input=3, cache_read=2, output=1), "counts that somebody named go before it"
    with pytest.raises(TrafficError, match="`usage` already contains"):
        READY["plain"].with_columns({**columns, "usage": "u"}, {})


def test_litellm_keeps_the_whole_usage(read):
    usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "total_tokens": 1100,
        "cache_read_input_tokens": 600,
        "cache_creation_input_tokens": 100,
        "prompt_tokens_details": {"cached_tokens": 600},
    }
    row = {
        "request_id": "1",
        "startTime": "2026-06-01T10:00:00Z",
        "spend": 0.1,
        "model": "m",
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "total_tokens": 1100,
    }
    for metadata in ({"usage_object": usage}, json.dumps({"usage_object": usage})):
        (got,) = read(json.dumps([{**row, "metadata": metadata}]), "a.json", READY["litellm"]).rows
        assert got.recorded == Usage(input=300, cache_read=600, cache_write=100, output=100)
    for metadata in ({}, None, {"usage_object": None}, {"usage_object": {}}):
        (got,) = read(json.dumps([{**row, "metadata": metadata}]), "a.json", READY["litellm"]).rows
        assert (got.prompt_tokens, got.output_tokens) == (1000, 100)


def test_a_missing_column_is_named_with_the_closest(read):
    with pytest.raises(
        TrafficError, match=r"no column `prompt_tokens` for `prompt_tokens`; did you mean `promt_tokens`\?"
    ):
        read(HEADER.replace("prompt", "promt") + "2026-06-01T10:00:00Z,,,,10,1\n")


def test_duplicate_ids_are_left_out(read):
    traffic = read(HEADER + "2026-06-01T10:00:00Z,a,,,10,1\n" * 2)
    assert "duplicate id `a`" in traffic.rejects[0].problem


def test_unsorted_and_zoneless_times_are_put_right_and_said(read):
    traffic = read(HEADER + "2026-06-01T10:00:05,,,,10,1\n2026-06-01 10:00:00.1234567,,,,20,1\n")
    assert [row.prompt_tokens for row in traffic.rows] == [20, 10]
    assert "rows were not in time order (1 steps back) and were sorted" in traffic.notes
    assert "2 timestamps have no zone and were read as UTC" in traffic.notes


def test_files_that_end_in_the_middle_or_hold_nothing(read):
    cut = read(json.dumps(call()) + "\n" + json.dumps(call())[:40], "t.jsonl")
    assert len(cut.rows) == 1
    assert "the file ends in the middle of the line" in cut.rejects[0].problem
    for text in ("", HEADER):
        assert "contains no rows" in read(text).notes[-1]
    assert "does not end with a newline" in read(HEADER + "2026-06-01T10:00:00Z,,,,10,1").notes[0]


def test_damaged_archives_are_errors_that_name_the_file(read):
    with pytest.raises(TrafficError, match=r"t\.csv\.gz` cannot be read"):
        read(gzip.compress(HEADER.encode() * 100)[:-9], "t.csv.gz")
    with pytest.raises(TrafficError, match="cannot be read as Parquet"):
        read(b"PAR1 no", "t.parquet")


def test_every_kind_of_file_gives_the_same_rows(read, tmp_path):
    polars = pytest.importorskip("polars", reason="Parquet needs the extra `replay`")
    rows = [call(f"10:00:0{second}", id=f"i{second}", model="large", session="s") for second in range(3)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    frame = polars.DataFrame(rows)
    frame.write_parquet(tmp_path / "a.parquet")
    read_all = [read(lines, "t.jsonl"), read(gzip.compress(lines.encode()), "t.jsonl.gz")]
    read_all += [read(frame.write_csv()), read((tmp_path / "a.parquet").read_bytes(), "t.parquet")]
    facts = [[(r.time, r.id, r.model, r.session, r.prompt_tokens, r.output_tokens) for r in t.rows] for t in read_all]
    assert facts[0] == facts[1] == facts[2] == facts[3]
    assert len(facts[0]) == 3


def test_folders_globs_and_names_that_mean_nothing(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.csv", "in/b.jsonl.gz", "notes.txt"):
        (tmp_path / name).write_text("")
    assert [name.rsplit("/", 1)[1] for name in find_files([str(tmp_path)])] == ["a.csv", "b.jsonl.gz"]
    assert len(find_files([f"{tmp_path}/*.csv", f"{tmp_path}/a.csv"])) == 1
    with pytest.raises(TrafficError, match="no traffic in"):
        find_files([f"{tmp_path}/*.parquet"])


def test_spans_of_opentelemetry(read):
    span = {
        "spanId": "1", "startTimeUnixNano": "1780308000000000000",
        "attributes": [
            {"key": "gen_ai.request.model", "value": {"stringValue": "large"}},
            {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "500"}},
            {"key": "gen_ai.usage.output_tokens", "value": {"intValue": "7"}},
        ],
    }  # fmt: skip
    exported = {"resourceSpans": [{"scopeSpans": [{"spans": [span, {"spanId": "2", "attributes": []}]}]}]}
    traffic = read(json.dumps(exported) + "\n", "t.jsonl", READY["otel"])
    assert [(row.model, row.prompt_tokens, row.output_tokens) for row in traffic.rows] == [("large", 500, 7)]
    assert traffic.rows[0].time.isoformat() == "2026-06-01T10:00:00+00:00"


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("litellm", {"request_id": "1", "startTime": "2026-06-01T10:00:00Z", "model": "large", "prompt_tokens": 9,
                     "completion_tokens": 3, "spend": 0.001, "team_id": "t"}),
        ("openai", {"id": "1", "created": 1780308000, "model": "large",
                    "usage": {"prompt_tokens": 9, "completion_tokens": 3}}),
        ("anthropic", {"id": "1", "created_at": "2026-06-01T10:00:00Z", "model": "large",
                       "usage": {"input_tokens": 9, "output_tokens": 3}}),
    ],
)  # fmt: skip
def test_exports(read, name, row):
    traffic = read(json.dumps(row) + "\n", "t.jsonl", READY[name])
    (only,) = traffic.rows
    assert (only.model, only.prompt_tokens, only.output_tokens) == ("large", 9, 3)
    assert only.time.isoformat() == "2026-06-01T10:00:00+00:00"


def test_objects_that_stand_as_texts_in_columns(read):
    usage = {"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}}
    row = {"id": "1", "created": 1780308000, "model": "large", "usage": json.dumps(usage)}
    (only,) = read(json.dumps(row) + "\n", "t.jsonl", READY["openai"]).rows
    assert only.recorded.cache_read == 4
    more = {"additional_usage_values": {"cache_read_input_tokens": 5, "cache_creation_input_tokens": 1}}
    row = {"startTime": "2026-06-01T10:00:00Z", "prompt_tokens": 9, "completion_tokens": 3}
    for metadata in (more, json.dumps(more)):
        (only,) = read(json.dumps({**row, "metadata": metadata}) + "\n", "t.jsonl", READY["litellm"]).rows
        assert (only.recorded.input, only.recorded.cache_read, only.recorded.cache_write) == (3, 5, 1)


def test_a_mapping_of_ones_own(read):
    content = {"columns": {"time": "at", "prompt_tokens": "in", "output_tokens": "out"}, "time_unit": "ms"}
    traffic = read("at,in,out\n1780308000000,5,1\n", mapping=mapping_of(content, "m.yaml"))
    assert traffic.rows[0].prompt_tokens == 5
    with pytest.raises(TrafficError, match="did you mean `columns`"):
        mapping_of({"colums": {}}, "m.yaml")
    with pytest.raises(TrafficError, match="did you mean `time`"):
        READY["plain"].with_columns({"tme": "x"}, {})
    with pytest.raises(TrafficError, match=r"no attribute `teem`; did you mean `team`"):
        read(HEADER + "2026-06-01T10:00:00Z,,,,10,1\n", mapping=READY["plain"].with_columns({"request.teem": "id"}, {}))


@pytest.mark.skipif(shutil.which("zstd") is None, reason="the program zstd is not there")
def test_zstd(read):
    """The three rows, compressed by the reference program."""
    pytest.importorskip("polars", reason="zstd needs the extra `replay`")
    packed = subprocess.run(["zstd", "-q", "-c"], input=HEADER.encode() + ROW * 3, capture_output=True, check=True)
    assert [row.number for row in read(packed.stdout, "t.csv.zst").rows] == [2, 3, 4]
