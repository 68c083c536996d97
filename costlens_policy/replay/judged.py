"""Answers whose quality was recorded: how many were right, at what cost, and two ways to answer on the same requests.

All of it is sums, which can be added up however the rows were divided.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from costlens_policy.frozen import frozen
from costlens_policy.intervals import Estimate, of_pairs, of_sums
from costlens_policy.money import ZERO, plain, total

__all__ = ["Answer", "Paired", "Quality", "all_judged"]


@frozen
class Answer:
    """A recorded answer: its quality from 0 to 1, and its cost in US dollars, None where the model has no price."""

    right: float
    cost: Decimal | None


@dataclass(slots=True)
class Quality:
    """Answers of one way to pick models. ``right`` is the sum of their qualities, ``squares`` that of the squares.

    ``cost`` is of the priced ones.
    """

    answered: int = 0
    right: float = 0.0
    cost: Decimal = ZERO
    unpriced: int = 0
    squares: float = 0.0

    def add(self, answer: Answer) -> None:
        """Count an answer."""
        self.merge(Quality(1, answer.right, answer.cost or ZERO, int(answer.cost is None), answer.right**2))

    def merge(self, other: Quality) -> None:
        """Add the answers to other requests."""
        self.answered += other.answered
        self.right += other.right
        self.cost = total((self.cost, other.cost))
        self.unpriced += other.unpriced
        self.squares += other.squares

    @property
    def mean(self) -> Estimate | None:
        """The share of right answers, or the mean of graded ones, with its interval; None without any."""
        return of_sums(self.right, self.squares, self.answered) if self.answered else None

    def to_dict(self) -> dict[str, Any]:
        """Return the answers as JSON-like data; money is a decimal string."""
        mean = self.mean
        return {
            "requests": self.answered, "right": self.right, "cost": plain(self.cost), "unpriced": self.unpriced,
            "low": None if mean is None else mean.low, "high": None if mean is None else mean.high,
        }  # fmt: skip


def all_judged(parts: Mapping[str, Quality]) -> Quality:
    """Return the answers of all parts together."""
    whole = Quality()
    for part in parts.values():
        whole.merge(part)
    return whole


@dataclass(slots=True)
class Paired:
    """Two ways to answer the same requests. The costs of both are of the requests that have a price on both sides.

    ``apart`` are the requests that get answers of different models; ``squares`` is the sum of the squares of their
    differences.
    """

    one: Quality = field(default_factory=Quality)
    other: Quality = field(default_factory=Quality)
    apart: int = 0
    squares: float = 0.0

    def add(self, one: Answer, other: Answer, *, apart: bool) -> None:
        """Count what both answer to a request; ``apart`` is false where that is one and the same answer."""
        if one.cost is None or other.cost is None:
            one, other = Answer(one.right, None), Answer(other.right, None)
        self.one.add(one)
        self.other.add(other)
        self.apart += apart
        self.squares += (other.right - one.right) ** 2

    def merge(self, more: Paired) -> None:
        """Add what both answered to other requests."""
        self.one.merge(more.one)
        self.other.merge(more.other)
        self.apart += more.apart
        self.squares += more.squares

    @property
    def difference(self) -> Estimate | None:
        """How much better the other is than the one, request by request, with its interval; None without requests.

        Where both give the same answer they cannot differ, so that the interval is that of the requests apart.
        """
        requests = self.one.answered
        if not self.apart:
            return Estimate(0.0, 0.0, 0.0, requests) if requests else None
        found, share = of_pairs(self.other.right - self.one.right, self.squares, self.apart), self.apart / requests
        return Estimate(share * found.value, share * found.low, share * found.high, requests)

    def to_dict(self, one: str, other: str) -> dict[str, Any]:
        """Return both as JSON-like data, under their names."""
        found = self.difference
        return {
            one: self.one.to_dict(), other: self.other.to_dict(),
            "difference": None if found is None else {"value": found.value, "low": found.low, "high": found.high},
        }  # fmt: skip
