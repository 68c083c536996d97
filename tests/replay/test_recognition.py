"""Columns that were asked for are there, and those that may be money are told; ready mappings are recognized."""

from __future__ import annotations

import json

import pytest

from costlens_policy.replay import READY, Settings, TrafficError, open_traffic, read_traffic, replay, replay_files
from costlens_policy.replay.difference import diff
from costlens_policy.replay.traffic.ready import PLAIN
from costlens_policy.replay.traffic.recognition import recognized
from tests.replay.conftest import SET, call

CSV = "time,prompt_tokens,output_tokens,team\n2026-06-01T10:00:00Z,10,1,a\n"
MAPPING = READY["plain"].with_columns({"request.team": "team"}, {})
LINES = "".join(json.dumps(row) + "\n" for row in (call(), call(team=None), call(team="a")))
NESTED = json.dumps([call(labels={"team": "a", "kind": "chat"})])


@pytest.fixture
def write(tmp_path):
    """Return a function that writes files and returns their names."""

    def do(**files):
        for name, text in files.items():
            (tmp_path / name.replace("_", ".")).write_text(text)
        return [str(tmp_path / name.replace("_", ".")) for name in files]

    return do


@pytest.mark.parametrize("read", [replay_files, lambda plan, files, m, s: read_traffic(files, m, plan, s.start)])
@pytest.mark.parametrize(
    ("files", "column", "hint"),
    [
        ({"a_csv": CSV}, "taem", "team"),
        ({"a_jsonl": LINES}, "taem", "team"),
        ({"a_json": NESTED}, "labels.taem", "labels.team"),
        ({"a_csv": CSV, "b_csv": CSV.replace("team", "squad")}, "team", ""),
        ({"a_jsonl": LINES, "b_jsonl": json.dumps(call()) + "\n"}, "team", ""),
        ({"a_csv": CSV, "b_jsonl": json.dumps(call(time="2026-06-01T10:00:00Z")) + "\n"}, "team", ""),
    ],
)
def test_a_named_column_has_to_be_in_every_file(plan_of, write, read, files, column, hint):
    mapping = READY["plain"].with_columns({"request.team": column}, {})
    with pytest.raises(TrafficError, match=f"no column `{column}` for `request.team`") as caught:
        read(plan_of(), write(**files), mapping, Settings())
    assert not hint or f"did you mean `{hint}`?" in str(caught.value)


def test_a_column_may_be_empty_and_come_late(plan_of, write):
    traffic = read_traffic(write(a_jsonl=LINES), MAPPING, plan_of(), Settings().start)
    assert [row.attributes.get("team") for row in traffic.rows] == [None, None, "a"]


def test_a_constant_does_not_hide_a_column_that_is_not_there(plan_of, write):
    mapping = READY["plain"].with_columns({"request.team": "taem"}, {"request.team": "x"})
    with pytest.raises(TrafficError, match="no column `taem`"):
        read_traffic(write(a_csv=CSV), mapping, plan_of(), Settings().start)


def test_fields_without_effect_are_refused():
    with pytest.raises(TrafficError, match="`usage` already contains"):
        READY["openai"].with_columns({"cached_tokens": "x"}, {})
    with pytest.raises(TrafficError, match="`block_tokens`"):
        READY["plain"].with_columns({"prefix": "x"}, {})


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_unread_columns_that_look_like_money_are_named(plan_of, write, tmp_path, kind):
    row = call(
        cache_creation_input_tokens=50,
        thinkingTokens=7,
        spend=0.2,
        cache_hit=1,
        max_tokens=100,
        tokens_per_second=3,
        api_key_id=5,
        cache_key="x",
        prompt_price="a",
        amount=1,
    )
    if kind == "jsonl":
        files = write(a_jsonl=json.dumps(row) + "\n")
    else:
        pl = pytest.importorskip("polars", reason="this needs the extra `replay`")
        files = [str(tmp_path / f"a.{kind}")]
        getattr(pl.DataFrame([row]), f"write_{kind}")(files[0])
    for notes in (
        replay_files(plan_of(), files, READY["plain"], Settings()).notes,
        read_traffic(files, READY["plain"], plan_of(), Settings().start).notes,
    ):
        (note,) = [note for note in notes if "look like tokens or money" in note]
        for name in ("cache_creation_input_tokens", "thinkingTokens", "spend", "amount"):
            assert f"`{name}`" in note
        for name in ("cache_hit", "max_tokens", "tokens_per_second", "api_key_id", "cache_key", "prompt_price"):
            assert f"`{name}`" not in note


@pytest.mark.parametrize("name", ["SERVICE_TIER", "serviceTier", "Service Tier"])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_column_that_is_a_field_but_for_its_spelling_is_named(plan_of, write, kind, name):
    csv = f"time,prompt_tokens,output_tokens,{name}\n2026-06-01T10:00:00Z,10,1,flex\n"
    row = json.dumps({"time": "2026-06-01T10:00:00Z", "prompt_tokens": 10, "output_tokens": 1, name: "flex"})
    files = write(**{f"a_{kind}": csv if kind == "csv" else f"{row}\n"})
    for notes in (
        replay_files(plan_of(), files, READY["plain"], Settings()).notes,
        read_traffic(files, READY["plain"], plan_of(), Settings().start).notes,
    ):
        assert f"`{name}` is not read; did you mean `service_tier`?" in notes


CUSTOMERS = """
routes: [{id: vip, when: "request.?customer.orValue('') == 'vip'", model: small}]
"""
DECLARED = SET + "attributes: {customer: {type: string}}\n"
CALL = {"time": "2026-06-01T10:00:00Z", "prompt_tokens": 10, "output_tokens": 1}


def _file(folder, kind, rows):
    path = folder / f"a.{kind}"
    if kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pl = pytest.importorskip("polars", reason="this needs the extra `replay`")
        getattr(pl.DataFrame(rows), f"write_{kind}")(path)
    return [str(path)]


@pytest.fixture
def customers(plan_of):
    return plan_of(CUSTOMERS, policy_set=DECLARED)


def _replays(plan, files, mapping):
    by_row = replay(plan, read_traffic(files, mapping, plan, Settings().start), Settings())
    return replay_files(plan, files, mapping, Settings()), by_row


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_columns_of_attributes_are_read(customers, tmp_path, kind):
    files = _file(tmp_path, kind, [CALL | {"request.customer": "vip"}, CALL | {"request.customer": "x"}])
    for result in _replays(customers, files, READY["plain"]):
        assert {name: totals.requests for name, totals in result.models.items()} == {"small": 1, "large": 1}
        assert not any("customer" in note for note in result.notes)


def test_attributes_in_an_object_are_read(customers, tmp_path):
    log = {"now": CALL["time"], "kind": "charge", "tokens": {"prompt": 10, "output": 1}, "model": "large"}
    request = {"request": {"customer": "vip", "model": "other"}}
    for mapping, row in (("plain", CALL), ("decision-log", log)):
        files = _file(tmp_path, "jsonl", [row | request])
        for result in _replays(customers, files, READY[mapping]):
            assert {name: totals.requests for name, totals in result.models.items()} == {"small": 1}


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("column", ["customer", "team"])
def test_unread_columns_that_name_an_attribute_are_noted(customers, tmp_path, kind, column):
    files = _file(tmp_path, kind, [CALL | {column: "vip", "other": "x"}])
    wanted = f"`{column}` is not read; if it is the attribute `request.{column}`, set"
    for result in _replays(customers, files, READY["plain"]):
        (note,) = [note for note in result.notes if "is not read" in note]
        assert note.startswith(wanted)
    mapping = READY["plain"].with_columns({f"request.{column}": column}, {})
    for result in _replays(customers, files, mapping):
        assert not any("is not read" in note for note in result.notes)


def test_an_attribute_that_comes_late_is_noted(customers, tmp_path):
    files = _file(tmp_path, "jsonl", [*[CALL] * 60, CALL | {"request.customer": "vip"}])
    for result in _replays(customers, files, READY["plain"]):
        assert any(note.startswith("`request.customer` is not read") for note in result.notes)


@pytest.mark.parametrize("masked", ["[3 characters]", "[0123456789abcdef]"])
def test_masked_attributes_of_a_log_are_not_read_but_noted(customers, tmp_path, masked):
    log = {"now": CALL["time"], "kind": "charge", "tokens": {"prompt": 10, "output": 1}, "model": "large"}
    files = _file(tmp_path, "jsonl", [log | {"request": {"customer": masked}}])
    for result in _replays(customers, files, READY["decision-log"]):
        assert any(note.startswith("`request.customer` is not read") for note in result.notes)


def test_a_difference_reads_columns_of_attributes(customers, plan_of, tmp_path):
    files = _file(tmp_path, "jsonl", [CALL | {"request.customer": "vip"}])
    before = plan_of(name="before", policy_set=DECLARED)
    with open_traffic(customers, files, READY["plain"], Settings()) as traffic:
        assert diff(before, customers, traffic, Settings()).changed == 1


def test_what_litellm_says_again_is_not_named(plan_of, write):
    more = {"usage_object": {"prompt_tokens": 9}, "cost_breakdown": {"input_cost": 0.1}, "user_api_key_spend": 5.0}
    files = write(a_json=json.dumps({**KNOWN["litellm"], "metadata": more}))
    notes = read_traffic(files, READY["litellm"], plan_of(), Settings().start).notes
    assert not any("look like tokens" in note for note in notes)


USAGE = {"input_tokens": 9, "output_tokens": 3}
KNOWN = {
    "plain": call(),
    "litellm": {
        "request_id": "1",
        "startTime": "2026-06-01T10:00:00Z",
        "model": "large",
        "prompt_tokens": 9,
        "completion_tokens": 3,
        "spend": 0.001,
    },
    "azure-llm": {"TIMESTAMP": "2023-11-16 18:17:03.9799600", "ContextTokens": 4808, "GeneratedTokens": 10},
    "openai": {
        "id": "1",
        "object": "response",
        "created_at": 1780308000,
        "model": "large",
        "usage": {**USAGE, "total_tokens": 12},
    },
    "anthropic": {
        "type": "assistant",
        "uuid": "u",
        "timestamp": "2026-06-01T10:00:00Z",
        "sessionId": "s",
        "message": {"id": "m", "role": "assistant", "model": "large", "usage": USAGE},
    },
    "otel": {"span_id": "1", "start_time_unix_nano": 1, "attributes": {"gen_ai.request.model": "large"}},
    "anthropic-console": {
        "usage_date_utc": "2026-06-01 10:00",
        "model_version": "large",
        "usage_output_tokens": 5,
        "usage_input_tokens_no_cache": 5,
    },
    "anthropic-usage": {
        "data": [
            {
                "starting_at": "2026-06-01T10:00:00Z",
                "results": [
                    {"model": "large", "uncached_input_tokens": 5, "cache_read_input_tokens": 5, "output_tokens": 5}
                ],
            }
        ]
    },
    "openai-usage": {
        "data": [
            {
                "start_time": 1780308000,
                "results": [
                    {
                        "model": "large",
                        "input_tokens": 5,
                        "input_cached_tokens": 5,
                        "output_tokens": 5,
                        "num_model_requests": 2,
                    }
                ],
            }
        ]
    },
    "mooncake": {"timestamp": 1, "input_length": 5, "output_length": 5, "hash_ids": [1]},
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_file_is_recognized_by_its_columns(write, name):
    for text in (json.dumps(KNOWN[name]) + "\n", json.dumps([{"other": 1}, KNOWN[name]], indent=2)):
        assert recognized(write(a_json=text), {}, {}).name == name


def test_what_fits_none_or_was_named_is_plain(write):
    files = write(a_json=json.dumps({"at": 1, "in": 2}))
    assert recognized(files, {}, {}) is PLAIN
    assert recognized(["-"], {}, {}) is PLAIN
    named = {"time": "startTime", "output_tokens": "completion_tokens"}
    assert recognized(write(b_json=json.dumps(KNOWN["litellm"])), named, {}) is PLAIN
    assert recognized(write(b_json=json.dumps(KNOWN["litellm"])), {"request.task": "kind"}, {}).name == "litellm"


def test_that_a_mapping_was_recognized_is_told(plan_of, write):
    files = write(a_json=json.dumps(KNOWN["litellm"]))
    mapping = recognized(files, {}, {})
    for notes in (
        replay_files(plan_of(), files, mapping, Settings()).notes,
        read_traffic(files, mapping, plan_of(), Settings().start).notes,
    ):
        assert notes[0].startswith("read by `--mapping litellm`")
