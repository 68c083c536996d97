"""Expected quality beside the cost: by task and model, with an interval, and what nobody measured apart."""

from __future__ import annotations

import math

import pytest

from costlens_policy.catalogue import Catalogue, Evidence, Model
from costlens_policy.replay import Settings, replay
from costlens_policy.replay.difference import diff
from costlens_policy.replay.expected import Served, expected_of
from costlens_policy.replay.tables import difference_verdict, result_tables, result_verdict
from tests.replay.columns.traffic import in_columns, random_traffic

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
