"""Which quality to expect of the models that served, by what the catalogue has measured: beside the cost, an estimate.

Qualities are of tasks, so this holds as far as the requests are like those that were measured. What nobody measured is
counted apart, never averaged in.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, TypeAlias

from costlens_policy.catalogue import Catalogue
from costlens_policy.compiler.plan import Plan
from costlens_policy.frozen import frozen

__all__ = ["Expected", "ExpectedPart", "Served", "expected_of", "is_measured"]

Served: TypeAlias = Counter[tuple[str, str]]
"""How many requests a model served, by model and task; without a task, the empty string."""


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

    def to_dict(self) -> dict[str, Any]:
        """Return the part as JSON-like data."""
        return {
            "task": self.task, "model": self.model, "requests": self.requests,
            "quality": self.value, "low": self.low, "high": self.high,
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

    def to_dict(self) -> dict[str, Any]:
        """Return the expectation as JSON-like data."""
        return {
            "requests": self.requests, "measured": self.measured,
            "quality": self.value, "low": self.low, "high": self.high,
            "parts": [part.to_dict() for part in self.parts],
        }  # fmt: skip


def is_measured(plan: Plan) -> bool:
    """Return whether the catalogue knows the quality of any model."""
    return any(model.quality for model in plan.catalogue)


def expected_of(served: Served, catalogue: Catalogue) -> Expected | None:
    """Return what to expect; None where nobody measured anything, or nothing was served."""
    if not served or not any(model.quality for model in catalogue):
        return None
    parts = tuple(_parts(served, catalogue))
    known = [part for part in parts if part.value is not None]
    measured = sum(part.requests for part in known)
    if not measured:
        return Expected(served.total(), 0, None, None, None, parts)
    # In the decimal numbers that were written: three times 0.8 are 2.4.
    value = float(sum(part.requests * Fraction(repr(part.value)) for part in known) / measured)
    levels = {catalogue.models[part.model].evidence[part.task].level for part in known if part.low is not None}
    if len(levels) != 1 or any(part.low is None for part in known):
        return Expected(served.total(), measured, value, None, None, parts)
    down, up = (
        math.sqrt(math.fsum((part.requests / measured * distance(part)) ** 2 for part in known))
        for distance in (_below, _above)
    )
    return Expected(served.total(), measured, value, max(value - down, 0.0), min(value + up, 1.0), parts)


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
