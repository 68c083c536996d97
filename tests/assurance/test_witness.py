"""Witnesses: what the engine decides on them is what was asked for, and nothing in them is superfluous."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from costlens_policy.assurance import Every, Nothing, Subject, Undecided, Witness
from costlens_policy.assurance.witness import shown
from costlens_policy.engine.decide import decide
from tests.assurance.conftest import checked

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
BUDGETS = """\
budgets:
  - {id: b, hard_limit_usd: 50, window: {calendar: day, zone: UTC}, scope: 'request.?team.orValue("none")'}
"""


def _witness(subject: Subject, at: int) -> Witness | Nothing | Undecided:
    return subject.witness(subject.reached(subject.rules["routes"][at]))


def _found(subject: Subject, at: int) -> Witness:
    found = _witness(subject, at)
    assert isinstance(found, Witness)
    assert found.decision.rule == f"p/route-{at}"
    again = decide(subject.plan, found.request, found.balances, found.now)
    assert again == found.decision
    return found


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ('request.tier == "pro"', '{tier: "pro"}'),
        ('request.?team.orValue("").startsWith("eu-") && request.tier != "pro"', '{team: "eu-other"}'),
        ('request.?metadata[?"plan"].orValue("") == "gold"', '{metadata: {"plan": "gold"}}'),
        ("request.?age.orValue(0) >= 18", "{age: 18}"),
        ('budgets["b"].used_ratio > 0.5', "{} with 25.025 used of `p/b` of `none`"),
        ('budgets["b"].left < 10.0 && request.?team.orValue("") == "x"', '{team: "x"} with 40.04 used of `p/b` of `x`'),
        ('now.getHours("UTC") == 3', "{} at 2026-01-06T03:30:00Z"),
    ],
)
def test_a_witness_is_small(tmp_path: Path, when: str, expected: str) -> None:
    subject = Subject(checked(tmp_path, routes=[when], budgets=BUDGETS), NOW)
    assert str(_found(subject, 0)) == expected


def test_a_route_behind_others_is_reached_past_them_and_past_access(tmp_path: Path) -> None:
    bundle = checked(tmp_path, denies=["!has(request.age)"], routes=['request.tier == "free"', "has(request.paid)"])
    found = _found(Subject(bundle, NOW), 1)
    assert found.request.keys() == {"tier", "paid", "age"}


def test_no_witness_is_a_proof_or_says_why_there_is_none(tmp_path: Path) -> None:
    routes = ['request.tier == "free"', 'request.tier != "free"', "has(request.age)"]
    assert _witness(Subject(checked(tmp_path, routes=routes), NOW), 2) == Nothing()
    routes = ["request.?age.orValue(1) % 2 == 0", "request.?age.orValue(1) / 2 > 70 && request.?age.orValue(1) < 0"]
    assert isinstance(_witness(Subject(checked(tmp_path, routes=routes), NOW), 1), Undecided)


def test_what_is_demanded_of_the_decision_is_kept(tmp_path: Path) -> None:
    subject = Subject(checked(tmp_path, routes=["has(request.age)"], budgets=BUDGETS), NOW)
    goal = subject.reached(subject.default)
    dear = subject.decided(subject.witness(goal).situation)  # type: ignore[union-attr]  # it is found
    assert dear is not None
    assert dear.balances == {}
    found = subject.witness(goal, {("request", "team"): "core"}, lambda item: item.request.get("team") == "core")
    assert isinstance(found, Witness)
    assert found.request == {"team": "core"}


def test_a_condition_that_no_rule_has_brings_its_own_values(tmp_path: Path) -> None:
    subject = Subject(checked(tmp_path, routes=["request.?age.orValue(0) > 5"]), NOW)
    late = Subject(checked(tmp_path, routes=["request.?age.orValue(0) > 70"]), NOW).rules["routes"][0]
    first = subject.rules["routes"][0]
    assert isinstance(subject.witness(first.goal), Witness)
    goal = subject.condition(late.when, 0)
    found = subject.witness(Every([goal, first.goal]))
    assert isinstance(found, Witness)
    assert found.request["age"] == 71
    assert subject.witness(Every([goal, first.otherwise])) == Nothing()


def test_a_witness_is_data(tmp_path: Path) -> None:
    subject = Subject(checked(tmp_path, routes=['budgets["b"].used_ratio > 0.5'], budgets=BUDGETS), NOW)
    found = _witness(subject, 0)
    assert isinstance(found, Witness)
    data = found.to_dict()
    assert (data["request"], data["now"]) == ({}, "2026-01-05T12:00:00Z")
    assert [(item["budget"], item["key"], item["held"]) for item in data["balances"]] == [("p/b", "none", "0")]
    assert all(balance.used > Decimal(25) for balance in found.balances.values())


def test_very_long_texts_are_cut_where_they_are_shown() -> None:
    request = {"messages": [{"role": "user", "content": "x" * 200_000}], "prompt_tokens": 1}
    assert len(shown(request)) < 200
    assert "200,000 characters" in shown(request)
    assert shown({"prompt": "x" * 300}) == '{prompt: "' + "x" * 300 + '"}'
