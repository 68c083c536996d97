"""Advice on each task of recorded traffic, and which tasks are worth more than a prompt."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from costlens_policy.advise.advice import Advice, advise_on
from costlens_policy.advise.strategies import CACHED_PROMPT, PROMPT
from costlens_policy.advise.traffic.contenders import Market
from costlens_policy.advise.traffic.seen import Seen, Task
from costlens_policy.advise.traffic.workload import Asked, Derived, UnpricedError, derive
from costlens_policy.money import ZERO, multiply

__all__ = ["Ranked", "Ranking", "rank"]

_PROMPTS: Final = (PROMPT, CACHED_PROMPT, None)


@dataclass(frozen=True, slots=True)
class Ranked:
    """A task, its workload, and the advice on it."""

    task: Task
    derived: Derived
    advice: Advice

    @property
    def is_candidate(self) -> bool:
        """Whether the policies recommend something else than a prompt on the present model."""
        return self.advice.recommendation.strategy not in _PROMPTS

    @property
    def strategy(self) -> str | None:
        """What is shown for the task: what is recommended or, where that is a prompt, what else would save most."""
        if self.is_candidate:
            return self.advice.recommendation.strategy
        savings = self.advice.numbers.savings
        others = [name for name in savings if name not in _PROMPTS]
        return max(others, key=lambda name: savings[name]) if others else None

    @property
    def saving(self) -> Decimal:
        """US dollars over the horizon that ``strategy`` saves, at the base of all inputs; 0 without one."""
        return ZERO if self.strategy is None else self.advice.numbers.savings[self.strategy]

    @property
    def monthly_usd(self) -> Decimal:
        """US dollars for the first month with the cheaper way to prompt."""
        numbers = self.advice.numbers
        return multiply(numbers.strategies[numbers.prompting].usd_per_query, numbers.monthly[0])


@dataclass(frozen=True, slots=True)
class Ranking:
    """``ranked`` has candidates first, then by saving. ``left_out`` says by task why nothing was reckoned for it."""

    ranked: tuple[Ranked, ...]
    left_out: tuple[tuple[Task, str], ...]
    seen: Seen
    asked: Asked
    source: str

    @property
    def candidates(self) -> Iterator[Ranked]:
        return (item for item in self.ranked if item.is_candidate)

    @property
    def others(self) -> Iterator[Ranked]:
        return (item for item in self.ranked if not item.is_candidate)


def rank(seen: Seen, market: Market, asked: Asked, policy_set: str | os.PathLike[str] | None = None) -> Ranking:
    """Advise on each task. Raises ``PolicyError`` and ``InputError`` as ``advise`` does."""
    ranked, left_out = [], []
    for task in seen:
        try:
            derived = derive(task, seen, market, asked)
        except UnpricedError as error:
            left_out.append((task, str(error)))
        else:
            ranked.append(Ranked(task, derived, advise_on(derived.setting, asked.now, policy_set)))
    ranked.sort(key=lambda item: (not item.is_candidate, -item.saving, item.task.name or ""))
    left_out.sort(key=lambda item: (-item[0].calls, item[0].name or ""))
    return Ranking(tuple(ranked), tuple(left_out), seen, asked, market.source)
