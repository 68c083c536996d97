"""The start that nearly all prompts share: instructions and examples, which training could absorb."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from random import Random
from typing import Any, Final

__all__ = ["ENOUGH", "SHARE", "Sample", "shared_start"]

SHARE: Final = 0.9
"""A start counts where this share of the prompts has it."""
ENOUGH: Final = 10
"""Fewer prompts tell nothing of what they share."""
_KEPT: Final = 200


@dataclass(slots=True)
class Sample:
    """At most two hundred prompts, drawn evenly from all that were offered; the same ones each time.

    They are drawn and not counted off: prompts that take turns would meet the same step again and again.
    """

    kept: list[Any] = field(default_factory=list)
    _offered: int = 0
    _random: Random = field(default_factory=lambda: Random(0))

    def offer(self, prompt: Any) -> None:
        """Keep the prompt, or one that was kept before, so that each has the same chance."""
        self._offered += 1
        if len(self.kept) < _KEPT:
            self.kept.append(prompt)
        elif (place := self._random.randrange(self._offered)) < _KEPT:
            self.kept[place] = prompt


def shared_start(prompts: Sequence[Any]) -> int:
    """Return the length of the longest start that ``SHARE`` of the prompts have; 0 where there are too few prompts.

    Prompts are texts, or sequences that can be sorted. Among sorted ones, those with the same start stand together.
    """
    if len(prompts) < ENOUGH:
        return 0
    ordered = sorted(prompts)
    step = ceil(SHARE * len(ordered)) - 1
    return max(_common(ordered[at], ordered[at + step]) for at in range(len(ordered) - step))


def _common(one: Sequence[Any], other: Sequence[Any]) -> int:
    shorter = min(len(one), len(other))
    if one[:shorter] == other[:shorter]:
        return shorter
    low, high = 0, shorter  # the longest equal start is in between: halving compares slices, which is quick
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
