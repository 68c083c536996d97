"""Mapping files: what they say is what is read, and what is wrong with one is said with its key."""

from __future__ import annotations

import subprocess
import sys

import pytest

from costlens_policy.replay import READY, TrafficError
from costlens_policy.replay.traffic.mapping_file import mapping_of


def test_a_file_changes_what_it_is_based_on():
    content = {"based_on": "otel", "columns": {"request.team": "resource.team"}, "time_unit": "us", "relative": True}
    found = mapping_of(content, "m.yaml")
    ready = READY["otel"]
    assert found.name == "m.yaml"
    assert found.columns == {**ready.columns, "request.team": "resource.team"}
    assert (found.time_unit, found.relative, found.block_tokens) == ("us", True, 0)
    assert found.extras == ready.extras
    assert found.named == ("request.team",)


def test_names_may_be_numbers():
    assert mapping_of({"columns": {"model": 7}, "outcomes": {4: "right"}}, "m").columns["model"] == "7"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ([], "`m.yaml` is not a mapping; write `columns:` with a field and its column on each line"),
        ({"colums": {}}, "`m.yaml` has an unknown key `colums`; did you mean `columns`?"),
        ({"time_unit": "h", "xyz": 1}, "`m.yaml` has an unknown key `xyz`"),
        ({"based_on": "otell"}, "unknown ready mapping `otell`; did you mean `otel`?"),
        ({"based_on": ["otel"]}, "`based_on` of `m.yaml` must be the name of a ready mapping, got `['otel']`"),
        ({"columns": ["time"]}, "`columns` of `m.yaml` must be a mapping of names, got `['time']`"),
        ({"columns": {"time": ["a", "b"]}}, "`columns.time` of `m.yaml` must be a name, got `['a', 'b']`"),
        ({"columns": {"time": None}}, "`columns.time` of `m.yaml` must be a name, got `None`"),
        ({"answers": 1}, "`answers` of `m.yaml` must be a mapping of names, got `1`"),
        ({"time_unit": "h"}, "`time_unit` of `m.yaml` must be one of iso, s, ms, us, ns, got `h`"),
        ({"relative": "yes"}, "`relative` of `m.yaml` must be true or false, got `yes`"),
        ({"block_tokens": 0}, "`block_tokens` of `m.yaml` must be a positive integer, got `0`"),
        ({"block_tokens": True}, "`block_tokens` of `m.yaml` must be a positive integer, got `True`"),
        ({"columns": {"prefix": "b"}},
         "`prefix` needs a block size; set `block_tokens` in a mapping file"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_key(content, problem):
    with pytest.raises(TrafficError) as error:
        mapping_of(content, "m.yaml")
    assert str(error.value) == problem


def test_ready_mappings_need_nothing_heavy():
    code = (
        "import sys; from costlens_policy.replay import READY;"
        "heavy = {'pydantic', 'yaml', 'celpy', 'polars', 'genai_prices'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
