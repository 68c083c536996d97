"""What a signal comes to for a text: a value, how sure it is, and what weighed most."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Final, TypeAlias

from costlens_policy.frozen import frozen

__all__ = ["ABSENT", "Value", "Weighed"]

Value: TypeAlias = str | float | int | bool
"""A label, a number, or a truth value."""


@frozen
class Weighed:
    """``value`` is None where nothing can be said of the text. ``confidence`` is from 0 to 1.

    ``words`` are the parts of the text that weighed most, each with its weight, the heaviest first; a weight below zero
    speaks against the value.
    """

    value: Value | None
    confidence: float = 1.0
    words: tuple[tuple[str, float], ...] = ()
    explain: Callable[[], tuple[tuple[str, float], ...]] | None = field(default=None, repr=False, compare=False)
    """What gives the words, where finding them takes longer than the value and only explanations ask."""

    def heaviest(self) -> tuple[tuple[str, float], ...]:
        """Return the parts of the text that weighed most, found now if they were not."""
        return self.words if self.explain is None else self.explain()


ABSENT: Final = Weighed(None, 0.0)
"""Nothing can be said."""
