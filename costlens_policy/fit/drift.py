"""Whether what was fitted still holds, by outcomes that are newer than the fit.

Each quality that the deployed catalogue states is compared with the new one, and the deployed policy with the best
single model on the new cases. Both samples vary by chance, and many comparisons find something by chance alone. So a
quality counts as moved only where it does by the procedure of Holm (Scandinavian Journal of Statistics 6, 1979), which
keeps the chance of any false alarm, over all of them, below 5 %.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isnan
from statistics import NormalDist
from typing import Any, Final

import numpy as np

from costlens_policy.catalogue import Catalogue
from costlens_policy.catalogue import Evidence as Stated
from costlens_policy.diagnostics.suggestion import listed
from costlens_policy.fit.bootstrap import Bootstrap, share_saved
from costlens_policy.fit.choosing import FEWEST
from costlens_policy.fit.documents import qualities_of
from costlens_policy.fit.measurements import Measurements, Places
from costlens_policy.fit.outcomes import Case, OutcomesError
from costlens_policy.fit.target import in_points
from costlens_policy.frozen import frozen
from costlens_policy.intervals import LEVEL, Estimate, difference, wilson

__all__ = ["Drift", "Quality", "compare"]

_MOST: Final = 1 - LEVEL


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


@frozen
class Drift:
    """What new outcomes say about a deployed policy.

    ``gain`` in score and ``saving`` as a share of cost are those of the policy beside the best single model, named
    ``best``. ``failures`` say what no longer holds; ``unshown`` what these outcomes would have to show and do not;
    ``remarks`` what else could not be judged.
    """

    cases: int
    best: str
    gain: Estimate
    saving: Estimate
    qualities: tuple[Quality, ...]
    failures: tuple[str, ...]
    unshown: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether the policy is shown to hold."""
        return not self.failures and not self.unshown


def compare(
    measurements: Measurements, catalogue: Catalogue, decide: Callable[[Case], str | None], max_loss: float
) -> Drift:
    """Compare new measurements with what a catalogue states and a policy does.

    ``decide`` returns the model that the policy has serve a case, None where it refuses. Raises ``OutcomesError`` where
    the catalogue states no quality that was measured again, or nothing can be compared.
    """
    decided = [decide(case) for case in measurements.cases]
    serving = [_own_name(name, catalogue) for name in decided]
    judged, served = _served(measurements, serving, catalogue)
    if judged.groups < FEWEST:
        raise OutcomesError(
            f"a comparison needs {FEWEST} cases that the policy serves by a model that was measured, got "
            f"{judged.groups}"
        )
    qualities = tuple(_qualities(judged, served, catalogue))
    if not qualities:
        raise OutcomesError("the catalogue states no quality that these outcomes measure; `fit --write` writes it")
    before = _best(judged, catalogue)
    best = _best_now(judged, before)
    gain, saving = _beside(judged, served, best)
    failures = tuple(_failures(qualities, gain, saving, max_loss))
    unmeasured = _unmeasured_best(measurements, catalogue)
    unshown = (
        *_missing(unmeasured, serving),
        *_saves_nothing(judged, catalogue, bool((served == best).all()), judged.models[best], saving),
    )
    remarks = [*_remarks(measurements, judged, serving, qualities, gain, max_loss, catalogue)]
    if best != before:
        remarks.insert(0, f"the best single model is now `{judged.models[best]}`, no longer `{judged.models[before]}`")
    if unmeasured is not None and unmeasured not in serving:
        remarks.append(f"`{unmeasured}`, the best single model by the stated quality, is not measured here")
    return Drift(len(judged), judged.models[best], gain, saving, qualities, failures, unshown, tuple(remarks))


def _own_name(name: str | None, catalogue: Catalogue) -> str | None:
    model = None if name is None else catalogue.find(name)
    return name if model is None else model.name


def _served(
    measurements: Measurements, decided: Sequence[str | None], catalogue: Catalogue
) -> tuple[Measurements, Places]:
    """Return the cases that a measured model serves, and that model by its place."""
    places = {_own_name(name, catalogue): place for place, name in enumerate(measurements.models)}
    at = np.array([-1 if name is None else places.get(name, -1) for name in decided], dtype=np.int64)
    return measurements.part(at >= 0), at[at >= 0]


def _qualities(judged: Measurements, served: Places, catalogue: Catalogue) -> Iterator[Quality]:
    """Yield each quality that is stated and was measured again on enough cases, whether it moved or not."""
    serving = {(judged.tasks[task], judged.models[model]) for task, model in zip(judged.task_of, served, strict=True)}
    compared = []
    for (task, model), new in qualities_of(judged).items():
        stated = _stated(catalogue, model, task)
        if task is not None and stated is not None and new.cases >= FEWEST:
            compared.append((task, model, stated, new, difference(new, stated)))
    moved = _beyond_chance([_chance(change) for *_, change in compared])
    for (task, model, stated, new, change), is_moved in zip(compared, moved, strict=True):
        yield Quality(task, model, stated, new, change, (task, model) in serving, is_moved)


def _stated(catalogue: Catalogue, name: str, task: str | None) -> Estimate | None:
    """Return the quality that a catalogue states; one without an interval gets that of its cases, or is exact."""
    model = catalogue.find(name)
    if model is None or task is None or task not in model.quality:
        return None
    value, evidence = model.quality[task], model.evidence.get(task, Stated())
    if evidence.low is not None and evidence.high is not None:
        usual, own = (NormalDist().inv_cdf((1 + level) / 2) for level in (LEVEL, evidence.level))
        low, high = (value + (end - value) * usual / own for end in (evidence.low, evidence.high))
        return Estimate(value, max(low, 0.0), min(high, 1.0), evidence.cases or 0)
    return wilson(value, evidence.cases) if evidence.cases else Estimate(value, value, value, 0)


def _chance(change: Estimate) -> float:
    """Return how likely a change of this size is by chance, from its interval on the side of no change."""
    half = change.value - change.low if change.value > 0 else change.high - change.value
    if change.value == 0 or half <= 0:
        return 1.0 if change.value == 0 else 0.0
    z = abs(change.value) / half * NormalDist().inv_cdf((1 + LEVEL) / 2)
    return 2 * (1 - NormalDist().cdf(z))


def _beyond_chance(chances: Sequence[float]) -> list[bool]:
    """Return which of many changes are real by the procedure of Holm."""
    found = [False] * len(chances)
    for place, at in enumerate(sorted(range(len(chances)), key=lambda at: chances[at])):
        if chances[at] > _MOST / (len(chances) - place):
            break
        found[at] = True
    return found


def _best(judged: Measurements, catalogue: Catalogue) -> int:
    """Return the best single model by the stated quality of these tasks, or by the new scores where that is unknown."""
    means = []
    for name in judged.models:
        stated = [_stated(catalogue, name, task) for task in judged.tasks]
        by_case = [stated[task] for task in judged.task_of]
        if any(item is None for item in by_case):
            means = list(judged.scores.mean(axis=0))
            break
        means.append(np.mean([item.value for item in by_case if item is not None]))
    costs = judged.costs.mean(axis=0)
    return min(range(len(means)), key=lambda place: (-round(float(means[place]), 12), costs[place]))


def _best_now(judged: Measurements, before: int) -> int:
    """Return the best single model on the new cases, where it is better than the one before beyond chance.

    The highest of many means is high by chance, too, so the interval of each difference is that of Bonferroni.
    """
    drawn = Bootstrap(list(judged.scores.T), judged.group_of, seed=0)
    level = 1 - _MOST / max(len(judged.models) - 1, 1)

    def gain_of(place: int) -> Estimate:
        return drawn.estimate(lambda means: means[..., place] - means[..., before], level)

    gains = {place: gain_of(place) for place in range(len(judged.models)) if place != before}
    better = [
        (gain.value, -float(judged.costs[:, place].mean()), place) for place, gain in gains.items() if gain.low > 0
    ]
    return max(better)[2] if better else before


def _unmeasured_best(measurements: Measurements, catalogue: Catalogue) -> str | None:
    """Return the best single model by the stated quality of the cases' tasks, where it was not measured again."""
    stated = {task for model in catalogue for task in model.quality}
    cases = Counter(case.task for case in measurements.cases if case.task in stated)
    means = {
        model.name: sum(float(model.quality[task]) * count for task, count in cases.items() if task is not None)
        for model in catalogue
        if cases and all(task in model.quality for task in cases)
    }
    measured = {_own_name(name, catalogue) for name in measurements.models}
    highest = max(means.values(), default=0.0)
    best = [name for name, mean in means.items() if mean >= highest - 1e-9]
    return None if not best or not measured.isdisjoint(best) else best[0]


def _missing(unmeasured: str | None, serving: Sequence[str | None]) -> Iterator[str]:
    if unmeasured is not None and unmeasured in serving:
        yield (
            f"`{unmeasured}`, the best single model by the stated quality, serves {serving.count(unmeasured):,} cases, "
            f"and these outcomes do not measure it"
        )


def _saves_nothing(
    judged: Measurements, catalogue: Catalogue, by_the_best: bool, best: str, saving: Estimate
) -> Iterator[str]:
    """Yield that nothing is saved, unless all that is stated is there, and the policy has the best model serve it."""
    if not saving.low <= 0 <= saving.high or saving.value > 0:
        return
    stated = {task for model in catalogue for task in model.quality}
    absent = sorted(stated - {case.task for case in judged.cases if case.task is not None})
    if not by_the_best:
        yield f"no saving beside `{best}`"
    elif absent:
        yield f"no saving: `{best}` serves all of these cases, and none has the task {listed(absent, 'or')}"


def _beside(judged: Measurements, served: Places, best: int) -> tuple[Estimate, Estimate]:
    rows = np.arange(len(judged))
    columns = (judged.scores[rows, served], judged.costs[rows, served], judged.scores[:, best], judged.costs[:, best])
    drawn = Bootstrap(columns, judged.group_of, seed=0)

    def saving(means: Any) -> Any:
        return share_saved(means[..., 1], means[..., 3])

    return drawn.estimate(lambda means: means[..., 0] - means[..., 2]), drawn.estimate(saving)


def _failures(qualities: Sequence[Quality], gain: Estimate, saving: Estimate, max_loss: float) -> Iterator[str]:
    if gain.high < -max_loss:
        yield f"the policy loses more than {in_points(max_loss)} to the best single model"
    if saving.high < 0 or isnan(saving.value):
        yield "the policy costs more than the best single model"
    for item in qualities:
        if item.serves and item.moved and item.change.value < 0:
            yield (
                f"`{item.model}`, which serves `{item.task}`, fell from {item.stated.value:.3f} to {item.new.value:.3f}"
            )


def _remarks(
    measurements: Measurements, judged: Measurements, serving: Sequence[str | None], qualities: Sequence[Quality],
    gain: Estimate, max_loss: float, catalogue: Catalogue,
) -> Iterator[str]:  # fmt: skip
    counts: Mapping[str | None, int] = Counter(serving)
    if counts[None]:
        yield f"{counts[None]:,} cases are refused by the policy, and not compared"
    measured = {_own_name(name, catalogue) for name in measurements.models}
    elsewhere = len(measurements) - len(judged) - counts[None]
    if elsewhere:
        names = sorted({name for name in serving if name is not None} - {*map(str, measured)})
        yield f"{elsewhere:,} cases are served by {listed(names)}, which these outcomes do not measure"
    known = {item.task for item in qualities}
    few = sorted(task for task in {case.task for case in judged.cases} if task is not None and task not in known)
    if few:
        yield f"without a stated quality, or with fewer than {FEWEST} new cases: {', '.join(few)}"
    if gain.low < -max_loss <= gain.high:
        yield f"a loss of up to {-100 * gain.low:.1f} points cannot be excluded by {len(judged):,} cases"
