"""How strong models are by pairwise preferences: the Bradley-Terry model, by task.

A model of strength s wins against one of strength t with the probability s / (s + t) (Bradley and Terry 1952). A tie is
half a win for each, as in the scores of Chatbot Arena (Chiang et al. 2024, arXiv:2403.04132). Strengths are the maximum
likelihood, found by the MM algorithm (Hunter 2004, "MM algorithms for generalized Bradley-Terry models"); it is finite
for models of which, whatever way they are divided, each side has won against the other (Ford 1957). Others, such as one
that won every comparison, are left out and named. Intervals are percentiles of a bootstrap over groups of prompts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import exp, fsum, log
from random import Random
from typing import Final

from costlens_policy.fit.outcomes.cases import Outcomes, OutcomesError
from costlens_policy.frozen import frozen

__all__ = ["Strength", "strengths"]

_Pair = tuple[str, str]
_Wins = Mapping[_Pair, float]
"""What the first model won against the second, ties by halves."""
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


def strengths(outcomes: Outcomes, resamples: int = 200, seed: int = 0) -> tuple[Strength, ...]:
    """Return the strength of every model on every task that it was compared on, by task and model.

    Raises ``OutcomesError`` for outcomes that are not ``paired``.
    """
    if not outcomes.paired:
        raise OutcomesError("strengths are of pairwise preferences, and these outcomes have a score for each model")
    found: list[Strength] = []
    for task, groups in _by_task(outcomes).items():
        found += _of_task(task, list(groups.values()), resamples, Random(f"{seed}:{task}"))
    return tuple(found)


def _by_task(outcomes: Outcomes) -> dict[str | None, dict[str, list[tuple[str, str, float]]]]:
    """Return comparisons by task and group, each with what the first model won."""
    tasks: dict[str | None, dict[str, list[tuple[str, str, float]]]] = {task: {} for task in outcomes.tasks}
    models = outcomes.models
    columns = [outcomes.scores[model] for model in models]
    for case, scores in zip(outcomes.cases, zip(*columns, strict=True), strict=True):
        compared = [(model, score) for model, score in zip(models, scores, strict=True) if score is not None]
        if len(compared) == 2:
            (first, share), (second, _) = compared
            tasks[case.task].setdefault(case.group, []).append((first, second, share))
    return tasks


def _of_task(
    task: str | None, groups: Sequence[Sequence[tuple[str, str, float]]], resamples: int, random: Random
) -> list[Strength]:
    wins = _wins(groups)
    counts: dict[str, int] = {}
    for first, second, _ in (battle for group in groups for battle in group):
        counts[first] = counts.get(first, 0) + 1
        counts[second] = counts.get(second, 0) + 1
    models = _comparable(wins)
    shares, intervals = {}, {}
    if len(models) > 1:
        fitted = _fit(_among(wins, models), dict.fromkeys(models, 1.0), _STEPS)
        shares = _shares(fitted)
        again = [_among(_wins(random.choices(groups, k=len(groups))), models) for _ in range(resamples)]
        samples = [_shares(_fit(sample, fitted, _STEPS_AGAIN)) for sample in again]
        intervals = {model: _interval([sample[model] for sample in samples]) for model in models if samples}
    return [
        Strength(task, model, count, shares.get(model), *intervals.get(model, (None, None)))
        for model, count in sorted(counts.items())
    ]


def _wins(groups: Iterable[Sequence[tuple[str, str, float]]]) -> dict[_Pair, float]:
    wins: dict[_Pair, float] = {}
    for group in groups:
        for first, second, share in group:
            wins[first, second] = wins.get((first, second), 0.0) + share
            wins[second, first] = wins.get((second, first), 0.0) + 1 - share
    return wins


def _among(wins: _Wins, models: Sequence[str]) -> _Wins:
    return {pair: won for pair, won in wins.items() if pair[0] in models and pair[1] in models}


def _comparable(wins: _Wins) -> list[str]:
    """Return the most models that each have won against each other, directly or through others."""
    models = sorted({model for pair in wins for model in pair})
    beats: dict[str, set[str]] = {model: set() for model in models}
    beaten: dict[str, set[str]] = {model: set() for model in models}
    for (first, second), won in wins.items():
        if won > 0:
            beats[first].add(second)
            beaten[second].add(first)
    parts = [sorted(_reached(model, beats) & _reached(model, beaten)) for model in models]
    return max(parts, key=len, default=[])


def _reached(start: str, steps: Mapping[str, set[str]]) -> set[str]:
    seen, ahead = {start}, [start]
    while ahead:
        new = steps[ahead.pop()] - seen
        seen |= new
        ahead += new
    return seen


def _fit(wins: _Wins, start: Mapping[str, float], steps: int) -> dict[str, float]:
    """Return strengths whose geometric mean is 1."""
    strength = dict(start)
    opponents: dict[str, list[tuple[str, float]]] = {model: [] for model in start}
    for (first, second), won in wins.items():
        opponents[first].append((second, won + wins[second, first]))
    won_by = {model: fsum(wins[model, other] for other, _ in met) for model, met in opponents.items()}
    for _ in range(steps):
        moved = {
            model: max(won_by[model], _TOLERANCE)
            / fsum(times / (strength[model] + strength[other]) for other, times in met)
            if met
            else strength[model]
            for model, met in opponents.items()
        }
        mean = exp(fsum(map(log, moved.values())) / len(moved))
        moved = {model: value / mean for model, value in moved.items()}
        change = max(abs(moved[model] - strength[model]) / strength[model] for model in moved)
        strength = moved
        if change < _TOLERANCE:
            break
    return strength


def _shares(strength: Mapping[str, float]) -> dict[str, float]:
    return {
        model: fsum(own / (own + other) for name, other in strength.items() if name != model) / (len(strength) - 1)
        for model, own in strength.items()
    }


def _interval(values: Sequence[float]) -> tuple[float, float]:
    ordered = sorted(values)
    cut = (1 - _LEVEL) / 2
    return ordered[int(cut * len(ordered))], ordered[min(int((1 - cut) * len(ordered)), len(ordered) - 1)]
