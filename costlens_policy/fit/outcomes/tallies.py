"""Counting what is found in files, with the first places."""

from __future__ import annotations

from typing import Final

from costlens_policy.fit.outcomes.cases import Tally

__all__ = ["Place", "Tallies"]

Place = tuple[str, int]
"""A file and the number of a row in it."""
_MOST_PLACES: Final = 3


class Tallies:
    """Counts by what was found. The order is that in which things were found first."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._places: dict[str, list[str]] = {}

    def add(self, what: str, place: Place | str | None = None, count: int = 1) -> None:
        """Count something at a place, a file and a row or a name."""
        self._counts[what] = self._counts.get(what, 0) + count
        places = self._places.setdefault(what, [])
        if place is not None and len(places) < _MOST_PLACES:
            places.append(place if isinstance(place, str) else f"{place[0]}:{place[1]}")

    def all(self) -> tuple[Tally, ...]:
        """Return all counts."""
        return tuple(Tally(what, count, tuple(self._places[what])) for what, count in self._counts.items())

    def __len__(self) -> int:
        return len(self._counts)
