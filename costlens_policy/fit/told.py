"""Signals learned for a policy: from the cases that it is fitted to, tried on those that are kept aside.

A signal of the task stands in for a task that a request does not name. A signal of difficulty takes the place of tasks:
its values are divided into bands of equally many prompts, and each band is chosen for as a task is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

import numpy as np

from costlens_policy.fit.choosing import FEWEST, means_of
from costlens_policy.fit.learning import Trained, labeled_difficulty, labeled_tasks, train
from costlens_policy.fit.measurements import Measurements, Places
from costlens_policy.fit.outcomes import OutcomesError
from costlens_policy.frozen import frozen
from costlens_policy.signals.learned import weigh

__all__ = ["MIN_CONFIDENCE", "Told", "by_difficulty", "told_of"]

MIN_CONFIDENCE: Final = 0.5
"""Below it the task is absent, and the default route serves."""
_MOST_BANDS: Final = 20
_IN_A_BAND: Final = 2 * FEWEST
"""Cases, at least: a fold still chooses for each band by more than a task needs."""


@frozen(eq=False)
class Told:
    """A signal, and what it told of the cases kept aside.

    ``tasks`` has for each of them the place of its task or band, or -1 where the signal is absent. ``edges`` divide the
    bands of a difficulty; a task has none.
    """

    signal: Trained
    tasks: Places
    edges: tuple[float, ...] = ()
    by_task: Measurements | None = None
    """The cases fitted to with the tasks that they had before bands took their place."""

    @property
    def absent(self) -> float:
        """The share of the cases kept aside on which the signal is not sure enough."""
        return float((self.tasks < 0).mean())

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the bands."""
        return _names(self.edges)

    def value_in(self, band: int) -> float:
        """Return a difficulty that lies in a band."""
        return (0.0, *self.edges)[band]


def told_of(inside: Measurements, aside: Measurements, source: str, day: str, seed: int) -> Told:
    """Learn a signal from the prompts and tasks ``inside``, and have it tell those ``aside``.

    Raises ``OutcomesError`` where there are too few prompts or tasks.
    """
    signal = train(labeled_tasks(((case.prompt, case.task) for case in inside.cases), source), day, seed)
    places = {task: at for at, task in enumerate(inside.tasks)}
    tasks = []
    for case in aside.cases:
        value, confidence = weigh(signal.model, case.prompt or "")
        tasks.append(places[str(value)] if case.prompt and confidence >= MIN_CONFIDENCE else -1)
    return Told(signal, np.array(tasks))


def by_difficulty(
    inside: Measurements, aside: Measurements, source: str, day: str, seed: int
) -> tuple[Measurements, Measurements, Told]:
    """Learn by how much the best single model beats the cheapest, and return the cases with bands of that as tasks.

    The bands of the cases ``inside`` come from models of other folds, so that they are no surer than on new prompts.
    Raises ``OutcomesError`` where one model is both, or there are too few prompts.
    """
    means = means_of(inside)
    if means.best == means.cheapest:
        raise OutcomesError(f"`{inside.models[means.best]}` is the best and the cheapest; no difficulty decides more")
    inside, aside = (part.part(np.array([bool(case.prompt) for case in part.cases])) for part in (inside, aside))
    gaps = np.maximum(inside.scores[:, means.best] - inside.scores[:, means.cheapest], 0.0)
    signal = train(labeled_difficulty(zip(inside.cases, map(float, gaps), strict=True), source), day, seed)
    known = dict(zip(signal.labeled.groups, signal.held_out.values, strict=True))
    within = np.array([known[case.group] for case in inside.cases], dtype=float)
    beyond = np.array([weigh(signal.model, case.prompt or "")[0] for case in aside.cases], dtype=float)
    bands = max(2, min(_MOST_BANDS, len(within) // _IN_A_BAND))
    edges = np.unique(np.round(np.quantile(within, np.arange(1, bands) / bands), 3))
    edges = edges[(edges > 0) & (edges < 1)]
    names = _names([*map(float, edges)])
    banded, aside = (
        replace(part, tasks=names, task_of=np.searchsorted(edges, values, side="right"))
        for part, values in ((inside, within), (aside, beyond))
    )
    return banded, aside, Told(signal, aside.task_of, tuple(float(edge) for edge in edges), inside)


def _names(edges: Sequence[float]) -> tuple[str, ...]:
    if not edges:
        return ("any difficulty",)
    between = (f"{low:.3f} to {high:.3f}" for low, high in pairwise(edges))
    return (f"below {edges[0]:.3f}", *between, f"{edges[-1]:.3f} and more")
