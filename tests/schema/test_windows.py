"""A budget with several windows is read as a budget for each of them, and every problem stands where it is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from costlens_policy import DeniedError, Guard, PolicyError
from tests.guard.company import REQUEST, Clock, write_company

PLAN = """
budgets:
  - id: plan
    scope: request.?team.orValue("nobody")
    windows:
      - {id: session, window: {from_first_use: 5h}, hard_limit_usd: 0.005}
      - {id: week, window: {calendar: week}, hard_limit_usd: 0.01, carry_over: {}}
"""
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100}


def test_each_window_holds_and_counts_every_call(tmp_path: Path) -> None:
    clock = Clock()
    guard = Guard(write_company(tmp_path / "p", PLAN), "memory:", clock=clock, alert_sinks=[])
    guard.call(REQUEST).settle(USAGE)
    call = guard.call(REQUEST)
    assert {line.budget: str(line.held) for line in guard.spend()} == {
        "p/plan.session": "0.0012",
        "p/plan.week": "0.0012",
    }
    for item in (call, guard.call(REQUEST), guard.call(REQUEST)):
        item.settle(USAGE)
    with pytest.raises(DeniedError, match=r"`p/plan.session` of `red` has no room"):
        guard.call(REQUEST)
    clock.move(hours=5)
    for _ in range(4):
        guard.call(REQUEST).settle(USAGE)
    clock.move(hours=5)
    with pytest.raises(DeniedError, match=r"`p/plan.week` of `red` has no room"):
        guard.call(REQUEST)


@pytest.mark.parametrize(
    ("edit", "words", "line"),
    [
        (("hard_limit_usd: 0.005", "hard_limit_usd: -1"), "must be at least 0", 9),
        (("hard_limit_usd: 0.005", "scope: x"), "unknown key `scope`", 9),
        (("id: session", "id: week"), "week", 10),
        (("{id: session, ", "{"), "no `id`", 9),
        (("    windows:", "    hard_limit_usd: 1\n    windows:"), "both `hard_limit_usd` and `windows`", 9),
        (("    windows:", "    window: {calendar: day}\n    windows:"), "`windows`", 9),
        (("    windows:", "    windows: []\n    x:"), "x", 9),
        (("from_first_use: 5h", "from_first_use: 0h"), "has no length", 9),
    ],
)
def test_problems_stand_where_they_are_written(tmp_path: Path, edit: tuple[str, str], words: str, line: int) -> None:
    with pytest.raises(PolicyError) as caught:
        write_company(tmp_path / "p", PLAN.replace(*edit))
    found: Any = caught.value.diagnostics
    assert any(words in item.message and item.span.start.line == line for item in found), found
