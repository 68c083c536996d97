"""How strong models are by pairwise preferences: the Bradley-Terry model, by task.

A model of strength s wins against one of strength t with the probability s / (s + t) (Bradley and Terry 1952). A tie is
half a win for each, as in the scores of Chatbot Arena (Chiang et al. 2024, arXiv:2403.04132). Strengths are the maximum
likelihood, found by the MM algorithm (Hunter 2004, "MM algorithms for generalized Bradley-Terry models"); it is finite
for models of which, whatever way they are divided, each side has won against the other (Ford 1957). Others, such as one
that won every comparison, are left out and named. Intervals are percentiles of a bootstrap over groups of prompts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from costlens_policy.fit.measurements import Floats, Places
from costlens_policy.fit.outcomes import Outcomes, OutcomesError
from costlens_policy.frozen import frozen

__all__ = ["Strength", "strengths"]

_TOLERANCE: Final = 1e-8
_STEPS: Final = 5000
_STEPS_AGAIN: Final = 60
"""Of a resample, which begins at the strengths of all comparisons."""
_LEVEL: Final = 0.95


@frozen
class Strength:
    """A model's share of wins against the other models of the task, from 0 to 1, each of them weighing the same.

    ``low`` and ``high`` are its 95 % interval. All three are None where the comparisons do not determine them.
    """

    task: str | None
    model: str
    comparisons: int
    share: float | None
    low: float | None
    high: float | None


@frozen(eq=False)
class _Comparisons:
    """Comparisons of one task: the places of both models, what the first won, and the number of the group."""

    first: Places
    second: Places
    share: Floats
    group: Places

    def wins(self, models: int, weight: Floats | None = None) -> Floats:
        """Return what each model, by rows, won against each other one; groups may weigh other than once."""
        weights = np.ones(len(self.share)) if weight is None else weight[self.group]
        found = np.zeros((models, models))
        np.add.at(found, (self.first, self.second), self.share * weights)
        np.add.at(found, (self.second, self.first), (1 - self.share) * weights)
        return found


def strengths(outcomes: Outcomes, resamples: int = 400, seed: int = 0) -> tuple[Strength, ...]:
    """Return the strength of every model on every task that it was compared on, by task and model.

    Raises ``OutcomesError`` for outcomes that are not ``paired``.
    """
    if not outcomes.paired:
        raise OutcomesError("strengths are of pairwise preferences, and these outcomes have a score for each model")
    random = np.random.default_rng(seed)
    return tuple(
        item
        for task, compared in _by_task(outcomes).items()
        for item in _of_task(task, outcomes.models, compared, resamples, random)
    )


def _by_task(outcomes: Outcomes) -> dict[str | None, _Comparisons]:
    rows: dict[str | None, list[tuple[int, int, float, int]]] = {task: [] for task in outcomes.tasks}
    groups: dict[str, int] = {}
    columns = [outcomes.scores[model] for model in outcomes.models]
    for case, scores in zip(outcomes.cases, zip(*columns, strict=True), strict=True):
        compared = [(place, score) for place, score in enumerate(scores) if score is not None]
        if len(compared) == 2:
            (first, share), (second, _) = compared
            rows[case.task].append((first, second, share, groups.setdefault(case.group, len(groups))))
    return {task: _compared(found) for task, found in rows.items() if found}


def _compared(rows: list[tuple[int, int, float, int]]) -> _Comparisons:
    first, second, share, group = (np.array(column) for column in zip(*rows, strict=True))
    return _Comparisons(first, second, share.astype(float), np.unique(group, return_inverse=True)[1])


def _of_task(
    task: str | None, models: Sequence[str], compared: _Comparisons, resamples: int, random: np.random.Generator
) -> Iterator[Strength]:
    wins = compared.wins(len(models))
    counts = np.bincount(np.concatenate([compared.first, compared.second]), minlength=len(models))
    among = _comparable(wins)
    shares: dict[int, tuple[float, float, float]] = {}
    if len(among) > 1:
        inside = np.ix_(among, among)
        fitted = _fit(wins[inside], np.ones(len(among)), _STEPS)
        groups, samples = int(compared.group.max()) + 1, [_shares(fitted)]
        for _ in range(resamples):
            weight = np.bincount(random.integers(0, groups, groups), minlength=groups).astype(float)
            samples.append(_shares(_fit(compared.wins(len(models), weight)[inside], fitted, _STEPS_AGAIN)))
        low, high = np.quantile(samples[1:] or samples, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2], axis=0)
        shares = {model: (float(samples[0][at]), float(low[at]), float(high[at])) for at, model in enumerate(among)}
    for place, model in enumerate(models):
        if counts[place]:
            yield Strength(task, model, int(counts[place]), *shares.get(place, (None, None, None)))


def _comparable(wins: Floats) -> list[int]:
    """Return the most models that each have won against each other, directly or through others."""
    reached = np.eye(len(wins)) + (wins > 0) > 0
    for _ in range(len(wins).bit_length()):
        reached = reached.astype(float) @ reached.astype(float) > 0
    parts = [np.flatnonzero(row).tolist() for row in reached & reached.T]
    return max(parts, key=len, default=[])


def _fit(wins: Floats, start: Floats, steps: int) -> Floats:
    """Return strengths whose geometric mean is 1."""
    strength, won, times = start, np.maximum(wins.sum(axis=1), _TOLERANCE), wins + wins.T
    for _ in range(steps):
        moved = won / np.maximum((times / (strength[:, None] + strength)).sum(axis=1), _TOLERANCE)
        moved = moved / np.exp(np.log(moved).mean())
        change = np.max(np.abs(moved - strength) / strength)
        strength = moved
        if change < _TOLERANCE:
            break
    return strength


def _shares(strength: Floats) -> Floats:
    chances = strength[:, None] / (strength[:, None] + strength)
    found: Floats = (chances.sum(axis=1) - 0.5) / (len(strength) - 1)  # without the model itself
    return found
