"""Targets: what cross-validation chooses keeps them on new data, and noise is not fitted to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from costlens_policy.fit.target import Target, cases_for, choose_for, in_points, knee_of, points_of
from tests.fit.drawn import measurements


def test_the_largest_loss_is_kept_and_what_is_saved_is_large() -> None:
    found = measurements()
    points = points_of(found, seed=0)
    chosen = choose_for(Target(max_loss=0.02), points)
    assert chosen is not None
    names = [found.models[place] for place in chosen.choice.models]
    assert names[:2] == ["small", "large"]
    assert names[2] in ("small", "tiny")
    assert chosen.saving == pytest.approx(0.6, abs=0.06)
    assert chosen.gain - 1.28 * chosen.error >= -0.02


def test_the_best_single_model_is_a_point_that_always_meets_a_loss_of_nothing() -> None:
    points = points_of(measurements(), seed=0)
    single = next(point for point in points if point.choice.worth is None)
    assert (single.gain, single.error, single.saving, single.strong) == (0, 0, 0, 1)
    assert choose_for(Target(max_loss=0), points) is not None


def test_where_models_differ_in_nothing_but_noise_no_gain_is_claimed() -> None:
    alike = {task: {"large": 0.5, "small": 0.5} for task in "abcdefghij"}
    gains = [max(point.gain for point in points_of(measurements(alike, 40, seed), seed)) for seed in range(12)]
    assert sum(gains) / len(gains) < 0.04  # in sample, the better of two models is 6 points above the mean of both


def test_a_share_and_a_cost_are_kept() -> None:
    points = points_of(measurements(), seed=0)
    dear = max(points, key=lambda point: point.cost)
    for target in (Target(strong_share=0.35), Target(max_cost_usd=dear.cost / 2), Target(max_loss=1, strong_share=0)):
        chosen = choose_for(target, points)
        assert chosen is not None
        assert chosen.meets(target)
        assert chosen.cost < dear.cost
    assert choose_for(Target(max_cost_usd=1e-9), points) is None


def test_the_knee_is_the_point_that_gains_most_over_a_straight_line() -> None:
    found = measurements()
    knee = knee_of(points_of(found, seed=0))
    assert knee is not None
    names = [found.models[place] for place in knee.choice.models]
    assert names[:2] == ["small", "small"]  # half of the questions of code are lost, for a tenth of the cost


def test_equal_input_gives_equal_output() -> None:
    first, second = (points_of(measurements(), seed=3) for _ in range(2))
    assert [(p.score, p.cost, p.gain, p.error) for p in first] == [(p.score, p.cost, p.gain, p.error) for p in second]


def test_tasks_that_just_have_enough_cases_are_judged_in_each_fold() -> None:
    worse = {f"task {number}": {"large": 0.9, "small": 0.7} for number in range(10)}
    points = points_of(measurements(worse, 31), seed=0)
    cheapest = next(point for point in points if point.choice.worth == 0)
    assert cheapest.strong == 0
    assert cheapest.gain == pytest.approx(-0.2, abs=0.07)
    chosen = choose_for(Target(max_loss=0.01), points)
    assert chosen is not None
    assert chosen.gain - 1.28 * chosen.error >= -0.01


def test_how_many_cases_would_do_and_how_a_loss_is_said() -> None:
    point = replace(points_of(measurements(cases=60), seed=0)[0], gain=0.0, error=0.02)
    needed = cases_for(point, 0.01, 200)
    assert needed == 1314  # the error must be 0.01 / 1.2816
    assert cases_for(point, 0.03, 200) is None
    assert cases_for(replace(point, gain=-0.02), 0.01, 200) is None
    assert [in_points(loss) for loss in (0.01, 0.02, 0.005, 0)] == ["1 point", "2 points", "0.5 points", "0 points"]
