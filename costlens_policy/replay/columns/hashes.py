"""Sets of 64-bit hashes in sorted runs: 8 bytes for each member, however many are added."""

from __future__ import annotations

import polars as pl

__all__ = ["Hashes"]


class Hashes:
    """A set of hashes.

    Runs double in length, so that a hash is looked for in few of them and is sorted few times. Two members may have one
    hash: with a billion of them that happens with a probability of 3 %, and errs on the side of being known.
    """

    __slots__ = ("_runs",)

    def __init__(self) -> None:
        self._runs: list[pl.Series] = []

    def add(self, values: pl.Series) -> bool:
        """Add values, none of them null. Return False, and add nothing, where one may be there already."""
        run = values.hash().sort()
        if (run == run.shift(1)).any() or any(_has_any(known, run) for known in self._runs):
            return False
        self._take(run)
        return True

    def include(self, values: pl.Series) -> None:
        """Add those values that are not there yet."""
        run = values.hash().unique().sort()
        for known in self._runs:
            run = run.filter(~run.is_in(known.implode()))
        if len(run):
            self._take(run)

    def meets(self, other: Hashes) -> bool:
        """Return whether the two sets may have a member in common."""
        return any(_has_any(mine, theirs) for mine in self._runs for theirs in other._runs)

    def unite(self, other: Hashes) -> None:
        """Add the members of a set that this one has nothing in common with."""
        for run in other._runs:
            self._take(run)

    def to_list(self) -> list[int]:
        """Return the hashes, in ascending order."""
        return pl.concat(self._runs).sort().to_list() if self._runs else []

    @classmethod
    def from_list(cls, hashes: list[int]) -> Hashes:
        """Return the set that ``to_list`` wrote."""
        made = cls()
        if hashes:
            made._runs.append(pl.Series(hashes, dtype=pl.UInt64))
        return made

    def _take(self, run: pl.Series) -> None:
        while self._runs and len(self._runs[-1]) <= len(run):
            run = pl.concat([self._runs.pop(), run]).sort()
        self._runs.append(run)


def _has_any(known: pl.Series, hashes: pl.Series) -> bool:
    """Return whether a sorted run has any of these hashes."""
    places = known.search_sorted(hashes, "left")
    within = places < len(known)
    return bool((known.gather(places.filter(within)) == hashes.filter(within)).any())
