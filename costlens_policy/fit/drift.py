"""Whether what was fitted still holds, by outcomes that are newer than the fit.

Each quality that the deployed catalogue states is compared with the new one, and the deployed policy with the best
single model on the new cases. Outcomes of what served alone, such as a log with ratings, measure the qualities, and
not what the policy saves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isnan
from typing import Any, Final

import numpy as np

from costlens_policy.catalogue import Catalogue
from costlens_policy.diagnostics.suggestion import listed
from costlens_policy.errors import RequestError
from costlens_policy.fit.bootstrap import Bootstrap, share_saved
from costlens_policy.fit.choosing import FEWEST
from costlens_policy.fit.measurements import Assumed, IncompleteError, Measurements, Places, gather
from costlens_policy.fit.moved import MOST_ALARMS, Quality, moved_qualities, stated_quality
from costlens_policy.fit.outcomes import Case, Outcomes, OutcomesError
from costlens_policy.fit.target import in_points
from costlens_policy.frozen import frozen
from costlens_policy.intervals import Estimate

__all__ = ["Drift", "Standing", "compare"]

_Decide = Callable[[Case], str | None]
_UNTOLD: Final = (
    "these outcomes name no task, so the qualities that are stated by task were not compared, and only the policy was"
)


@frozen
class Standing:
    """The policy beside the best single model, named ``best``: ``gain`` in score, ``saving`` as a share of cost."""

    cases: int
    best: str
    gain: Estimate
    saving: Estimate


@frozen
class Drift:
    """What new outcomes say about a deployed policy.

    ``cases`` are those that were compared. ``standing`` is None where the outcomes do not measure the policy beside the
    best single model, for the reason in ``unmeasured``. ``failures`` say what no longer holds; ``unshown`` what these
    outcomes would have to show and do not; ``remarks`` what else could not be judged, and ``notes`` what was assumed.
    """

    cases: int
    standing: Standing | None
    qualities: tuple[Quality, ...]
    failures: tuple[str, ...]
    unshown: tuple[str, ...]
    remarks: tuple[str, ...]
    notes: tuple[str, ...] = ()
    unmeasured: str = ""

    @property
    def holds(self) -> bool:
        """Whether the policy is shown to hold; without a ``standing``, the quality of the models that serve."""
        return not self.failures and not self.unshown


def compare(outcomes: Outcomes, catalogue: Catalogue, decide: _Decide, max_loss: float, assumed: Assumed) -> Drift:
    """Compare new outcomes with what a catalogue states and a policy does.

    ``decide`` returns the model that the policy has serve a case, None where it refuses. Raises ``OutcomesError`` where
    the catalogue states no quality that was measured again, or nothing can be compared.
    """
    names = {name: _own_name(name, catalogue) for name in outcomes.models}
    serving = {case: _own_name(found, catalogue) if (found := decide(case)) else None for case in outcomes.cases}
    pairs = {(case.task, name) for case, name in serving.items() if name is not None}
    if not pairs:
        raise OutcomesError("the policy refuses all of these cases, so that nothing can be compared")
    try:
        measurements = gather(outcomes, catalogue, assumed)
    except IncompleteError as error:
        qualities = moved_qualities(outcomes, names, catalogue, pairs)
        return _of_quality(outcomes, names, qualities, serving, catalogue, str(error))
    return _of_policy(outcomes, names, measurements, serving, catalogue, decide, max_loss)


def _of_quality(
    outcomes: Outcomes, names: Mapping[str, str], qualities: Sequence[Quality],
    serving: Mapping[Case, str | None], catalogue: Catalogue, reason: str,
) -> Drift:  # fmt: skip
    """Return what outcomes show that do not measure the models on the same cases: whether quality has moved."""
    compared = {(item.task, item.model) for item in qualities if item.serves}
    unshown = [*_unmeasured(names, serving, catalogue)]
    if not compared:
        unshown.append(f"no model has {FEWEST} new cases of a task that it serves, and whose quality is stated")
    return Drift(
        len(outcomes.cases),
        None,
        tuple(qualities),
        tuple(_fallen(qualities)),
        tuple(unshown),
        (*_refused(serving), *_few(qualities, serving, names)),
        unmeasured=reason.partition(";")[0],
    )


def _of_policy(
    outcomes: Outcomes, names: Mapping[str, str], measurements: Measurements, serving: Mapping[Case, str | None],
    catalogue: Catalogue, decide: _Decide, max_loss: float,
) -> Drift:  # fmt: skip
    judged, served = _served(measurements, names, serving)
    if judged.groups < FEWEST:
        raise OutcomesError(
            f"a comparison needs {FEWEST} cases that the policy serves by a model that was measured, got "
            f"{judged.groups}"
        )
    pairs = {(case.task, name) for case, name in serving.items() if name is not None}
    untold = _names_no_task(serving)
    qualities = () if untold else moved_qualities(outcomes, names, catalogue, pairs)
    before = _best(judged, catalogue)
    best = _best_now(judged, before)
    standing = Standing(len(judged), judged.models[best], *_beside(judged, served, best))
    by_the_best = bool((served == best).all()) and _serves_all(standing.best, judged, catalogue, decide)
    unshown = (
        *_unmeasured(names, serving, catalogue),
        *_saves_nothing(judged, served, standing, catalogue, by_the_best),
    )
    return Drift(
        standing.cases,
        standing,
        qualities,
        (*_lost(standing, max_loss), *_fallen(qualities)),
        unshown,
        (
            *([_UNTOLD] if untold else []),
            *_new_best(judged, before, best),
            *_remarks(names, serving, qualities, standing, max_loss, catalogue),
        ),
        measurements.notes,
    )


def _names_no_task(serving: Mapping[Case, str | None]) -> bool:
    """Whether no case names a task and yet the policy tells them apart, as by a signal that recognizes tasks.

    Qualities are stated by the task itself, so that those of recognized tasks would be those of others in part.
    """
    return all(case.task is None for case in serving) and len({*serving.values()} - {None}) > 1


def _own_name(name: str, catalogue: Catalogue) -> str:
    model = catalogue.find(name)
    return name if model is None else model.name


def _served(
    measurements: Measurements, names: Mapping[str, str], serving: Mapping[Case, str | None]
) -> tuple[Measurements, Places]:
    """Return the cases that a measured model serves, and that model by its place."""
    places: dict[str | None, int] = {names[name]: place for place, name in enumerate(measurements.models)}
    at = np.array([places.get(serving[case], -1) for case in measurements.cases], dtype=np.int64)
    return measurements.part(at >= 0), at[at >= 0]


def _best(judged: Measurements, catalogue: Catalogue) -> int:
    """Return the best single model by the stated quality of these tasks, or by the new scores where that is unknown."""
    means = []
    for name in judged.models:
        stated = [stated_quality(catalogue, name, task) for task in judged.tasks]
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
    level = 1 - MOST_ALARMS / max(len(judged.models) - 1, 1)

    def gain_of(place: int) -> Estimate:
        return drawn.estimate(lambda means: means[..., place] - means[..., before], level)

    gains = {place: gain_of(place) for place in range(len(judged.models)) if place != before}
    better = [
        (gain.value, -float(judged.costs[:, place].mean()), place) for place, gain in gains.items() if gain.low > 0
    ]
    return max(better)[2] if better else before


def _serves_all(best: str, judged: Measurements, catalogue: Catalogue, decide: _Decide) -> bool:
    """Whether the best model serves the tasks, too, that quality is stated of, and that no case here has."""
    try:
        found = [decide(Case("", task, None, None, "")) for task in _absent(judged, catalogue)]
    except RequestError:  # the policy asks for more than the task
        return False
    return all(name is not None and _own_name(name, catalogue) == _own_name(best, catalogue) for name in found)


def _absent(judged: Measurements, catalogue: Catalogue) -> list[str]:
    stated = {task for model in catalogue for task in model.quality}
    return sorted(stated - {case.task for case in judged.cases if case.task is not None})


def _unmeasured(names: Mapping[str, str], serving: Mapping[Case, str | None], catalogue: Catalogue) -> Iterator[str]:
    """Yield the models that serve many of the cases, or are the best, and that these outcomes do not measure."""
    best = _unmeasured_best(names, serving, catalogue)
    counts = Counter(name for name in serving.values() if name is not None)
    for name, count in counts.most_common():
        if name not in names.values() and (count >= FEWEST or name == best):
            what = f"`{name}`, the best single model by the stated quality," if name == best else f"`{name}`"
            yield f"{what} serves {count:,} cases, and these outcomes do not measure it"


def _unmeasured_best(names: Mapping[str, str], serving: Mapping[Case, str | None], catalogue: Catalogue) -> str | None:
    """Return the best single model by the stated quality of the cases' tasks, where it was not measured again."""
    stated = {task for model in catalogue for task in model.quality}
    cases = Counter(case.task for case in serving if case.task in stated)
    means = {
        model.name: sum(float(model.quality[task]) * count for task, count in cases.items() if task is not None)
        for model in catalogue
        if cases and all(task in model.quality for task in cases)
    }
    highest = max(means.values(), default=0.0)
    best = [name for name, mean in means.items() if mean >= highest - 1e-9]
    return None if not best or not set(names.values()).isdisjoint(best) else best[0]


def _saves_nothing(
    judged: Measurements, served: Places, standing: Standing, catalogue: Catalogue, by_the_best: bool
) -> Iterator[str]:
    """Yield that nothing is saved, unless the policy has the best model serve whatever quality is stated of."""
    saving, name = standing.saving, standing.best
    if not saving.low <= 0 <= saving.high or saving.value > 0 or by_the_best:
        return
    if (served == judged.models.index(name)).all():
        absent = listed(_absent(judged, catalogue), "or")
        yield f"no saving: `{name}` serves all of these cases, and none has the task {absent}"
    else:
        yield f"no saving beside `{name}`"


def _beside(judged: Measurements, served: Places, best: int) -> tuple[Estimate, Estimate]:
    rows = np.arange(len(judged))
    columns = (judged.scores[rows, served], judged.costs[rows, served], judged.scores[:, best], judged.costs[:, best])
    drawn = Bootstrap(columns, judged.group_of, seed=0)

    def saving(means: Any) -> Any:
        return share_saved(means[..., 1], means[..., 3])

    return drawn.estimate(lambda means: means[..., 0] - means[..., 2]), drawn.estimate(saving)


def _lost(standing: Standing, max_loss: float) -> Iterator[str]:
    if standing.gain.high < -max_loss:
        yield f"the policy loses more than {in_points(max_loss)} to the best single model"
    if standing.saving.high < 0 or isnan(standing.saving.value):
        yield "the policy costs more than the best single model"


def _fallen(qualities: Sequence[Quality]) -> Iterator[str]:
    for item in qualities:
        if item.serves and item.moved and item.change.value < 0:
            yield (
                f"`{item.model}`, which serves `{item.task}`, fell from {item.stated.value:.3f} to {item.new.value:.3f}"
            )


def _new_best(judged: Measurements, before: int, best: int) -> Iterator[str]:
    if best != before:
        yield f"the best single model is now `{judged.models[best]}`, no longer `{judged.models[before]}`"


def _remarks(
    names: Mapping[str, str], serving: Mapping[Case, str | None], qualities: Sequence[Quality], standing: Standing,
    max_loss: float, catalogue: Catalogue,
) -> Iterator[str]:  # fmt: skip
    yield from _refused(serving)
    elsewhere = Counter(name for name in serving.values() if name is not None and name not in names.values())
    if elsewhere:
        by = listed(sorted(elsewhere))
        yield f"{elsewhere.total():,} cases are served by {by}, which these outcomes do not measure"
    yield from _few(qualities, serving, names)
    gain = standing.gain
    if gain.low < -max_loss <= gain.high:
        yield f"a loss of up to {-100 * gain.low:.1f} points cannot be excluded by {standing.cases:,} cases"
    best = _unmeasured_best(names, serving, catalogue)
    if best is not None and best not in elsewhere:
        yield f"`{best}`, the best single model by the stated quality, is not measured here"


def _refused(serving: Mapping[Case, str | None]) -> Iterator[str]:
    refused = sum(name is None for name in serving.values())
    if refused:
        yield f"{refused:,} cases are refused by the policy, and not compared"


def _few(qualities: Sequence[Quality], serving: Mapping[Case, str | None], names: Mapping[str, str]) -> Iterator[str]:
    """Yield the tasks in which a model that serves and is measured could not be compared."""
    known = {(item.task, item.model) for item in qualities}
    few = {
        case.task
        for case, name in serving.items()
        if case.task is not None and name in names.values() and (case.task, name) not in known
    }
    if few:
        yield f"without a stated quality, or with fewer than {FEWEST} new cases: {', '.join(sorted(few))}"
