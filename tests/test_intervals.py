"""Intervals: published values, and how often they cover what is true."""

from __future__ import annotations

import numpy as np
import pytest

from costlens_policy.fit.bootstrap import Bootstrap
from costlens_policy.intervals import difference, measured, of_pairs, of_sums, student, wilson


@pytest.mark.parametrize(
    ("right", "cases", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (29, 29, 0.8830, 1)],
)
def test_wilson_gives_the_intervals_that_newcombe_published(right: int, cases: int, low: float, high: float) -> None:
    found = wilson(right / cases, cases)
    assert (found.low, found.high) == (pytest.approx(low, abs=6e-5), pytest.approx(high, abs=6e-5))
    assert found.cases == cases


@pytest.mark.parametrize(("freedom", "quantile"), [(3, 3.18245), (5, 2.57058), (10, 2.22814), (30, 2.04227)])
def test_student_has_the_quantiles_of_the_tables(freedom: int, quantile: float) -> None:
    assert student(0.5, 0.01, freedom + 1).high == pytest.approx(0.5 + quantile * 0.01, rel=1e-3)


def test_scores_of_0_and_1_are_shares_and_others_are_means() -> None:
    assert measured([0, 1, 1, 1]) == wilson(0.75, 4)
    graded = measured([0.5, 0.6, 0.7, 0.6] * 10)
    assert graded.value == pytest.approx(0.6)
    assert graded.high - graded.low < 0.05 < wilson(0.6, 40).high - wilson(0.6, 40).low
    assert measured([0.7] * 40) == wilson(0.7, 40)  # equal scores are no proof that the next is equal
    with pytest.raises(ValueError, match="no scores"):
        measured([])


@pytest.mark.parametrize("scores", [[0, 1, 1, 1], [0.5, 0.6, 0.7, 0.6] * 10, [0.7] * 40, [1], [0.3]])
def test_sums_tell_the_same_as_scores(scores: list[float]) -> None:
    found, expected = of_sums(sum(scores), sum(score**2 for score in scores), len(scores)), measured(scores)
    assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))
    with pytest.raises(ValueError, match="no scores"):
        of_sums(0, 0, 0)


def test_pairs_are_compared_by_what_differs_between_them() -> None:
    ten_of_a_thousand = of_pairs(-10, 10, 1000)
    assert ten_of_a_thousand.value == -0.01
    assert -0.02 < ten_of_a_thousand.low < ten_of_a_thousand.high < 0
    agreed = of_pairs(0, 0, 3)  # three cases on which both are right tell nothing
    assert agreed.high == -agreed.low > 0.5
    assert of_pairs(0, 0, 3000).high < 0.002
    with pytest.raises(ValueError, match="no cases"):
        of_pairs(0, 0, 0)


@pytest.mark.parametrize("shares", [(0.02, 0.02), (0.1, 0.05), (0.0, 0.05)])
def test_the_interval_of_pairs_covers_the_true_difference(shares: tuple[float, float]) -> None:
    random, cases = np.random.default_rng(2), 150
    drawn = random.multinomial(cases, (*shares, 1 - sum(shares)), 1000)
    covered = sum(shares[0] - shares[1] in of_pairs(more - less, more + less, cases) for more, less, _ in drawn)
    assert covered >= 930


def test_the_difference_of_two_shares_is_newcombes() -> None:
    found = difference(wilson(56 / 70, 70), wilson(48 / 80, 80))
    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == (pytest.approx(0.0524, abs=6e-5), pytest.approx(0.3339, abs=6e-5))


def test_the_bootstrap_covers_a_paired_difference() -> None:
    random, covered = np.random.default_rng(1), 0
    for seed in range(100):
        common = random.random(120)
        first, second = (common < 0.7).astype(float), (common + 0.1 * random.random(120) < 0.7).astype(float)
        found = Bootstrap((first, second), np.arange(120), seed, draws=400).estimate(lambda x: x[..., 0] - x[..., 1])
        covered += 0.05 in found  # the chances differ by the mean of what is added
    assert covered >= 88


def test_what_repeats_counts_once() -> None:
    random = np.random.default_rng(2)
    scores = (random.random(100) < 0.5).astype(float)
    once = Bootstrap((scores,), np.arange(100), 0).estimate(lambda x: x[..., 0])
    often = Bootstrap((np.repeat(scores, 9),), np.repeat(np.arange(100), 9), 0).estimate(lambda x: x[..., 0])
    assert (often.low, often.high) == pytest.approx((once.low, once.high), abs=1e-12)
    assert often.cases == once.cases == 100
