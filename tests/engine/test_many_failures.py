"""Failures are noted once each, in order, without comparing each with all the others."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from costlens_policy import load
from costlens_policy.engine.facts import Failure
from tests.checker.repository import write

RULES: Final = 300
ATTRIBUTES: Final = "attributes:\n  squad: {type: string}\n"
STAGES: Final = {
    "access": "effect: allow, reason: x",
    "routes": "model: large",
    "rewrites": "apply: [{prefix: {text: a}}]",
    "budgets": "hard_limit_usd: 5, window: {calendar: day}",
}


@pytest.mark.parametrize("stage", STAGES)
def test_many_skipped_rules(tmp_path: Path, stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = "".join(f"  - {{id: r{i}, when: 'request.squad == \"t{i}\"', {STAGES[stage]}}}\n" for i in range(RULES))
    engine = load(write(tmp_path, f"on_error: skip\n{stage}:\n{rules}", ATTRIBUTES), cache=False)
    compared = 0

    def counted(self: Failure, other: object) -> bool:
        nonlocal compared
        compared += 1
        return isinstance(other, Failure) and (self.rule, self.message) == (other.rule, other.message)

    monkeypatch.setattr(Failure, "__eq__", counted)
    errors = engine.decide({"prompt": "x"}).errors
    assert [error.rule for error in errors] == [f"team/r{i}" for i in range(RULES)]
    assert compared <= 4 * RULES
