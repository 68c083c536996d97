"""Sets of values that one part of a condition leaves possible."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["ANYTHING", "Domain", "Finite", "Range", "union_of"]

Number: TypeAlias = int | float


@dataclass(frozen=True, slots=True)
class Finite:
    """These values and no others."""

    values: frozenset[Hashable]

    def meet(self, other: Domain) -> Domain:
        return Finite(frozenset(value for value in self.values if value in other))

    def within(self, other: Domain) -> bool:
        """Say whether every value of this domain is one of the other."""
        return all(value in other for value in self.values)

    def __contains__(self, value: Hashable) -> bool:
        return value in self.values

    @property
    def is_empty(self) -> bool:
        return not self.values


@dataclass(frozen=True, slots=True)
class Range:
    """Everything but ``excluded``, and of numbers only those between two bounds; open bounds are not part of it."""

    low: Number = -math.inf
    low_open: bool = False
    high: Number = math.inf
    high_open: bool = False
    excluded: frozenset[Hashable] = frozenset()

    def meet(self, other: Domain) -> Domain:
        if isinstance(other, Finite):
            return other.meet(self)
        low, low_open = max((self.low, self.low_open), (other.low, other.low_open))
        high, high_closed = min((self.high, not self.high_open), (other.high, not other.high_open))
        return Range(low, low_open, high, not high_closed, self.excluded | other.excluded)

    def within(self, other: Domain) -> bool:
        """Say whether every value of this domain is one of the other; False where that cannot be told."""
        if isinstance(other, Finite):
            return self.is_empty
        return (
            (self.low, self.low_open) >= (other.low, other.low_open)
            and (self.high, not self.high_open) <= (other.high, not other.high_open)
            and all(value not in self for value in other.excluded)
        )

    def __contains__(self, value: Hashable) -> bool:
        if value in self.excluded:
            return False
        if not self._bounded:
            return True
        if not isinstance(value, int | float):
            return False
        above = value > self.low or (value == self.low and not self.low_open)
        below = value < self.high or (value == self.high and not self.high_open)
        return above and below

    @property
    def is_empty(self) -> bool:
        return self.low > self.high or (self.low == self.high and (self.low_open or self.high_open))

    @property
    def _bounded(self) -> bool:
        return self.low > -math.inf or self.high < math.inf


Domain: TypeAlias = Finite | Range


def union_of(domains: Sequence[Domain]) -> Domain | None:
    """Return the domain of all values of any; None where that is neither a few values nor all but a few."""
    finite = [domain for domain in domains if isinstance(domain, Finite)]
    values = frozenset().union(*(domain.values for domain in finite))
    ranges = [domain for domain in domains if isinstance(domain, Range)]
    if not ranges:
        return Finite(values)
    if any(domain.low > -math.inf or domain.high < math.inf for domain in ranges):
        return None
    return Range(excluded=frozenset.intersection(*(domain.excluded for domain in ranges)) - values)


ANYTHING = Range()
