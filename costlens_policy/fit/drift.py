"""Whether what was fitted still holds, by outcomes that are newer than the fit.

Each quality that the deployed catalogue states is compared with the new one, and the deployed policy with the best
single model on the new cases. Both samples vary by chance, and many comparisons find something by chance alone. So a
quality counts as moved only where it does by the procedure of Holm (Scandinavian Journal of Statistics 6, 1979), which
keeps the chance of any false alarm, over all of them, below 5 %.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import Any, Final

import numpy as np

from costlens_policy.catalogue import Catalogue
from costlens_policy.catalogue import Evidence as Stated
from costlens_policy.fit.bootstrap import Bootstrap
from costlens_policy.fit.choosing import FEWEST
from costlens_policy.fit.documents import qualities_of
from costlens_policy.fit.estimate import LEVEL, Estimate, difference, wilson
from costlens_policy.fit.measurements import Measurements, Places
from costlens_policy.fit.outcomes import Case, OutcomesError
from costlens_policy.frozen import frozen

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
    ``best``. ``failures`` say what no longer holds; ``remarks`` what could not be judged.
    """

    cases: int
    best: str
    gain: Estimate
    saving: Estimate
    qualities: tuple[Quality, ...]
    failures: tuple[str, ...]
    remarks: tuple[str, ...]


def compare(
    measurements: Measurements, catalogue: Catalogue, decide: Callable[[Case], str | None], max_loss: float
) -> Drift:
    """Compare new measurements with what a catalogue states and a policy does.

    ``decide`` returns the model that the policy has serve a case, None where it refuses. Raises ``OutcomesError`` where
    the catalogue states no quality that was measured again, or nothing can be compared.
    """
    decided = [decide(case) for case in measurements.cases]
    judged, served = _served(measurements, [_own_name(name, catalogue) for name in decided], catalogue)
    if len(judged) < FEWEST:
        raise OutcomesError(
            f"a comparison needs {FEWEST} cases that the policy serves by a model that was measured, got {len(judged)}"
        )
    qualities = tuple(_qualities(judged, served, catalogue))
    if not qualities:
        raise OutcomesError("the catalogue states no quality that these outcomes measure; `fit --write` writes it")
    best = _best(judged, catalogue)
    gain, saving = _beside(judged, served, best)
    failures = tuple(_failures(qualities, gain, saving, max_loss))
    remarks = tuple(_remarks(measurements, judged, decided, qualities, gain, max_loss))
    return Drift(len(judged), judged.models[best], gain, saving, qualities, failures, remarks)


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


def _beside(judged: Measurements, served: Places, best: int) -> tuple[Estimate, Estimate]:
    rows = np.arange(len(judged))
    columns = (judged.scores[rows, served], judged.costs[rows, served], judged.scores[:, best], judged.costs[:, best])
    drawn = Bootstrap(columns, judged.group_of, seed=0)

    def saving(means: Any) -> Any:
        return 1 - means[..., 1] / means[..., 3]

    return drawn.estimate(lambda means: means[..., 0] - means[..., 2]), drawn.estimate(saving)


def _failures(qualities: Sequence[Quality], gain: Estimate, saving: Estimate, max_loss: float) -> Iterator[str]:
    if gain.high < -max_loss:
        yield f"the policy loses more than {100 * max_loss:g} points to the best single model"
    if saving.high < 0:
        yield "the policy costs more than the best single model"
    for item in qualities:
        if item.serves and item.moved and item.change.value < 0:
            yield (
                f"`{item.model}`, which serves `{item.task}`, fell from {item.stated.value:.3f} to {item.new.value:.3f}"
            )


def _remarks(
    measurements: Measurements, judged: Measurements, decided: Sequence[str | None], qualities: Sequence[Quality],
    gain: Estimate, max_loss: float,
) -> Iterator[str]:  # fmt: skip
    counts: Mapping[str | None, int] = Counter(decided)
    if counts[None]:
        yield f"{counts[None]:,} cases are refused by the policy, and not compared"
    elsewhere = len(measurements) - len(judged) - counts[None]
    if elsewhere:
        yield f"{elsewhere:,} cases are served by a model that these outcomes do not measure, and not compared"
    known = {item.task for item in qualities}
    few = sorted(task for task in {case.task for case in judged.cases} if task is not None and task not in known)
    if few:
        yield f"without a stated quality, or with fewer than {FEWEST} new cases: {', '.join(few)}"
    if gain.low < -max_loss <= gain.high:
        yield f"a loss of up to {-100 * gain.low:.1f} points cannot be excluded by {len(judged):,} cases"
