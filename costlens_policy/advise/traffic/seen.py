"""What the calls of a task tell, gathered call by call."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Final

from costlens_policy.advise.traffic.call import Call
from costlens_policy.advise.traffic.shared_start import ENOUGH, Sample, shared_start
from costlens_policy.advise.traffic.volume import Period
from costlens_policy.tokens import ESTIMATE

__all__ = ["EPOCH", "MICROSECOND", "Seen", "Task"]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(slots=True)
class Task:
    """Sums over the calls of one task. ``times`` are in microseconds since 1970, one for each call that has one."""

    name: str | None
    calls: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    told: int = 0
    """Prompt tokens of the calls whose record tells the cached part."""
    cached_tokens: int = 0
    written_tokens: int = 0
    models: Counter[str] = field(default_factory=Counter)
    times: array[int] = field(default_factory=lambda: array("q"))
    prompts: Sample = field(default_factory=Sample)
    _outcomes: dict[str, list[float]] = field(default_factory=dict)

    def add(self, call: Call) -> None:
        """Add a call."""
        self.calls += 1
        self.prompt_tokens += call.prompt_tokens
        self.output_tokens += call.output_tokens
        if call.cached_tokens is not None:
            self.told += call.prompt_tokens
            self.cached_tokens += call.cached_tokens
            self.written_tokens += call.written_tokens or 0
        if call.model is not None:
            self.models[call.model] += 1
        if call.time is not None:
            self.times.append((call.time - EPOCH) // MICROSECOND)
        if call.prompt:
            self.prompts.offer(call.prompt)
        for model, outcome in call.outcomes.items():
            self._outcomes.setdefault(model, []).append(outcome)

    @property
    def model(self) -> str | None:
        """The model that served most calls; of two, the first by name."""
        return min(self.models, key=lambda name: (-self.models[name], name)) if self.models else None

    def accuracy(self, *names: str | None) -> Decimal | None:
        """Return how often a model was right, by any of its names; None where that was not recorded."""
        found = next((self._outcomes[name] for name in names if name in self._outcomes), None)
        return None if found is None else Decimal(repr(round(sum(found) / len(found), 4)))

    def shared(self, block_tokens: int) -> int | None:
        """Return how many tokens at the start nearly all prompts share; None where too few prompts were recorded.

        The share of a text is measured with the built-in estimate of tokens and applied to the recorded prompt tokens.
        """
        prompts = self.prompts.kept
        if len(prompts) < ENOUGH:
            return None
        length, average = shared_start(prompts), round(self.prompt_tokens / self.calls)
        if not isinstance(prompts[0], str):
            return min(length * block_tokens, average)
        start = ESTIMATE.count(_start(prompts, length))
        whole = sum(map(ESTIMATE.count, prompts))
        return min(average, start * self.prompt_tokens * len(prompts) // (whole * self.calls)) if whole else 0

    def warm(self, lifetime: timedelta) -> Decimal | None:
        """Return the share of calls that come while a prompt cached by the one before is alive; None without times."""
        if len(self.times) < ENOUGH:
            return None
        times, alive = sorted(self.times), lifetime // MICROSECOND
        hits = sum(later - earlier <= alive for earlier, later in pairwise(times))
        return Decimal(repr(round(hits / len(times), 3)))


def _start(prompts: list[str], length: int) -> str:
    """Return the start itself: that of the prompt in the middle, since nine of ten have it."""
    return sorted(prompts)[len(prompts) // 2][:length]


@dataclass(slots=True)
class Seen:
    """Calls by task, as they come. ``block_tokens`` is the size of the blocks of prompts that are ids of blocks."""

    block_tokens: int = 0
    tasks: dict[str | None, Task] = field(default_factory=dict)

    def add(self, call: Call) -> None:
        """Add a call."""
        task = self.tasks.get(call.task)
        if task is None:
            task = self.tasks[call.task] = Task(call.task)
        task.add(call)

    @property
    def calls(self) -> int:
        return sum(task.calls for task in self)

    @property
    def period(self) -> Period | None:
        """The time between the first and the last call of all; None where no call has a time."""
        timed = [task.times for task in self if task.times]
        if not timed:
            return None
        return Period(min(map(min, timed)), max(map(max, timed)), sum(map(len, timed)))

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks.values())
