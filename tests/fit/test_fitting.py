"""A fit: what is reported comes from cases that took no part, and says so where nothing is to be saved."""

from __future__ import annotations

import json

import numpy as np
import pytest

from costlens_policy.fit.fitting import Fitted, fit, parts_of
from costlens_policy.fit.measurements import gather
from costlens_policy.fit.outcomes import OutcomesError
from costlens_policy.fit.summary import curve_chart, summary_of
from costlens_policy.fit.target import Target
from tests.fit.drawn import ASSUMED, Chances, catalogue, measurements, outcomes


def _fitted(target: Target, chances: Chances | None = None, cases: int = 300, seed: int = 0) -> Fitted:
    drawn = measurements(cases=cases, seed=seed) if chances is None else measurements(chances, cases, seed)
    return fit(*parts_of(drawn, 0.25, seed), target, seed)


def test_what_is_kept_aside_takes_no_part() -> None:
    drawn = measurements()
    inside, aside = parts_of(drawn, 0.25, 0)
    assert not {case.group for case in inside.cases} & {case.group for case in aside.cases}
    before = fit(inside, aside, Target(max_loss=0.02))
    aside.scores[:] = 1 - aside.scores
    after = fit(inside, aside, Target(max_loss=0.02))
    assert after.chosen.point.choice.same_as(before.chosen.point.choice)
    assert before.supported
    assert not after.supported
    assert after.choice.worth is None  # what the cases kept aside refute is not deployed


def test_the_ways_are_beside_each_other_in_order() -> None:
    fitted = _fitted(Target(max_loss=0.02))
    policy, best, cheapest, coin, oracle = fitted.ways
    assert (best.gain.value, best.saving.value) == (0, 0)
    assert cheapest.cost.value < policy.cost.value < best.cost.value
    assert cheapest.score.value < policy.score.value <= oracle.score.value
    assert fitted.over_coin.value == pytest.approx(policy.score.value - coin.score.value)
    assert policy.saving.low < policy.saving.value < policy.saving.high
    assert "saves" in summary_of(fitted).verdict


def test_intervals_cover_what_is_true() -> None:
    true = {"large": [0.9, 0.9, 0.9], "small": [0.9, 0.4, 0.88], "tiny": [0.5, 0.1, 0.88]}
    covered = []
    for seed in range(40):
        fitted = _fitted(Target(max_loss=0.05), cases=120, seed=seed)
        names = [fitted.inside.models[place] for place in fitted.chosen.point.choice.models]
        score = float(np.mean([true[name][task] for task, name in enumerate(names)]))
        if set(names) != {"large"}:
            covered += [score in fitted.ways[0].score, score - 0.9 in fitted.ways[0].gain]
    assert len(covered) > 60
    assert sum(covered) >= 0.85 * len(covered)  # of 500 fits, 95 %


def test_where_one_model_leads_in_everything_there_is_nothing_to_save() -> None:
    leads = {task: {"large": 0.9, "small": 0.5} for task in ("chat", "code")}
    fitted = _fitted(Target(max_loss=0.01), leads)
    assert not fitted.supported
    assert fitted.choice.worth is None
    assert summary_of(fitted).verdict.startswith("this data does not support a saving over always `large`")


def test_a_rule_that_is_no_better_than_a_coin_is_named_as_such() -> None:
    alike = {task: {"large": 0.75, "small": 0.6} for task in "abcdefgh"}
    fitted = _fitted(Target(strong_share=0.5), alike, cases=60)
    assert fitted.reasons
    assert "a coin with the same shares does as well" in fitted.reasons[0]


def test_a_model_that_is_best_and_cheapest_is_named_as_such() -> None:
    same = {task: {"large": 0.7, "small": 0.75} for task in ("chat", "code")}
    fitted = _fitted(Target(max_loss=0.02), same)
    assert fitted.means.best == fitted.means.cheapest == 1
    assert fitted.reasons == ("`small` is the best and the cheapest",)


def test_the_chart_has_every_way_and_the_data_every_point() -> None:
    fitted = _fitted(Target(max_loss=0.02))
    chart = curve_chart(fitted)
    assert {"P", "B", "c", "o"} <= set(chart)
    data = summary_of(fitted, ["3 rows were dropped"]).data()
    assert [way["name"] for way in data["ways"]] == [way.name for way in fitted.ways]
    assert len(data["curve"]) == len(fitted.curve)
    assert sum(point["chosen"] for point in data["curve"]) == 1
    assert data["notes"][0] == "3 rows were dropped"


def test_too_few_cases_are_refused() -> None:
    drawn = measurements(cases=12)
    with pytest.raises(OutcomesError, match="aside, got 9; in all 120 cases with different prompts are enough for thi"):
        fit(*parts_of(drawn, 0.25, 0), Target(max_loss=0.01))
    inside, aside = parts_of(measurements(cases=40), 0.25, 0)
    with pytest.raises(OutcomesError, match="or keep half of them aside with --holdout"):
        fit(inside, aside.part(np.arange(len(aside)) < 20), Target(max_loss=0.01))
    inside, aside = parts_of(measurements(cases=80), 0.5, 0)
    aside.group_of[:] = 0
    with pytest.raises(OutcomesError, match="aside, got 1 with different prompts of 120"):
        fit(inside, aside, Target(max_loss=0.01))


def test_a_target_that_no_choice_meets_is_refused() -> None:
    with pytest.raises(OutcomesError, match=r"no choice meets the target at \$1e-06 for 1,000 calls; the cheapest"):
        _fitted(Target(max_cost_usd=1e-9))


@pytest.mark.filterwarnings("error")
def test_beside_a_best_model_that_is_free_there_is_no_share_to_save() -> None:
    free = {"large": "0", "small": "1", "tiny": "0.1"}
    for prices in (free, dict.fromkeys(free, "0")):
        drawn = gather(outcomes(), catalogue(prices), ASSUMED)
        fitted = fit(*parts_of(drawn, 0.25, 0), Target(max_loss=0.02))
        assert fitted.reasons == ("`large` is the best and the cheapest",)
        summary = summary_of(fitted)
        json.dumps(summary.data(), allow_nan=False)
        shown = [cell for table in summary.tables for row in table.rows for cell in row]
        assert not any("nan" in cell or "inf" in cell for cell in shown)
        assert ("no share of nothing" in shown) == (prices is free)
