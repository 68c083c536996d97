"""What calls of one kind have come to, as ratios of their worst case, and which ratio most of them stay within.

Of ``n`` cases, the ratio that a share ``q`` of calls stays within is the k-th smallest, where k is ``q (n + 1)``,
rounded up. If the next call is drawn as those were (all of them are exchangeable), it comes to at most that with a
probability of at least ``q``, whatever their distribution is: split conformal prediction, V. Vovk, A. Gammerman and
G. Shafer, *Algorithmic Learning in a Random World* (2005); J. Lei et al., *JASA* 113 (2018), theorem 2.2. With ``q n``
in place of ``q (n + 1)`` it would fall short of that.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Mapping
from decimal import ROUND_CEILING, Context, Decimal
from typing import Final, NamedTuple, TypeAlias

__all__ = [
    "LONGEST_TASK", "MOST_CASES", "RATIO_DIGITS", "WHOLE", "CallKind", "Measured", "Measures", "Ratios",
    "band_of", "least_cases", "lowest_of", "ratio_of",
]  # fmt: skip

WHOLE: Final = Decimal(1)
"""The ratio of a call that costs its worst case."""
RATIO_DIGITS: Final = 6
"""Digits after the point that a ratio has; it is rounded up to them."""
MOST_CASES: Final = 1000
"""How many cases of a kind are remembered, those settled last."""
LONGEST_TASK: Final = 200
"""Characters of the name of a task of which calls are measured."""
_UNITS: Final = 10**RATIO_DIGITS
_EXACT: Final = Context(prec=60)


class CallKind(NamedTuple):
    """Which calls are alike: on one budget (``policy/budget``), of one model, task, and band of output limits."""

    budget: str
    model: str
    task: str
    band: int


class Measured(NamedTuple):
    """What is known of a kind: from how many cases, and the ratio of the worst case that is held for a call.

    The ratio is from 0 to 1, with at most ``RATIO_DIGITS`` digits after the point.
    """

    cases: int
    ratio: Decimal


Measures: TypeAlias = Mapping[CallKind, Measured]
"""What is known of each kind. Of one that is not listed there are no cases."""


def band_of(output_tokens: int) -> int:
    """Return the band of an output limit: from one power of two up to the next, 4,096 to 8,191 for example."""
    return output_tokens.bit_length()


def lowest_of(band: int) -> int:
    """Return the lowest output limit of a band."""
    return 1 << band - 1 if band else 0


def least_cases(quantile: Decimal) -> int:
    """Return how many cases a quantile below 1 takes: of fewer, no case is high enough."""
    return int((quantile / (1 - quantile)).to_integral_value(ROUND_CEILING, _EXACT))


def ratio_of(amount: int, worst: int) -> int:
    """Return a charge as a ratio of its worst case, in millionths, rounded up; at most the whole."""
    return min(_UNITS, -(-amount * _UNITS // worst)) if worst > 0 else _UNITS


class Ratios:
    """The ratios of one kind of calls, in millionths, of at most the ``MOST_CASES`` that were added last."""

    __slots__ = ("_last", "_sorted")

    def __init__(self, ratios: Iterable[int] = ()) -> None:
        self._last: deque[int] = deque()
        self._sorted: list[int] = []
        for ratio in ratios:
            self.add(ratio)

    def add(self, ratio: int) -> None:
        if len(self._last) == MOST_CASES:
            del self._sorted[bisect_left(self._sorted, self._last.popleft())]
        self._last.append(ratio)
        insort(self._sorted, ratio)

    def measured(self, quantile: Decimal) -> Measured:
        """Return what is known of the kind."""
        cases = len(self._sorted)
        place = int((quantile * (cases + 1)).to_integral_value(ROUND_CEILING, _EXACT))
        if place > cases:
            return Measured(cases, WHOLE)
        return Measured(cases, Decimal(self._sorted[place - 1]).scaleb(-RATIO_DIGITS, _EXACT))
