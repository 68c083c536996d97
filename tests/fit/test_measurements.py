"""Measurements from outcomes: which cases count, what a call costs, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from costlens_policy.fit.measurements import gather
from costlens_policy.fit.outcomes import OutcomesError
from tests.fit.drawn import ASSUMED, CHANCES, catalogue, outcomes


def test_a_call_costs_its_tokens_at_the_prices_of_the_day() -> None:
    found = gather(outcomes(cases=2), catalogue(), ASSUMED)
    assert found.models == ("large", "small", "tiny")
    assert found.costs[0] == pytest.approx([200 * 10e-6, 200 * 1e-6, 200 * 0.1e-6])
    assert found.notes == ("answers without recorded tokens are taken to have 100 of every model",)


def test_recorded_costs_and_tokens_win() -> None:
    given = outcomes(cases=2)
    count = len(given.cases)
    given = replace(
        given, costs={"large": (Decimal("0.5"),) * count}, output_tokens={"small": (900,) * (count - 1) + (None,)}
    )
    found = gather(given, catalogue(), ASSUMED)
    assert found.costs[0] == pytest.approx([0.5, 1000 * 1e-6, 200 * 0.1e-6])
    assert found.costs[-1][1] == pytest.approx(200 * 1e-6)
    assert found.notes == (
        "answers without recorded tokens are taken to have 100 of `small`, `tiny`",
        "recorded costs stand beside those of tokens at list prices, which may differ for the same call: of 6 recorded "
        "costs `large` has 6, `small` has 0, `tiny` has 0",
    )


def test_a_cost_that_was_recorded_counts_whatever_others_lack() -> None:
    given = outcomes(cases=10)
    count = len(given.cases)
    full = dict.fromkeys(given.models, (Decimal("0.5"),) * count)
    assert gather(replace(given, costs=full), catalogue(), ASSUMED).notes == ("costs are those that were recorded",)
    lacking = gather(replace(given, costs={**full, "tiny": (None, *full["tiny"][1:])}), catalogue(), ASSUMED)
    assert (lacking.costs == 0.5).sum() == 3 * count - 1
    assert lacking.costs.min() == pytest.approx(200 * 0.1e-6)
    assert lacking.notes[0] == "answers without recorded tokens are taken to have 100 of `tiny`"
    assert lacking.notes[1].endswith("of 30 recorded costs `large` has 30, `small` has 30, `tiny` has 29")


def test_the_order_of_rows_makes_no_difference() -> None:
    given = outcomes(cases=40)
    turned = gather(given.part(range(len(given.cases))[::-1]), catalogue(), ASSUMED)
    found = gather(given, catalogue(), ASSUMED)
    assert turned.cases == found.cases
    assert (turned.scores == found.scores).all()


@pytest.mark.parametrize(
    ("scores", "note"),
    [
        ({"large": 1.0, "small": 1.0, "tiny": 1.0}, "every score is 1, so that no model is better than another"),
        ({"large": 0.01, "small": 0.0, "tiny": 0.0}, "no score is above 0.01 on a scale from 0 to 1; is `--scale` "),
    ],
)
def test_scores_that_are_odd_together_are_noted(scores: dict[str, float], note: str) -> None:
    given = outcomes(cases=4)
    odd = {name: (score,) * len(given.cases) for name, score in scores.items()}
    assert gather(replace(given, scores=odd), catalogue(), ASSUMED).notes[-1].startswith(note)
    same = dict.fromkeys(given.models, given.scores["small"])
    told = gather(replace(given, scores=same), catalogue(), ASSUMED).notes[-1]
    assert told == "on each case all models have the same score, so that no model is better than another"


def test_cases_that_lack_a_model_are_not_compared() -> None:
    given = outcomes(cases=10)
    given = replace(given, scores={**given.scores, "tiny": (None, *given.scores["tiny"][1:])})
    found = gather(given, catalogue(), ASSUMED)
    assert len(found) == len(given.cases) - 1
    assert "cases that lack the score of a model and are not compared: 1" in found.notes


def test_what_cannot_be_compared_is_refused() -> None:
    given = outcomes(cases=10)
    few = replace(given, scores={**given.scores, "tiny": (None,) * 29 + (1.0,)})
    with pytest.raises(OutcomesError, match="only 1 of 30 cases have a score of every model, and `tiny` lacks 29"):
        gather(few, catalogue(), ASSUMED)
    with pytest.raises(OutcomesError, match="at least two models, got `large`"):
        gather(replace(given, scores={"large": given.scores["large"]}), catalogue(), ASSUMED)
    with pytest.raises(OutcomesError, match="no price for `tiny`"):
        gather(given, catalogue({"large": "10", "small": "1"}), ASSUMED)


def test_a_part_keeps_tasks_and_groups() -> None:
    found = gather(outcomes(cases=4), catalogue(), ASSUMED)
    part = found.part(found.of_task(1))
    assert [case.task for case in part.cases] == ["code"] * 4
    assert part.tasks == tuple(CHANCES)
    assert sorted(part.group_of) == [0, 1, 2, 3]
