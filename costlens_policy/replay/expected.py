"""Which quality to expect of the models that served, by what the catalogue has measured: beside the cost, an estimate.

Qualities are of tasks, so this holds as far as the requests are like those that were measured. What nobody measured is
counted apart, never averaged in.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, TypeAlias

from costlens_policy.catalogue import Catalogue
from costlens_policy.compiler.plan import Plan
from costlens_policy.frozen import frozen
from costlens_policy.replay.recognized import Recognition

__all__ = [
    "Expected", "ExpectedChange", "ExpectedPart", "Moved", "Served", "expected_change", "expected_of", "is_measured",
]  # fmt: skip

Served: TypeAlias = Counter[tuple[str, str]]
"""How many requests a model served, by model and task; without a task, the empty string."""
_Way: TypeAlias = tuple[str, str]
Moved: TypeAlias = Counter[tuple[_Way | None, _Way | None]]
"""How many requests two policy sets served, by the model and task of the old and of the new one; None is a denial."""


@frozen
class ExpectedPart:
    """Requests of one task that one model served. ``value`` is None where nobody measured it.

    ``low`` and ``high`` are the ends of its interval, None where none is known.
    """

    task: str
    model: str
    requests: int
    value: float | None
    low: float | None
    high: float | None
    recognized: bool = False
    """Whether a learned signal told the task: then its mistakes are counted in."""

    def to_dict(self) -> dict[str, Any]:
        """Return the part as JSON-like data."""
        return {
            "task": self.task, "model": self.model, "requests": self.requests,
            "quality": self.value, "low": self.low, "high": self.high, "recognized": self.recognized,
        }  # fmt: skip


@frozen
class Expected:
    """The mean quality of the ``measured`` ones among the ``requests`` that were allowed, each task by its share.

    The interval takes measurements to be independent: the squares of the distances to its ends add up. It is None where
    one of the parts has none, or they are of different levels.
    """

    requests: int
    measured: int
    value: float | None
    low: float | None
    high: float | None
    parts: tuple[ExpectedPart, ...]
    recognition: Recognition | None = None
    """How the signal errs that told tasks; None where none did."""

    @property
    def recognized(self) -> int:
        """Requests whose task a learned signal told."""
        return sum(part.requests for part in self.parts if part.recognized)

    def to_dict(self) -> dict[str, Any]:
        """Return the expectation as JSON-like data."""
        return {
            "requests": self.requests, "measured": self.measured,
            "quality": self.value, "low": self.low, "high": self.high, "recognized": self.recognized,
            "recognized_wrongly": None if self.recognition is None else 1 - self.recognition.right,
            "parts": [part.to_dict() for part in self.parts],
        }  # fmt: skip


def is_measured(plan: Plan) -> bool:
    """Return whether the catalogue knows the quality of any model."""
    return any(model.quality for model in plan.catalogue)


def expected_of(
    served: Served, catalogue: Catalogue, told: Served | None = None, recognition: Recognition | None = None
) -> Expected | None:
    """Return what to expect; None where nobody measured anything, or nothing was served.

    ``told`` are those of the requests whose task a learned signal told, and ``recognition`` is how it errs.
    """
    if not served or not any(model.quality for model in catalogue):
        return None
    if not told or recognition is None:
        told, recognition = Served(), None
    parts = tuple(_parts(served - told, catalogue))
    if recognition is not None:
        parts += tuple(_recognized(part, catalogue, recognition) for part in _parts(told, catalogue))
    known = [part for part in parts if part.value is not None]
    measured = sum(part.requests for part in known)
    if not measured:
        return Expected(served.total(), 0, None, None, None, parts, recognition)
    # In the decimal numbers that were written: three times 0.8 are 2.4.
    value = float(sum(part.requests * Fraction(repr(part.value)) for part in known) / measured)
    levels = {catalogue.models[part.model].evidence[part.task].level for part in known if part.low is not None}
    if len(levels) != 1 or any(part.low is None for part in known):
        return Expected(served.total(), measured, value, None, None, parts, recognition)
    down, up = (_together(known, distance) for distance in (_below, _above))
    return Expected(served.total(), measured, value, max(value - down, 0.0), min(value + up, 1.0), parts, recognition)


def _together(parts: Sequence[ExpectedPart], distance: Callable[[ExpectedPart], float]) -> float:
    """Return the distance to an end of the interval of a mean. Parts that go by one measurement err together."""
    measured = sum(part.requests for part in parts)
    by_measurement: dict[_Way, float] = {}
    for part in parts:
        way = part.model, part.task
        by_measurement[way] = by_measurement.get(way, 0.0) + part.requests / measured * distance(part)
    return math.sqrt(math.fsum(each**2 for each in by_measurement.values()))


def _recognized(part: ExpectedPart, catalogue: Catalogue, recognition: Recognition) -> ExpectedPart:
    """Return a part of a task that a signal told: its requests are of other tasks as often as the signal errs.

    A task of which the quality is not measured counts as the worst that is. The interval grows by as much as the share
    of mistakes is uncertain.
    """
    true = recognition.true.get(part.task)
    if part.value is None or true is None:
        return replace(part, recognized=True)
    quality = catalogue.models[part.model].quality
    worst, best = min(quality.values()), max(quality.values())
    value = math.fsum(share * quality.get(task, worst) for task, share in true.items())
    if part.low is None or part.high is None:
        return replace(part, value=value, recognized=True)
    spread = best - worst
    low = value - (part.value - part.low) - (recognition.right - recognition.low) * spread
    high = value + (part.high - part.value) + (recognition.high - recognition.right) * spread
    return replace(part, value=value, low=max(low, 0.0), high=min(high, 1.0), recognized=True)


def _parts(served: Served, catalogue: Catalogue) -> Iterator[ExpectedPart]:
    for (name, task), requests in sorted(served.items(), key=lambda item: (item[0][1], item[0][0])):
        model = catalogue.models.get(name)
        value = None if model is None else model.quality.get(task)
        evidence = None if model is None else model.evidence.get(task)
        low, high = (None, None) if evidence is None else (evidence.low, evidence.high)
        yield ExpectedPart(task, name, requests, value, low, high)


def _below(part: ExpectedPart) -> float:
    assert part.value is not None
    assert part.low is not None
    return part.value - part.low


def _above(part: ExpectedPart) -> float:
    assert part.value is not None
    assert part.high is not None
    return part.high - part.value


@frozen
class ExpectedChange:
    """What two policy sets are to be expected to do on the requests that are measured on both sides.

    ``old`` and ``new`` are of these requests alone. ``value`` is what is gained, with its interval, which is None where
    one of the measurements that make the difference has none. ``lost`` are the requests that were measured and no
    longer are, by the task and the model that they go to now; ``gained`` counts those the other way round.
    """

    old: Expected | None
    new: Expected | None
    value: float | None
    low: float | None
    high: float | None
    lost: Counter[tuple[str, str]]
    gained: int

    @property
    def requests(self) -> int:
        return 0 if self.old is None else self.old.measured

    def to_dict(self) -> dict[str, Any]:
        """Return the change as JSON-like data."""
        return {
            "requests": self.requests, "difference": self.value, "low": self.low, "high": self.high,
            "old": None if self.old is None else self.old.to_dict(),
            "new": None if self.new is None else self.new.to_dict(),
            "lost": [{"task": task, "model": model, "requests": count} for (task, model), count in self.lost.items()],
            "gained": self.gained,
        }  # fmt: skip


def expected_change(moved: Moved, old: Catalogue, new: Catalogue) -> ExpectedChange | None:
    """Compare what to expect of two policy sets, each by its own catalogue; None where neither knows any quality."""
    if not any(model.quality for catalogue in (old, new) for model in catalogue):
        return None
    before, after, lost, gained = Served(), Served(), Counter[tuple[str, str]](), 0
    for (one, other), requests in moved.items():
        if one is None or other is None:
            continue
        was, now = _measured(one, old), _measured(other, new)
        if was and now:
            before[one] += requests
            after[other] += requests
        elif was:
            lost[other[1], other[0]] += requests
        elif now:
            gained += requests
    ways = expected_of(before, old), expected_of(after, new)
    value, low, high = _gain(before, after, old, new)
    return ExpectedChange(*ways, value, low, high, Counter(dict(sorted(lost.items()))), gained)


def _measured(way: _Way, catalogue: Catalogue) -> bool:
    model = catalogue.models.get(way[0])
    return model is not None and way[1] in model.quality


def _gain(
    before: Served, after: Served, old: Catalogue, new: Catalogue
) -> tuple[float | None, float | None, float | None]:
    """Return the difference of two means with its interval.

    What both have in common cancels, its uncertainty, too. The squares of the rest add up, each measurement by the
    share of the requests that it gains or loses (Zou and Donner, "Construction of confidence limits about effect
    measures", Statistics in Medicine 27, 2008).
    """
    requests = before.total()
    if not requests:
        return None, None, None
    shares: Counter[tuple[Any, ExpectedPart]] = Counter()
    for sign, served, catalogue in ((-1, before, old), (1, after, new)):
        for part in _parts(served, catalogue):
            level = catalogue.models[part.model].evidence[part.task].level if part.low is not None else None
            shares[level, replace(part, requests=0)] += sign * part.requests
    made = [(level, part, Fraction(count, requests)) for (level, part), count in shares.items() if count]
    value = float(sum(share * Fraction(repr(part.value)) for _, part, share in made))
    if len({level for level, _, _ in made}) > 1 or any(part.low is None or part.high is None for _, part, _ in made):
        return value, None, None
    down, up = (
        math.sqrt(math.fsum((float(share) * (toward if share > 0 else away)(part)) ** 2 for _, part, share in made))
        for toward, away in ((_below, _above), (_above, _below))
    )
    return value, value - down, value + up
