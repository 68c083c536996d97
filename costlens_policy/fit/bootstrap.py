"""Intervals of what two policies do on the same cases: a paired bootstrap.

The interval is that of percentiles (Efron and Tibshirani, "An introduction to the bootstrap", 1993). Whole groups of
equal prompts are drawn, so that what repeats counts once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np

from costlens_policy.fit.measurements import Floats, Places
from costlens_policy.intervals import LEVEL, Estimate

__all__ = ["Bootstrap", "share_saved"]

_DRAWS: Final = 2000
_AT_ONCE: Final = 4_000_000
"""Weights that are in memory at a time."""


class Bootstrap:
    """Sums over cases, drawn anew group by group; what is computed of them is paired, for all have the same draws.

    ``columns`` are values for each case, ``groups`` the number of each case's group, from 0 on.
    """

    def __init__(self, columns: Sequence[Floats], groups: Places, seed: int, draws: int = _DRAWS) -> None:
        self._count: Final = int(groups.max()) + 1
        with_size = (np.ones(len(groups)), *columns)
        sums: Floats = np.stack([np.bincount(groups, column, self._count) for column in with_size], axis=1)
        self._totals: Final[Floats] = sums.sum(axis=0)
        self._drawn: Final[Floats] = np.concatenate(list(_drawn(sums, seed, draws)))

    def estimate(self, statistic: Callable[[Any], Any], level: float = LEVEL) -> Estimate:
        """Return a statistic of the means of the columns, which come as ``means[..., column]``, with its interval."""
        value = float(statistic(self._totals[1:] / self._totals[0]))
        drawn = statistic(self._drawn[:, 1:] / self._drawn[:, :1])
        if math.isnan(value):
            return Estimate(value, value, value, self._count)
        low, high = np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2])
        return Estimate(value, float(low), float(high), self._count)


def share_saved(cost: Any, whole: Any) -> Any:
    """Return which share of a whole cost is saved: nothing of nothing, and NaN where a cost is beside nothing."""
    cost, whole = np.asarray(cost, dtype=float), np.asarray(whole, dtype=float)
    unknown = np.where(cost > 0, math.nan, 0.0)
    return np.where(whole > 0, 1 - cost / np.where(whole > 0, whole, 1.0), unknown)


def _drawn(sums: Floats, seed: int, draws: int) -> Iterator[Floats]:
    """Yield totals of groups drawn with replacement, some draws at a time."""
    random, count = np.random.default_rng(seed), len(sums)
    step = max(1, _AT_ONCE // count)
    for start in range(0, draws, step):
        some = min(step, draws - start)
        picked = random.integers(0, count, (some, count)) + np.arange(some)[:, None] * count
        weights = np.bincount(picked.ravel(), minlength=some * count).reshape(some, count)
        yield weights.astype(np.float64) @ sums
