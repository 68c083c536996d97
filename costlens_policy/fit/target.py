"""What is asked of a choice, and the choice that meets it by cross-validation inside the fitting data.

A choice that merely fits the noise of its data looks better there than it is. So each worth is judged by what the
choices that it makes from some folds do on the fold that is left out, and it has to keep within the loss with room for
its standard error, as the rule of one standard error has it (Breiman, Friedman, Olshen and Stone, "Classification and
regression trees", 1984); here the room is what makes it probable to nine in ten.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean
from typing import Final

import numpy as np

from costlens_policy.fit.choosing import Choice, folds_of, means_of, worths_of
from costlens_policy.fit.measurements import Flags, Floats, Measurements
from costlens_policy.frozen import frozen

__all__ = ["SURE", "Point", "Target", "cases_for", "choose_for", "in_points", "knee_of", "points_of"]

SURE: Final = 0.9
"""How probable it has to be that the loss is at most the largest one."""
_FOLDS: Final = 5
_REPEATS: Final = 4
"""How often the cases are folded anew: a single folding makes the curve jagged."""


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
        """Whether the target is met; the loss is, if it is with a probability of ``SURE``."""
        low = self.gain - NormalDist().inv_cdf(SURE) * self.error
        return (
            (target.max_loss is None or low >= -target.max_loss)
            and (target.max_cost_usd is None or self.cost <= target.max_cost_usd)
            and (target.strong_share is None or self.strong <= target.strong_share)
        )


def points_of(measurements: Measurements, seed: int) -> tuple[Point, ...]:
    """Judge the best single model and each different choice by cross-validation; the cheapest choice comes first."""
    means = means_of(measurements)
    worths = (*worths_of(means), None)
    tried = [_OutOfFold(measurements) for _ in worths]
    for repeat in range(_REPEATS):
        folds = folds_of(measurements, _FOLDS, seed + repeat)
        for left_out in (folds == fold for fold in range(_FOLDS)):
            if left_out.any() and not left_out.all():
                inside = means_of(measurements.part(~left_out), means.enough)
                for worth, result in zip(worths, tried, strict=True):
                    result.add(repeat, left_out, inside.at(worth), inside.best)
    points = [result.point(means.at(worth)) for worth, result in zip(worths, tried, strict=True)]
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


def cases_for(point: Point, max_loss: float, cases: int) -> int | None:
    """Return of how many cases a point would keep within a loss, with its gain and the variation of these ``cases``.

    None where more would not help: the point loses more, or keeps within the loss already.
    """
    room = point.gain + max_loss
    times = (NormalDist().inv_cdf(SURE) * point.error / room) ** 2 if room > 0 else 0.0
    return math.ceil(times * cases) if times > 1 else None


def in_points(loss: float) -> str:
    """Return a loss of score as words have it: 0.01 is 1 point."""
    number = f"{100 * loss:g}"
    return f"{number} point{'' if number == '1' else 's'}"


class _OutOfFold:
    """What the choices at one worth do on the cases that they were not made from, over several foldings."""

    def __init__(self, measurements: Measurements) -> None:
        self._measurements: Final = measurements
        shape = (_REPEATS, len(measurements))
        self._score, self._cost, self._best_score, self._best_cost, self._strong = (np.zeros(shape) for _ in range(5))

    def add(self, repeat: int, fold: Flags, choice: Choice, best: int) -> None:
        rows, measurements = np.flatnonzero(fold), self._measurements
        served = choice.models[measurements.task_of[rows]]
        self._score[repeat, rows], self._cost[repeat, rows] = (
            table[rows, served] for table in (measurements.scores, measurements.costs)
        )
        self._best_score[repeat, rows], self._best_cost[repeat, rows] = (
            table[rows, best] for table in (measurements.scores, measurements.costs)
        )
        self._strong[repeat, rows] = served == best

    def point(self, choice: Choice) -> Point:
        gains = self._score - self._best_score
        cost, best_cost = float(self._cost.mean()), float(self._best_cost.mean())
        return Point(
            choice,
            score=float(self._score.mean()),
            cost=cost,
            gain=float(gains.mean()),
            # Of one folding: the mean over foldings varies less than the one choice that is deployed.
            error=fmean(_error(each, self._measurements) for each in gains),
            saving=1 - cost / best_cost if best_cost else 0.0,
            strong=float(self._strong.mean()),
        )


def _error(values: Floats, measurements: Measurements) -> float:
    """Return the standard error of a mean whose cases come in groups."""
    off = np.bincount(measurements.group_of, values - values.mean())
    count = len(off)
    return math.sqrt(float((off**2).sum()) * count / max(count - 1, 1)) / len(values)
