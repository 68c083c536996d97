"""Which qualities that a catalogue states have moved, by outcomes that are newer.

Both samples vary by chance, and many comparisons find something by chance alone. So a quality counts as moved only
where it does by the procedure of Holm (Scandinavian Journal of Statistics 6, 1979). The chance of any false alarm is
kept below 5%, of which four fifths go to the qualities of models that serve: a check fails for these alone, and what it
can find does not shrink by all the models that were measured, too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import Final

from costlens_policy.catalogue import Catalogue
from costlens_policy.catalogue import Evidence as Stated
from costlens_policy.diagnostics.suggestion import listed
from costlens_policy.fit.choosing import FEWEST
from costlens_policy.fit.outcomes import Outcomes, OutcomesError
from costlens_policy.frozen import frozen
from costlens_policy.intervals import LEVEL, Estimate, difference, measured, widened, wilson

__all__ = ["MOST_ALARMS", "Quality", "moved_qualities", "stated_quality"]

MOST_ALARMS: Final = 1 - LEVEL
"""The chance of any false alarm."""
_OF_SERVING: Final = 0.8
_Pair = tuple[str | None, str]
"""A task, and a model."""


@frozen
class Quality:
    """The quality of a model in a task: as the catalogue states it, and as the new cases have it.

    ``serves`` says whether the policy has the model serve cases of the task, ``moved`` whether the two differ beyond
    chance.
    """

    task: str
    model: str
    stated: Estimate
    new: Estimate
    change: Estimate
    serves: bool
    moved: bool


def moved_qualities(
    outcomes: Outcomes, names: Mapping[str, str], catalogue: Catalogue, serving: Collection[_Pair]
) -> tuple[Quality, ...]:
    """Return each quality that is stated and was measured again on enough cases, whether it moved or not.

    ``names`` are those that the models of the outcomes have in the catalogue, ``serving`` the tasks and models of it
    that the policy brings together. Raises ``OutcomesError`` where none can be compared, with the reason.
    """
    new = _measured(outcomes, names)
    stated = {pair: _as_stated(catalogue, pair) for pair in new}
    enough = [pair for pair, found in new.items() if stated[pair] is not None and found.cases >= FEWEST]
    if not enough:
        raise OutcomesError(_why_none(new, {pair for pair in new if stated[pair] is not None}, catalogue))
    return tuple(_compared(enough, new, stated, serving))


def _compared(
    pairs: Sequence[_Pair], new: Mapping[_Pair, Estimate], stated: Mapping[_Pair, Estimate | None],
    serving: Collection[_Pair],
) -> Iterator[Quality]:  # fmt: skip
    changes = {}
    for pair in pairs:
        before = stated[pair]
        assert before is not None
        changes[pair] = difference(new[pair], before)
    moved: dict[_Pair, bool] = {}
    for serves, share in ((True, _OF_SERVING), (False, 1 - _OF_SERVING)):
        family = [pair for pair in pairs if (pair in serving) is serves]
        found = _beyond_chance([_chance(changes[pair]) for pair in family], MOST_ALARMS * share)
        moved.update(zip(family, found, strict=True))
    for pair in pairs:
        (task, model), before = pair, stated[pair]
        assert before is not None
        yield Quality(task or "", model, before, new[pair], changes[pair], pair in serving, moved[pair])


def _measured(outcomes: Outcomes, names: Mapping[str, str]) -> dict[_Pair, Estimate]:
    """Return the new quality by task and model, from all cases that have a score of the model.

    Equal prompts are one case, with their mean.
    """
    found: dict[_Pair, Estimate] = {}
    for model, scores in outcomes.scores.items():
        by_task: dict[str | None, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for case, score in zip(outcomes.cases, scores, strict=True):
            if score is not None:
                by_task[case.task][case.group].append(score)
        for task, groups in by_task.items():
            found[task, names[model]] = measured([sum(group) / len(group) for group in groups.values()])
    return found


def _as_stated(catalogue: Catalogue, pair: _Pair) -> Estimate | None:
    return stated_quality(catalogue, pair[1], pair[0])


def _why_none(new: Mapping[_Pair, Estimate], stated: Collection[_Pair], catalogue: Catalogue) -> str:
    """Return why no quality can be compared."""
    if stated:
        (task, model), most = max(((pair, new[pair]) for pair in sorted(stated)), key=lambda item: item[1].cases)
        return (
            f"a comparison needs {FEWEST} new cases with different prompts of a model in a task, and the most are "
            f"{most.cases}, of `{model}` in `{task}`; add cases"
        )
    known = sorted({task for model in catalogue for task in model.quality})
    if not known:
        return "the catalogue states no quality; `fit --write` writes it"
    tasks = sorted({task for task, _ in new if task is not None})
    if not tasks:
        return "these outcomes name no task, and the catalogue states quality by task; map `task`, or set it with --set"
    if set(tasks).isdisjoint(known):
        return (
            f"these outcomes have the tasks {listed(tasks)}, and the catalogue states quality of {listed(known)}; map "
            f"`task` to a column that names tasks as the catalogue does"
        )
    return f"the catalogue states no quality of {listed(sorted({model for _, model in new}), 'or')} in these tasks"


def stated_quality(catalogue: Catalogue, name: str, task: str | None) -> Estimate | None:
    """Return the quality that a catalogue states; one without an interval gets that of its cases, or is exact."""
    model = catalogue.find(name)
    if model is None or task is None or task not in model.quality:
        return None
    value, evidence = model.quality[task], model.evidence.get(task, Stated())
    if evidence.low is not None and evidence.high is not None:
        return widened(Estimate(value, evidence.low, evidence.high, evidence.cases or 0), evidence.level)
    return wilson(value, evidence.cases) if evidence.cases else Estimate(value, value, value, 0)


def _chance(change: Estimate) -> float:
    """Return how likely a change of this size is by chance, from its interval on the side of no change."""
    half = change.value - change.low if change.value > 0 else change.high - change.value
    if change.value == 0 or half <= 0:
        return 1.0 if change.value == 0 else 0.0
    z = abs(change.value) / half * NormalDist().inv_cdf((1 + LEVEL) / 2)
    return 2 * (1 - NormalDist().cdf(z))


def _beyond_chance(chances: Sequence[float], most: float) -> list[bool]:
    """Return which of many changes are real by the procedure of Holm, with at most this chance of a false alarm."""
    found = [False] * len(chances)
    for place, at in enumerate(sorted(range(len(chances)), key=lambda at: chances[at])):
        if chances[at] > most / (len(chances) - place):
            break
        found[at] = True
    return found
