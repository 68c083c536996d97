"""Tasks that a learned signal tells where requests name none: learned from the cases fitted to, tried on the others."""

from __future__ import annotations

from typing import Final

import numpy as np

from costlens_policy.fit.learning import Trained, labeled_tasks, train
from costlens_policy.fit.measurements import Measurements, Places
from costlens_policy.frozen import frozen
from costlens_policy.signals.learned import weigh

__all__ = ["MIN_CONFIDENCE", "Told", "told_of"]

MIN_CONFIDENCE: Final = 0.5
"""Below it the signal is absent, and the default route serves."""


@frozen(eq=False)
class Told:
    """A signal that tells the task, and what it told of the cases kept aside.

    ``tasks`` has for each of them the place of the task among those measured, or -1 where the signal is absent.
    """

    signal: Trained
    tasks: Places

    @property
    def absent(self) -> float:
        """The share of the cases kept aside on which the signal is not sure enough."""
        return float((self.tasks < 0).mean())


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
