"""Attributes of every type are admitted by a loaded plan as by the one that was compiled, defaults included."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from costlens_policy import load
from tests.saving.plans import answer, reloaded, write_set

NOW: Final = datetime(2026, 5, 1, 9, tzinfo=UTC)
_DECLARED: Final = """\
attributes:
  a_text: {type: string, default: "é😀", values: ["é😀", other]}
  a_short: {type: string, max_size: 3}
  a_int: {type: int, default: -9223372036854775808}
  a_uint: {type: uint, default: 18446744073709551615}
  a_double: {type: double, default: 0.1}
  a_bool: {type: bool, default: false}
  a_time: {type: timestamp, default: 2026-05-01T09:00:00.123456+02:00}
  a_span: {type: duration}
  a_list: {type: "list(map(string, uint))", default: [{x: 1}]}
  a_map: {type: "map(bool, list(timestamp))"}
  a_dyn: {type: dyn, default: {list: [1, 2.5, null, true, text]}}
  cost_budget: {type: double, default: 0.25}
"""
_REQUESTS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"a_text": "other", "a_short": "abc", "a_int": 1, "a_uint": 2, "a_double": 3, "a_bool": True},
    {"a_short": "abcd"},
    {"a_text": "third"},
    {"a_uint": -1},
    {"a_time": datetime(2026, 1, 1, tzinfo=UTC), "a_span": timedelta(microseconds=-5)},
    {"a_time": "2026-01-01T00:00:00.5Z", "a_span": "1h30m"},
    {"a_list": [{"y": 7}, {}], "a_map": {True: [datetime(2026, 1, 1, tzinfo=UTC)]}},
    {"a_map": {1: []}},
    {"a_dyn": {"deep": [{"er": [None]}]}},
    {"cost_budget": -1},
    {"cost_budget": float("nan")},
)
_CONDITION: Final = """\
routes:
  - id: all
    when: >-
      request.a_int < 0 && request.a_uint > 5u && request.a_double > 0.0 && !request.a_bool
      && request.a_time < timestamp("2027-01-01T00:00:00Z") && request.a_list[0].x == 1u
      && request.a_text.size() == 2 && b"\\xff" != b"" && request.a_dyn.list.exists(e, e == 2.5)
      && 'x'.matches('[a-z]+') && 1.0 / 0.0 > 1.0
    model: large
"""


@pytest.mark.parametrize("request_", _REQUESTS, ids=str)
def test_every_type(tmp_path: Path, request_: dict[str, Any]) -> None:
    write_set(tmp_path)
    with (tmp_path / "policy-set.yaml").open("a", encoding="utf-8") as stream:
        stream.write(_DECLARED)
    policy = tmp_path / "policy.yaml"
    policy.write_text(policy.read_text(encoding="utf-8").partition("routes:")[0] + _CONDITION, encoding="utf-8")
    plan = load(tmp_path).plan
    again = reloaded(plan)
    assert again.filled_in == plan.filled_in
    assert [type(value) for _, value in again.filled_in] == [type(value) for _, value in plan.filled_in]
    assert answer(again, request_, None, NOW) == answer(plan, request_, None, NOW)


def test_the_condition_on_every_type_holds(tmp_path: Path) -> None:
    """Or the test above would compare refusals only."""
    write_set(tmp_path)
    with (tmp_path / "policy-set.yaml").open("a", encoding="utf-8") as stream:
        stream.write(_DECLARED)
    policy = tmp_path / "policy.yaml"
    policy.write_text(policy.read_text(encoding="utf-8").partition("routes:")[0] + _CONDITION, encoding="utf-8")
    assert '"rule": "routing/all"' in answer(reloaded(load(tmp_path).plan), {}, None, NOW)
