"""What is asked of a choice, and the choice that meets it by cross-validation inside the fitting data.

A choice that merely fits the noise of its data looks better there than it is. So each worth is judged by what the
choices that it makes from some folds do on the fold that is left out, and it has to keep within the loss with one
standard error to spare (Breiman, Friedman, Olshen and Stone, "Classification and regression trees", 1984).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from costlens_policy.fit.choosing import Choice, folds_of, means_of, worths_of
from costlens_policy.fit.measurements import Flags, Floats, Measurements
from costlens_policy.frozen import frozen

__all__ = ["Point", "Target", "choose_for", "knee_of", "points_of"]

_FOLDS: Final = 5


@frozen
class Target:
    """What is asked. All that is given has to hold; without a largest loss, the best that meets the rest is chosen.

    ``max_loss`` is in score, as 0.01 for one point, below the best single model; ``max_cost_usd`` is for a call;
    ``strong_share`` is the share of calls that the best single model may serve.
    """

    max_loss: float | None = None
    max_cost_usd: float | None = None
    strong_share: float | None = None


@frozen(eq=False)
class Point:
    """A choice, with what it does out of fold: means for a case, beside the best single model on the same cases.

    ``gain`` is in score, its ``error`` one standard error; ``strong`` is the share of calls of the best single model.
    """

    choice: Choice
    score: float
    cost: float
    gain: float
    error: float
    saving: float
    strong: float

    def meets(self, target: Target) -> bool:
        """Whether the target is met, with one standard error to spare for the loss."""
        return (
            (target.max_loss is None or self.gain - self.error >= -target.max_loss)
            and (target.max_cost_usd is None or self.cost <= target.max_cost_usd)
            and (target.strong_share is None or self.strong <= target.strong_share)
        )


def points_of(measurements: Measurements, seed: int) -> tuple[Point, ...]:
    """Judge the best single model and each different choice by cross-validation; the cheapest choice comes first."""
    means = means_of(measurements)
    worths = (*worths_of(means), None)
    folds = folds_of(measurements, _FOLDS, seed)
    tried = [_OutOfFold(measurements) for _ in worths]
    for fold in range(_FOLDS):
        left_out = folds == fold
        if not left_out.any() or left_out.all():
            continue
        inside = means_of(measurements.part(~left_out))
        for worth, result in zip(worths, tried, strict=True):
            result.add(left_out, inside.best_everywhere() if worth is None else inside.choose(worth), inside.best)
    choices = [means.best_everywhere() if worth is None else means.choose(worth) for worth in worths]
    points = [result.point(choice) for choice, result in zip(choices, tried, strict=True)]
    return tuple(sorted(points, key=lambda point: point.cost))


def choose_for(target: Target, points: Sequence[Point]) -> Point | None:
    """Return the cheapest point that keeps within the largest loss, or else the best; None where no point meets it."""
    meeting = [point for point in points if point.meets(target)]
    if target.max_loss is not None:
        return min(meeting, key=lambda point: (point.cost, -point.score), default=None)
    return max(meeting, key=lambda point: (point.score, -point.cost), default=None)


def knee_of(points: Sequence[Point]) -> Point | None:
    """Return where the curve bends most: the point farthest above the line from its cheapest to its best point.

    As "kneedle" has it (Satopää and others, 2011). None where no point lies above the line.
    """
    low = min(points, key=lambda point: (point.cost, -point.score))
    high = max(points, key=lambda point: (point.score, -point.cost))
    width, height = high.cost - low.cost, high.score - low.score
    if width <= 0 or height <= 0:
        return None

    def above(point: Point) -> float:
        return (point.score - low.score) / height - (point.cost - low.cost) / width

    knee = max(points, key=above)
    return knee if above(knee) > 1e-9 else None


class _OutOfFold:
    """What the choices at one worth do on the cases that they were not made from."""

    def __init__(self, measurements: Measurements) -> None:
        self._measurements: Final = measurements
        self._score, self._cost, self._best_score, self._best_cost, self._strong = np.zeros((5, len(measurements)))

    def add(self, fold: Flags, choice: Choice, best: int) -> None:
        rows = np.flatnonzero(fold)
        measurements = self._measurements
        served = choice.models[measurements.task_of[rows]]
        self._score[rows], self._cost[rows] = measurements.scores[rows, served], measurements.costs[rows, served]
        self._best_score[rows], self._best_cost[rows] = measurements.scores[rows, best], measurements.costs[rows, best]
        self._strong[rows] = served == best

    def point(self, choice: Choice) -> Point:
        gains = self._score - self._best_score
        cost, best_cost = float(self._cost.mean()), float(self._best_cost.mean())
        return Point(
            choice,
            score=float(self._score.mean()),
            cost=cost,
            gain=float(gains.mean()),
            error=_error(gains, self._measurements),
            saving=1 - cost / best_cost if best_cost else 0.0,
            strong=float(self._strong.mean()),
        )


def _error(values: Floats, measurements: Measurements) -> float:
    """Return the standard error of a mean whose cases come in groups."""
    off = np.bincount(measurements.group_of, values - values.mean())
    count = len(off)
    return math.sqrt(float((off**2).sum()) * count / max(count - 1, 1)) / len(values)
