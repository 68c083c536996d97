"""Which model serves which task: one number, what a right answer is worth, makes all the choices alike.

For each task the model with the least ``cost - worth * score`` serves, by the means of that task. A worth of nothing
takes the cheapest model everywhere, one beyond all bounds the best; in between lie the choices that no other choice
beats in both cost and score, the corners of the convex hull (Everett, "Generalized Lagrange multiplier method",
Operations Research 11, 1963). So there is one threshold for all tasks; one for each would fit noise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import numpy as np

from costlens_policy.fit.measurements import Flags, Floats, Measurements, Places
from costlens_policy.fit.outcomes import OutcomesError
from costlens_policy.frozen import frozen

__all__ = ["FEWEST", "Choice", "Means", "folds_of", "holdout_of", "means_of", "worths_of"]

FEWEST: Final = 30
"""Cases below which a task is not judged by itself; the default model serves it. Equal prompts are one case here."""


@frozen(eq=False)
class Means:
    """What was measured of each task (rows) on each model (columns), and which tasks have enough cases."""

    scores: Floats
    costs: Floats
    cases: Places
    enough: Flags
    """Which tasks are judged by themselves."""
    best: int
    """The model with the best mean score over all cases, by its place; of equal ones the cheaper."""
    cheapest: int
    """The model with the lowest mean cost over all cases; of equal ones the better."""

    def choose(self, worth: float) -> Choice:
        """Return the choice at a worth in US dollars of a right answer; infinity takes the best of each task."""
        if math.isinf(worth):
            best = self.scores.max(axis=1, keepdims=True)
            models = np.where(self.scores >= best - 1e-12, self.costs, math.inf).argmin(axis=1)
        else:
            models = (self.costs - worth * self.scores).argmin(axis=1)
        return Choice(worth, np.where(self.enough, models, self.best), self.best)

    def at(self, worth: float | None) -> Choice:
        """Return the choice at a worth; None stands for one model everywhere."""
        return self.best_everywhere() if worth is None else self.choose(worth)

    def best_everywhere(self) -> Choice:
        """Return the choice of the best single model for every task."""
        return Choice(None, np.full(len(self.cases), self.best), self.best)


@frozen(eq=False)
class Choice:
    """A model for each task, by its place, and the one for all others. ``worth`` is None for one model everywhere."""

    worth: float | None
    models: Places
    default: int

    def served(self, measurements: Measurements) -> Places:
        """Return the model that serves each case."""
        return self.models[measurements.task_of]

    def same_as(self, other: Choice) -> bool:
        """Whether both have the same model serve each task and all others."""
        return self.default == other.default and bool((self.models == other.models).all())


def means_of(measurements: Measurements, judged: Flags | None = None) -> Means:
    """Measure each task. A task without cases counts as unmeasured.

    A task is judged by itself if it has ``FEWEST`` cases. Measurements that are a part of others take which are
    ``judged`` from the whole, so that a fold makes the choices that the fit makes.
    """
    count = len(measurements.tasks)
    cases = np.bincount(measurements.task_of, minlength=count)
    scores, costs = (
        np.stack([np.bincount(measurements.task_of, column, count) for column in table.T], axis=1)
        / np.maximum(cases, 1)[:, None]
        for table in (measurements.scores, measurements.costs)
    )
    score, cost = measurements.scores.mean(axis=0), measurements.costs.mean(axis=0)
    order = range(len(measurements.models))
    best = min(order, key=lambda place: (-round(score[place], 12), cost[place]))
    cheapest = min(order, key=lambda place: (cost[place], -score[place]))
    enough = _different(measurements) >= FEWEST if judged is None else judged & (cases > 0)
    return Means(scores, costs, cases, enough, best, cheapest)


def _different(measurements: Measurements) -> Places:
    """Return how many groups of equal prompts each task has."""
    pairs = np.unique(np.stack([measurements.task_of, measurements.group_of], axis=1), axis=0)
    return np.bincount(pairs[:, 0], minlength=len(measurements.tasks))


def worths_of(means: Means) -> tuple[float, ...]:
    """Return a worth for each different choice, ascending: 0, a round number between the steps, and infinity.

    Raises ``OutcomesError`` where no task has enough cases.
    """
    steps = sorted({step for task in _enough(means) for step in _steps(means.scores[task], means.costs[task])})
    between = (_round_between(low, high) for low, high in pairwise([*steps, math.inf]))
    return (0.0, *(worth for worth in between if not math.isinf(worth)), math.inf)


def _enough(means: Means) -> list[int]:
    found = [int(task) for task in np.flatnonzero(means.enough)]
    if not found:
        raise OutcomesError(
            f"no task has {FEWEST} cases with different prompts to fit to, the largest has {max(means.cases)} cases; "
            f"add cases, or leave the column of tasks out so that all are fitted as one"
        )
    return found


def _steps(scores: Floats, costs: Floats) -> Iterator[float]:
    """Yield the worths at which the choice of one task moves on, from the cheapest model up the hull to the best."""
    at = min(range(len(scores)), key=lambda place: (costs[place], -scores[place]))
    while True:
        better = [place for place in range(len(scores)) if scores[place] > scores[at] + 1e-12]
        if not better:
            return
        slope = {place: (costs[place] - costs[at]) / (scores[place] - scores[at]) for place in better}
        at = min(better, key=lambda place: (slope[place], -scores[place]))
        yield float(slope[at])


def _round_between(low: float, high: float) -> float:
    """Return the number with the fewest digits between two, not too near to either."""
    if math.isinf(high):
        high = low * 4 if low > 0 else 1.0
    if high <= low * (1 + 1e-9):
        return math.inf  # no choice lies between steps that coincide
    low, high = low + (high - low) / 8, high - (high - low) / 8
    for digits in range(1, 17):
        found = float(f"{(low + high) / 2:.{digits - 1}e}")
        if low <= found <= high:
            return found
    return (low + high) / 2


def folds_of(measurements: Measurements, folds: int, seed: int) -> Places:
    """Return the fold of each case: groups stay whole, and the tasks are spread evenly."""
    return _ranks(measurements, seed) % folds


def holdout_of(measurements: Measurements, share: float, seed: int) -> Flags:
    """Return which cases are kept aside, about this share of each task, in whole groups."""
    ranks = _ranks(measurements, seed)
    aside: Flags = np.floor((ranks + 1) * share) > np.floor(ranks * share)
    return aside


def _ranks(measurements: Measurements, seed: int) -> Places:
    """Return the place of each case's group when groups are shuffled within their tasks, which follow each other."""
    _, first, group_of = np.unique(measurements.group_of, return_index=True, return_inverse=True)
    shuffled = np.random.default_rng(seed).permutation(len(first))
    order = np.lexsort((shuffled, measurements.task_of[first]))
    ranks = np.empty(len(first), dtype=np.int64)
    ranks[order] = np.arange(len(first))
    ranked: Places = ranks[group_of]
    return ranked
