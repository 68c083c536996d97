"""Transcripts of coding agents: each message once, in its last state, and nothing else."""

from __future__ import annotations

import json

import pytest

from costlens_policy.replay import READY, Settings, read_traffic, replay_files

MAPPING = READY["anthropic"]


def line(message, output, session="s", **more):
    usage = {"input_tokens": 3, "cache_read_input_tokens": 100, "output_tokens": output}
    fields = {"id": message, "type": "message", "role": "assistant", "model": "large", "usage": usage}
    return {
        "type": "assistant",
        "uuid": f"{message}-{output}",
        "sessionId": session,
        "timestamp": f"2026-09-01T12:00:{output % 60:02}Z",
        "message": fields,
        **more,
    }


def others(session="s"):
    """Return lines that are no answers of a model."""
    user = {
        "type": "user",
        "sessionId": session,
        "message": {"role": "user", "content": "go"},
        "toolUseResult": {"totalTokens": 9},
    }
    error = line("e", 0, session)
    error["message"] = {**error["message"], "model": "<synthetic>", "usage": {"input_tokens": 0, "output_tokens": 0}}
    total = {
        "type": "result",
        "session_id": session,
        "usage": {"input_tokens": 99, "output_tokens": 99},
        "total_cost_usd": 1,
    }
    return [{"type": "summary", "summary": "x", "leafUuid": "y"}, user, error, total, {"type": "system", "uuid": "z"}]


@pytest.fixture
def read(plan_of, tmp_path):
    def do(*files):
        names = []
        for place, rows in enumerate(files):
            names.append(str(tmp_path / f"{place}.jsonl"))
            (tmp_path / f"{place}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        plan = plan_of()
        traffic = read_traffic(names, MAPPING, plan, Settings().start)
        assert replay_files(plan, names, MAPPING, Settings()).rows == len(traffic.rows)
        assert not traffic.rejects
        return sorted((row.id or "", row.output_tokens) for row in traffic.rows), traffic.notes

    return do


def test_each_message_once_in_its_last_state(read):
    lines = [line("a", 2), *others(), line("b", 1), line("a", 2), line("a", 41), line("b", 7)]
    rows, notes = read(lines)
    assert rows == [("a", 41), ("b", 7)]
    assert "3 lines repeat a message in an earlier state, and were not counted again" in notes
    assert "1 lines summarize the messages of their session, and were not counted again" in notes


def test_a_session_that_was_continued_in_another_file(read):
    assert read([line("a", 2), line("a", 9)], [line("a", 2), line("a", 9), line("b", 5)])[0] == [("a", 9), ("b", 5)]


def test_a_sum_counts_where_its_messages_are_not_there(read):
    assert len(read([line("a", 2)], others("t"))[0]) == 2


def test_usage_on_a_line_of_another_kind_is_not_passed_over(plan_of, tmp_path):
    usage = {"input_tokens": 9, "output_tokens": 3}
    rows = [
        {"type": "message_start", "message": {"id": "m", "role": "assistant", "model": "large", "usage": usage}},
        {"type": "of-tomorrow", "uuid": "u", "model": "large", "usage": usage},
        {"type": "assistant", "uuid": "v", "message": {"id": "n", "role": "assistant", "model": "large"}},
    ]
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    traffic = read_traffic([str(path)], MAPPING, plan_of(), Settings().start)
    assert (len(traffic.rows), len(traffic.rejects)) == (2, 1)


def test_stored_messages_and_batches_are_as_before(read):
    usage = {"input_tokens": 9, "output_tokens": 3}
    message = {"id": "m", "type": "message", "model": "large", "usage": usage}
    batch = {"custom_id": "c", "result": {"type": "succeeded", "message": {**message, "id": "n"}}}
    assert read([message, batch])[0] == [("c", 3), ("m", 3)]


def progress(message, output):
    """Return a line that tells of a sub-agent's answer while its tool is under way."""
    inner = line(message, output)
    return {
        "type": "progress",
        "sessionId": "s",
        "uuid": f"p{message}-{output}",
        "timestamp": inner["timestamp"],
        "data": {"type": "agent_progress", "message": {name: inner[name] for name in ("type", "message", "timestamp")}},
    }


def test_messages_of_sub_agents_inside_of_lines_about_their_progress_count_once(read):
    assert read([line("a", 1), progress("b", 2), progress("b", 5)])[0] == [("a", 1), ("b", 5)]
    assert read([line("a", 1), progress("b", 5)], [line("b", 5)])[0] == [("a", 1), ("b", 5)]


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ([], True),
        ([line("b", 5, agentId="y")], True),
        ([line("b", 5, agentId="x")], False),
        ([line("b", 5, isSidechain=True)], False),
        ([line("b", 5, session="t", isSidechain=True)], True),
        ([progress("b", 5)], False),
    ],
)
def test_sub_agents_whose_messages_are_not_there_are_told(read, others, told):
    result = {"agentId": "x", "totalTokens": 9, "usage": {"input_tokens": 4, "output_tokens": 5}}
    user = {"type": "user", "sessionId": "s", "message": {"role": "user", "content": "go"}, "toolUseResult": result}
    assert any("sub-agents" in note for note in read([line("a", 1), user], others)[1]) == told
