"""Two policy sets side by side in columns differ in what they differ in row by row."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

from costlens_policy import load
from costlens_policy.replay import Settings
from costlens_policy.replay.columns.batch import batch_of
from costlens_policy.replay.columns.comparing import Comparing
from costlens_policy.replay.columns.step import Job
from costlens_policy.replay.difference import Difference, diff
from tests.replay.columns.test_equal import ATTRIBUTES, MODELS, POLICIES
from tests.replay.columns.traffic import random_traffic

ROWS = 3_000 if os.environ.get("COSTLENS_SOAK") else 400
NAMES = sorted(POLICIES)
PAIRS = [(name, NAMES[(place + 1 + place % 5) % len(NAMES)]) for place, name in enumerate(NAMES)]


def facts_of(difference: Difference) -> dict[str, Any]:
    """Return all that a difference says, in the order in which tables show it."""
    said = difference.to_dict()
    said["rejects"] = sorted((item.file, item.number, item.problem) for item in difference.rejects)
    said["order"] = (list(difference.groups), list(difference.causes))
    said["causes' examples"] = {cause: group.examples for cause, group in difference.causes.items()}
    return said


def in_columns(old, new, traffic, attributes, settings: Settings, size: int) -> Difference:
    jobs = [Job(plan, settings, tuple(attributes), ("f",)) for plan in (old, new)]
    comparing = Comparing(*jobs)
    for start in range(0, len(traffic.rows), size):
        comparing.take(batch_of(traffic.rows[start : start + size], new, jobs[1].attributes, lambda _: 0))
    return comparing.result(traffic.notes)


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_what_differs_row_by_row_differs_in_columns(plan_of, one, other):
    old, new = plan_of(POLICIES[one], "old"), plan_of(POLICIES[other], "new")
    seed = random.Random(one).randrange(1000)
    traffic = random_traffic(seed, ROWS, MODELS, {**ATTRIBUTES, "user": ["u1", "", "u" * 600]})
    settings = Settings(cache=seed % 3 > 0)
    expected = diff(old, new, traffic, settings)
    assert expected.changed
    assert facts_of(in_columns(old, new, traffic, ATTRIBUTES, settings, seed % 190 + 40)) == facts_of(expected)


def test_prices_of_finer_digits_on_one_side(plan_of, tmp_path):
    old = plan_of(POLICIES["budgets"], "old")
    catalogue = tmp_path / "new" / "catalogue.yaml"
    plan_of(POLICIES["labels"], "new")
    catalogue.write_text(catalogue.read_text().replace("{input: 1, output: 5}", "{input: 1.0000000000001, output: 5}"))
    new = load(tmp_path / "new").plan
    traffic = random_traffic(5, ROWS, MODELS, ATTRIBUTES)
    for first, second in ((old, new), (new, old)):
        expected = diff(first, second, traffic, Settings())
        assert facts_of(in_columns(first, second, traffic, ATTRIBUTES, Settings(), 150)) == facts_of(expected)


def test_a_row_that_one_side_refuses_for_what_is_spent_is_charged_to_neither(plan_of):
    spent = """
budgets:
  - {id: first, hard_limit_requests: 20, window: {lifetime: true}, overflow: spare}
  - {id: spare, scope: request.user, hard_limit_requests: 100, window: {lifetime: true}}
"""
    old, new = plan_of(POLICIES["budgets"], "old"), plan_of(spent, "new")
    traffic = random_traffic(3, 300, MODELS, {**ATTRIBUTES, "user": ["u1", "a\0b", "u" * 600]}, 60_000)
    for first, second in ((old, new), (new, old)):
        expected = diff(first, second, traffic, Settings())
        assert {item.problem for item in expected.rejects if "NUL" in item.problem}
        assert facts_of(in_columns(first, second, traffic, ATTRIBUTES, Settings(), 70)) == facts_of(expected)
