"""How well a model is known to do a task, and whether what is known tells two models apart."""

from __future__ import annotations

import math

from costlens_policy.advise.calls import Task
from costlens_policy.catalogue import Model
from costlens_policy.frozen import frozen
from costlens_policy.intervals import Estimate
from costlens_policy.intervals import measured as interval_of

__all__ = ["Measured", "are_alike", "cannot_tell", "finding", "measured"]


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
        found = interval_of(recorded)
        return Measured(found.value, found.low, found.high)
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


def are_alike(task: Task, one: Model, other: Model) -> bool:
    """Return whether two models may be equally good: by the calls that tell of both, else by what is known of each."""
    pair = _beside(task, one, other)
    if pair is not None:
        return 0 in pair
    return cannot_tell(measured(task, one), measured(task, other))


def finding(task: Task, one: Model, other: Model) -> str:
    """Return, of a model and the one that it would replace, that they are not told apart, or that it is worse.

    Empty where it is better, or nothing is known.
    """
    found, wanted = measured(task, one), measured(task, other)
    if found is None or wanted is None or one.name == other.name:
        return ""
    first, second = f"`{one.name}` ({found})", f"`{other.name}` ({wanted})"
    pair = _beside(task, one, other)
    calls = "" if pair is None else f" on the same {pair.cases:,} calls ({_points(pair)})"
    if are_alike(task, one, other):
        return f"the evidence does not tell {first} from {second}{calls}"
    return f"{first} is measured to be worse than {second}{calls}" if found.value < wanted.value else ""


def _beside(task: Task, one: Model, other: Model) -> Estimate | None:
    return task.beside((one.name, *one.aliases), (other.name, *other.aliases))


def _points(estimate: Estimate) -> str:
    value, low, high = (100 * each + 0.0 for each in (estimate.value, estimate.low, estimate.high))
    return f"{value:+.1f} points, {low:+.1f} to {high:+.1f}"
