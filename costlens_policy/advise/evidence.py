"""How well a model is known to do a task, and whether what is known tells two models apart."""

from __future__ import annotations

import math
from typing import Final

from costlens_policy.advise.calls import Task
from costlens_policy.catalogue import Model
from costlens_policy.frozen import frozen

__all__ = ["Measured", "cannot_tell", "measured"]

_Z: Final = 1.959964
"""Standard normal quantile of 0.975, for intervals of 95 %."""


@frozen
class Measured:
    """A quality with the interval in which it lies; without evidence, ``low`` and ``high`` are None."""

    value: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.value:.3g}"
        return f"{self.value:.3g}, {self.low:.3g} to {self.high:.3g}"


def measured(task: Task, model: Model) -> Measured | None:
    """Return how often a model is right at a task: as recorded, else as the catalogue states, else None."""
    recorded = task.recorded(model.name, *model.aliases)
    if recorded:
        return _wilson(sum(recorded) / len(recorded), len(recorded))
    value = None if task.name is None else model.quality.get(task.name)
    if value is None or task.name is None:
        return None
    evidence = model.evidence.get(task.name)
    return Measured(value, None, None) if evidence is None else Measured(value, evidence.low, evidence.high)


def cannot_tell(one: Measured | None, other: Measured | None) -> bool:
    """Return whether two qualities may be equal: their difference is not beyond the noise of both.

    The distances to the ends of the intervals that face each other are added as squares (Schenker and Gentleman, "On
    judging the significance of differences by examining the overlap between confidence intervals", 2001).
    """
    if one is None or other is None:
        return False
    better, worse = (one, other) if one.value >= other.value else (other, one)
    if better.low is None or worse.high is None:
        return False
    return better.value - worse.value <= math.hypot(better.value - better.low, worse.high - worse.value)


def _wilson(mean: float, cases: int) -> Measured:
    """Return the interval of a mean of scores from 0 to 1 (Wilson, 1927); they vary most if all are right or wrong."""
    spread = 1 + _Z**2 / cases
    center = (mean + _Z**2 / (2 * cases)) / spread
    half = _Z * math.sqrt(mean * (1 - mean) / cases + _Z**2 / (4 * cases**2)) / spread
    return Measured(mean, min(center - half, mean), max(center + half, mean))
