"""Means with intervals: how far a score, a cost or a difference can be trusted.

A score of 0 or 1 gets the interval of Wilson (1927), which keeps to its level near 0 and 1 and for few cases (Brown,
Cai and DasGupta, "Interval estimation for a binomial proportion", Statistical Science 16, 2001). A graded score gets
Student's t on its mean, cut at 0 and 1. What was counted by the million comes as sums: the number of scores, their
total, and the total of their squares.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, pvariance
from typing import Final

from costlens_policy.frozen import frozen

__all__ = ["LEVEL", "Estimate", "difference", "measured", "of_pairs", "of_sums", "student", "widened", "wilson"]

LEVEL: Final = 0.95
"""Of all intervals."""
_ROUNDED: Final = 1e-12
"""A variance below it is what rounding left of none."""


@frozen
class Estimate:
    """A value with its interval, from so many cases; equal prompts are one case."""

    value: float
    low: float
    high: float
    cases: int

    def __contains__(self, value: float) -> bool:
        """Whether the interval covers a value."""
        return self.low <= value <= self.high


def measured(scores: Sequence[float]) -> Estimate:
    """Estimate the mean of scores from 0 to 1. Raises ``ValueError`` without scores."""
    if not scores:
        raise ValueError("no scores")
    mean, cases = fmean(scores), len(scores)
    if all(score in (0, 1) for score in scores) or cases < 2 or not pvariance(scores):
        return wilson(mean, cases)
    return student(mean, math.sqrt(pvariance(scores) / (cases - 1)), cases)


def of_sums(total: float, squares: float, cases: int) -> Estimate:
    """Estimate the mean of scores from 0 to 1 from their sums. Raises ``ValueError`` without scores."""
    if not cases:
        raise ValueError("no scores")
    mean = min(max(total / cases, 0.0), 1.0)
    variance = squares / cases - mean * mean
    if total == squares or cases < 2 or variance < _ROUNDED:  # only 0 and 1 are their own squares
        return wilson(mean, cases)
    return student(mean, math.sqrt(variance / (cases - 1)), cases)


def of_pairs(total: float, squares: float, cases: int, level: float = LEVEL) -> Estimate:
    """Estimate the mean of the differences of two scores of the same cases, each from -1 to 1, from their sums.

    One case is added that differs by 1, and one that differs by -1, so that a few cases which all agree prove little:
    for shares, the interval of Bonett and Price ("Adjusted Wald confidence interval for a difference of binomial
    proportions based on paired data", Journal of Educational and Behavioral Statistics 37, 2012). Raises ``ValueError``
    without cases.
    """
    if not cases:
        raise ValueError("no cases")
    value, more = total / cases, cases + 2
    center = total / more
    z = NormalDist().inv_cdf((1 + level) / 2)
    half = z * math.sqrt(max((squares + 2) / more - center * center, 0.0) / more)
    return Estimate(value, max(min(center - half, value), -1.0), min(max(center + half, value), 1.0), cases)


def wilson(mean: float, cases: int, level: float = LEVEL) -> Estimate:
    """Return the score interval of Wilson for a share; it is conservative where scores lie between 0 and 1."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    center = (mean + z * z / (2 * cases)) / (1 + z * z / cases)
    half = z / (1 + z * z / cases) * math.sqrt(mean * (1 - mean) / cases + (z / (2 * cases)) ** 2)
    # A bound that is 0 or 1 is exactly that, whatever is lost in rounding.
    return Estimate(
        mean, max(0.0, center - half) if mean > 0 else 0.0, min(1.0, center + half) if mean < 1 else 1.0, cases
    )


def student(mean: float, error: float, cases: int, level: float = LEVEL) -> Estimate:
    """Return the interval of Student's t for a mean from 0 to 1 with its standard error."""
    half = _t(cases - 1, level) * error
    return Estimate(mean, max(0.0, mean - half), min(1.0, mean + half), cases)


def difference(new: Estimate, old: Estimate) -> Estimate:
    """Return new - old for two estimates on different cases, with the interval of Newcombe's method 10.

    It is made of the two intervals, so that it serves shares and means alike (Newcombe, "Interval estimation for the
    difference between independent proportions", Statistics in Medicine 17, 1998).
    """
    value = new.value - old.value
    below = math.hypot(new.value - new.low, old.high - old.value)
    above = math.hypot(new.high - new.value, old.value - old.low)
    return Estimate(value, value - below, value + above, min(new.cases, old.cases))


def widened(estimate: Estimate, level: float) -> Estimate:
    """Return an estimate whose interval is of a level with the one that it has at the usual level."""
    if level == LEVEL:
        return estimate
    ratio = NormalDist().inv_cdf((1 + LEVEL) / 2) / NormalDist().inv_cdf((1 + level) / 2)
    low, high = (estimate.value + (end - estimate.value) * ratio for end in (estimate.low, estimate.high))
    return Estimate(estimate.value, max(low, 0.0), min(high, 1.0), estimate.cases)


def _t(freedom: int, level: float) -> float:
    """Return a quantile of Student's t by the expansion 26.7.5 of Abramowitz and Stegun; 1 % off at 3, 0.1 % at 10."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return math.fsum(term / freedom**power for power, term in enumerate(terms))
