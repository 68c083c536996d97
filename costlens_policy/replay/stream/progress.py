"""How far a replay is, for whoever wants to show it."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress", "Silent"]


class Progress(Protocol):
    """Is told what begins and how it advances."""

    def start(self, what: str, total: int | None, unit: str, done: int = 0) -> None:
        """Begin with something of so many units in all, or of an unknown number; ``done`` of them before."""

    def advance(self, units: int) -> None:
        """Go on by so many units."""


class Silent:
    """Shows nothing."""

    def start(self, what: str, total: int | None, unit: str, done: int = 0) -> None:
        pass

    def advance(self, units: int) -> None:
        pass
