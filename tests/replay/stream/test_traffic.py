"""Rows that are walked from a copy on disk are those that are read into memory."""

from __future__ import annotations

import json

import pytest

from costlens_policy.replay import READY, Settings, Traffic, open_traffic, read_traffic
from costlens_policy.replay.difference import diff
from tests.replay.conftest import call
from tests.replay.stream.conftest import MAPPING, POLICY, some_rows


@pytest.mark.parametrize("unsorted", [False, True])
@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_two_policies_differ_in_the_same(plan_of, written, kind, unsorted):
    old, new = plan_of(POLICY), plan_of(POLICY.replace("hard_limit_usd: 5", "hard_limit_usd: 2"), "new")
    files = [written(some_rows(600, bad=True, unsorted=unsorted), f"t.{kind}")]
    read = read_traffic(files, MAPPING, new, Settings().start)
    with open_traffic(new, files, MAPPING, Settings()) as traffic:
        assert not isinstance(traffic, Traffic)
        assert len(traffic.rows) == len(read.rows)
        assert traffic.notes == read.notes
        assert {item.problem for item in traffic.rejects} == {item.problem for item in read.rejects}
        got = diff(old, new, traffic, Settings()).to_dict()
    assert got == diff(old, new, read, Settings()).to_dict()
    assert got["newly_denied"]


def test_texts_are_read_into_memory(plan_of, tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps(call(text="Hello")) + "\n")
    mapping = READY["plain"].with_columns({"request.prompt": "text"}, {})
    with open_traffic(plan_of(POLICY), [str(path)], mapping, Settings()) as traffic:
        assert isinstance(traffic, Traffic)
        assert traffic.rows[0].attributes == {"prompt": "Hello"}
