"""Expected quality beside the cost: by task and model, with an interval, and what nobody measured apart."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from costlens_policy.catalogue import Catalogue, Evidence, Model
from costlens_policy.engine.decide import decide
from costlens_policy.replay import Settings, replay
from costlens_policy.replay.difference import diff
from costlens_policy.replay.expected import Moved, Served, expected_change, expected_of
from costlens_policy.replay.recognized import Recognition
from costlens_policy.replay.simulation import request_of
from costlens_policy.replay.tables import difference_verdict, expected_line, result_tables, result_verdict
from tests.replay.columns.traffic import in_columns, random_traffic
from tests.replay.conftest import SET

CATALOGUE = Catalogue.of(
    [
        Model("a", quality={"x": 0.8, "y": 0.6}, evidence={"x": Evidence(0.7, 0.9), "y": Evidence(0.5, 0.65)}),
        Model("b", quality={"x": 0.9}),
    ]
)


def test_the_mean_goes_by_requests_and_the_interval_by_squares() -> None:
    found = expected_of(Served({("a", "x"): 30, ("a", "y"): 10, ("a", "z"): 5, ("nobody", "x"): 1}), CATALOGUE)
    assert found is not None
    assert (found.requests, found.measured, found.value) == (46, 40, pytest.approx(0.75))
    assert found.low == pytest.approx(0.75 - math.hypot(0.75 * 0.1, 0.25 * 0.1))
    assert found.high == pytest.approx(0.75 + math.hypot(0.75 * 0.1, 0.25 * 0.05))
    assert [(part.task, part.model, part.value) for part in found.parts] == [
        ("x", "a", 0.8), ("x", "nobody", None), ("y", "a", 0.6), ("z", "a", None),
    ]  # fmt: skip


def test_an_unknown_interval_leaves_the_whole_without_one() -> None:
    found = expected_of(Served({("a", "x"): 1, ("b", "x"): 1}), CATALOGUE)
    assert found is not None
    assert (found.value, found.low, found.high) == (pytest.approx(0.85), None, None)


def test_without_any_quality_nothing_is_expected() -> None:
    assert expected_of(Served({("c", "x"): 1}), Catalogue.of([Model("c")])) is None
    found = expected_of(Served({("a", "z"): 2}), CATALOGUE)
    assert found is not None
    assert (found.measured, found.value) == (0, None)


def test_the_mistakes_of_a_signal_that_tells_tasks_are_counted_in() -> None:
    """Of ten requests that it tells to be of `x`, one is of `y`, at which the model is worse."""
    recognition = Recognition("task", {"x": {"x": 0.9, "y": 0.1}}, 0.9, 0.85, 0.95)
    served = Served({("a", "x"): 40, ("a", "y"): 10})
    found = expected_of(served, CATALOGUE, Served({("a", "x"): 30}), recognition)
    assert found is not None
    assert [(part.requests, part.recognized, part.value) for part in found.parts] == [
        (10, False, 0.8), (10, False, 0.6), (30, True, pytest.approx(0.78)),
    ]  # fmt: skip
    assert found.value == pytest.approx((10 * 0.8 + 10 * 0.6 + 30 * 0.78) / 50)
    told = 0.1 + 0.05 * 0.2  # the interval of `x`, and what is not known of the share of mistakes
    assert found.low == pytest.approx(found.value - math.hypot((10 * 0.1 + 30 * told) / 50, 0.1 * 10 / 50))
    assert found.recognized == 30
    assert "the task of 30 is recognized by `signals.task`, which is wrong on 10.0% of prompts (5.0 to 15.0)" in (
        expected_line(found)
    )
    assert expected_of(served, CATALOGUE, Served(), recognition) == expected_of(served, CATALOGUE)


def test_a_change_is_compared_where_both_sides_are_measured() -> None:
    """What moves to a model that nobody measured is no gain; what stays the same makes no difference uncertain."""
    other = Catalogue.of(
        [
            Model("a", quality={"x": 0.8, "y": 0.6}, evidence={"x": Evidence(0.7, 0.9), "y": Evidence(0.5, 0.65)}),
            Model("c", quality={"y": 0.7}, evidence={"y": Evidence(0.55, 0.8)}),
        ]
    )
    x, y = ("a", "x"), ("a", "y")
    moved = Moved({(x, x): 60, (y, ("b", "y")): 30, (x, None): 4, (("b", "y"), y): 5, (y, ("c", "y")): 40})
    change = expected_change(moved, CATALOGUE, other)
    assert change is not None
    assert change.old is not None
    assert change.new is not None
    assert (change.requests, change.lost, change.gained) == (100, {("y", "b"): 30}, 5)
    assert (change.old.value, change.new.value) == (pytest.approx(0.72), pytest.approx(0.76))
    assert change.value == pytest.approx(0.04)
    assert change.low == pytest.approx(0.04 - 0.4 * math.hypot(0.15, 0.05))
    assert change.high == pytest.approx(0.04 + 0.4 * math.hypot(0.1, 0.1))
    same = expected_change(Moved({(x, x): 3, (y, ("b", "y")): 30}), CATALOGUE, CATALOGUE)
    assert same is not None
    assert (same.value, same.low, same.high, same.lost.total()) == (0, 0, 0, 30)
    nothing = expected_change(Moved({(y, ("b", "y")): 30}), CATALOGUE, CATALOGUE)
    assert nothing is not None
    assert (nothing.requests, nothing.value) == (0, None)
    assert expected_change(moved, Catalogue.of([Model("a")]), Catalogue.of([Model("a")])) is None


def test_a_task_that_moves_to_a_model_nobody_measured_is_named(plan_of) -> None:
    new = plan_of('routes:\n  - {id: r, when: \'request.?task.orValue("") == "coding"\', model: free-of-price}\n')
    traffic = random_traffic(4, 100, ("large",), {"task": ["coding", "extraction"]}, prompts=10_000)
    difference = diff(plan_of("", "old"), new, traffic, Settings())
    change = difference.expected_change
    assert change is not None
    assert change.value == 0
    (lost,) = change.lost.items()
    assert lost[0] == ("coding", "free-of-price")
    text = difference_verdict(difference)
    assert f"expected quality 83.00% -> 83.00%: +0.00 points (+0.00 to +0.00), for the {change.requests} of" in text
    assert f"{lost[1]} lose their measured quality, such as on `free-of-price` for the task `coding`" in text
    assert difference.to_dict()["expected_quality_change"]["lost"][0]["requests"] == lost[1]


def test_replay_and_diff_show_it_beside_the_cost(plan_of) -> None:
    """All go to `large`; then those of coding to `small`."""
    plan = plan_of('routes:\n  - {id: r, when: \'request.?task.orValue("") == "coding"\', model: small}\n')
    traffic = random_traffic(3, 200, ("large",), {"task": ["coding", "extraction", "chat"]}, prompts=10_000)
    result = replay(plan, traffic, Settings())
    assert result.expected is not None
    assert result.expected == in_columns(plan, traffic, ("task",), Settings()).expected
    assert result.to_dict()["expected_quality"] == result.expected.to_dict()
    (table,) = (table for table in result_tables(result) if table.title.startswith("Expected quality"))
    rows = {row[:2]: row[3:] for row in table.rows}
    assert rows["coding", "small"] == ("88.00%", "70.00% to 90.00%")
    assert rows["chat", "large"] == ("not measured", "")
    assert f"measured for {result.expected.measured} of {result.expected.requests}" in result_verdict(result)
    difference = diff(plan_of("", "old"), plan, traffic, Settings())
    assert difference.old_expected is not None
    assert difference.old_expected.value is not None
    assert difference.new_expected == result.expected
    assert f"expected quality {difference.old_expected.value:.2%}" in difference_verdict(difference)


_CHOICE = "routes: [{id: c, choose: {minimize: estimate.cost_usd, within: {quality: 0.03}}}]\n"
_BY_NAME = "routes: [{id: n, model: small}]\n"


@pytest.mark.parametrize("sections", [_CHOICE, _BY_NAME])
@pytest.mark.parametrize(
    "formula",
    [
        'request.?team.orValue("")',
        'signals.?kind.orValue("")',
        'request.?prompt_tokens.orValue(0) < 5000 ? "coding" : "extraction"',
        'now > timestamp("2026-07-01T00:00:00Z") ? "coding" : "extraction"',
        "variables.kind",
    ],
)
def test_the_task_is_the_one_that_counts_in_the_decision(plan_of, tmp_path, sections: str, formula: str) -> None:
    """Where a request names none, the policy set finds it: also where a rule names the model and none was needed."""
    policy_set = f"{SET}signals: [signals.yaml]\nvariables: {{kind: 'signals.?kind.orValue(\"\")'}}\n".replace(
        "defaults: {", f"defaults: {{task: '{formula}', "
    )
    (tmp_path / "set").mkdir()
    (tmp_path / "set/signals.yaml").write_text(
        'apiVersion: costlens-policy/v1\nkind: Signals\nmetadata: {name: prompts, version: "1"}\n'
        "signals: {kind: {labels: {coding: [{words: [function]}], extraction: [{words: [quote]}],\n"
        "  summarization: [{words: [summarize]}]}}}\n"
    )
    plan = plan_of(sections, "set", policy_set)
    tasks = ["coding", "extraction", "chat", ""]
    given = {
        "task": tasks, "team": ["coding", "extraction", "summarization"],
        "prompt": ["write a function", "quote it", "summarize it", "hello"],
    }  # fmt: skip
    traffic = random_traffic(5, 300, ("large",), given, prompts=10_000)
    result = replay(plan, traffic, Settings())
    assert result.expected is not None
    counts: Counter[tuple[str, str]] = Counter()
    for row in traffic.rows:
        decision = decide(plan, request_of(row, plan), None, row.time)
        if decision.model is not None:
            counts[decision.task, decision.model] += 1
            assert not row.attributes.get("task") or decision.task == row.attributes["task"]
    assert {(part.task, part.model): part.requests for part in result.expected.parts} == counts
    assert sum(count for (task, _), count in counts.items() if task) > len(traffic.rows) * 0.5
    assert in_columns(plan, traffic, tuple(given), Settings()).expected == result.expected
    assert diff(plan, plan, traffic, Settings()).new_expected == result.expected
