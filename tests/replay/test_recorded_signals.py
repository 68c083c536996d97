"""Signals that the traffic recorded, all in one object or each in a column of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from costlens_policy.compiler.plan import Plan
from costlens_policy.replay import READY, Settings, TrafficError, replay_files
from tests.replay.conftest import SET, call

SIGNALS = (
    'apiVersion: costlens-policy/v1\nkind: Signals\nmetadata: {name: own, version: "1"}\n'
    "signals:\n  risk: {external: {range: [0, 100]}}\n  mood: {external: {labels: [calm, angry]}}\n"
    "  flag: {external: {flag: true}}\n"
)
ROUTES = """routes:
  - {id: risky, when: signals.?risk.orValue(0.0) > 90.0, model: small}
  - {id: angry, when: 'signals.?mood.orValue("") == "angry" && signals.?flag.orValue(false)', model: small}
"""


@pytest.fixture
def plan(plan_of: Any, tmp_path: Path) -> Plan:
    (tmp_path / "set").mkdir()
    (tmp_path / "set/signals.yaml").write_text(SIGNALS)
    made: Plan = plan_of(ROUTES, "set", f"{SET}signals: [signals.yaml]\n")
    return made


VALUES: list[dict[str, Any]] = [{"risk": 99}, {"risk": 5.5}, {"mood": "angry", "flag": True}, {"mood": "angry"}, {}]


def _csv(path: Path, names: dict[str, str]) -> None:
    lines = [",".join(["time", "prompt_tokens", "output_tokens", *names.values()])]
    for values in VALUES:
        cells = ["" if name not in values else str(values[name]).lower() for name in names]
        lines.append(",".join(["2026-06-01T10:00:00Z", "1000", "100", *cells]))
    path.write_text("\n".join(lines) + "\n")


def test_each_may_have_a_column(plan: Plan, tmp_path: Path) -> None:
    whole, flat, named = (tmp_path / name for name in ("whole.jsonl", "flat.csv", "named.csv"))
    whole.write_text("".join(json.dumps(call(request={"signals": values})) + "\n" for values in VALUES))
    _csv(flat, {name: f"request.signals.{name}" for name in ("risk", "mood", "flag")})
    _csv(named, {"risk": "risk_score", "mood": "mood", "flag": "flagged"})
    columns = {"request.signals.risk": "risk_score", "request.signals.mood": "mood", "request.signals.flag": "flagged"}
    mapped = READY["plain"].with_columns(columns, {})
    for path, mapping in ((whole, READY["plain"]), (flat, READY["plain"]), (named, mapped)):
        result = replay_files(plan, [str(path)], mapping, Settings())
        assert result.allowed == {"p/risky": 1, "p/angry": 1, "default": 3}, path
        assert not any("signals." in note for note in result.notes)
    fixed = READY["plain"].with_columns({}, {"request.signals.risk": "95"})
    result = replay_files(plan, [str(whole)], fixed, Settings())
    assert result.allowed["p/risky"] == 5, "what is set stands beside what a row has"


def test_what_is_not_shown_is_named(plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "flat.csv"
    _csv(path, {"risk": "request.signals.risk"})
    (note,) = (note for note in replay_files(plan, [str(path)], READY["plain"], Settings()).notes if "signals." in note)
    assert note.startswith("rules read `signals.flag`, `signals.mood`, and the traffic has no texts")


def test_one_that_is_not_declared_is_refused(plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "flat.csv"
    _csv(path, {"risk": "risc"})
    mapping = READY["plain"].with_columns({"request.signals.risc": "risc"}, {})
    with pytest.raises(TrafficError, match="the policy set has no signal `risc`; did you mean `risk`"):
        replay_files(plan, [str(path)], mapping, Settings())
