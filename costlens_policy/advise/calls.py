"""Recorded calls by task: their sums, the start that their prompts share, how many a month, and their growth."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import combinations, pairwise, product
from math import ceil
from random import Random
from typing import Any, Final

from costlens_policy.advise.inputs import Range
from costlens_policy.advise.strategies import HOURS_PER_MONTH
from costlens_policy.frozen import frozen
from costlens_policy.intervals import Estimate, of_pairs
from costlens_policy.tokens import ESTIMATE

__all__ = [
    "EPOCH", "MICROSECOND", "CallSums", "RecordedSpan", "Sample", "Seen", "Task", "TaskCall", "Volume", "shared_start",
    "volume_of",
]  # fmt: skip


@frozen
class TaskCall:
    """One recorded call. ``task`` is the label that calls are grouped by; ``time`` is None without a timestamp.

    ``prompt_tokens`` includes the cached part. ``cached_tokens`` were read from a prompt cache and ``written_tokens``
    written to it; both are None if not recorded. ``prompt`` is the text, or the ids of its blocks of ``block_tokens``
    tokens; empty if neither was recorded. ``outcomes`` has the quality of its answer by model.
    """

    task: str | None
    time: datetime | None
    model: str | None
    prompt_tokens: int
    output_tokens: int
    cached_tokens: int | None = None
    written_tokens: int | None = None
    prompt: str | Sequence[Hashable] = ""
    outcomes: Mapping[str, float] = field(default_factory=dict)


@frozen
class CallSums:
    """Sums over recorded calls of one task, without prompts or outcomes, as ``Task`` has them."""

    calls: int
    prompt_tokens: int
    output_tokens: int
    cache_known_tokens: int
    cached_tokens: int
    written_tokens: int
    models: Mapping[str, int]
    times: Sequence[int]


EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

MICROSECOND: Final = timedelta(microseconds=1)

_SHARE: Final = 0.9

"""The share of the prompts that must have a prefix."""

_ENOUGH: Final = 10

"""With fewer prompts, no shared prefix is derived."""

_KEPT: Final = 200


@dataclass(slots=True)
class Sample:
    """At most two hundred prompts, drawn evenly from all that were offered; the same ones each time.

    They are drawn and not counted off: prompts that take turns would meet the same step again and again.
    """

    kept: list[Any] = field(default_factory=list)
    _seen: int = 0
    _random: Random = field(default_factory=lambda: Random(0))

    def add(self, prompt: Any) -> None:
        """Keep the prompt, or one that was kept before, so that each has the same chance."""
        self._seen += 1
        if len(self.kept) < _KEPT:
            self.kept.append(prompt)
        elif (place := self._random.randrange(self._seen)) < _KEPT:
            self.kept[place] = prompt


def shared_start(prompts: Sequence[Any]) -> int:
    """Return the length of the longest prefix that ``SHARE`` of the prompts have; 0 if there are too few prompts.

    Prompts are strings, or sequences that can be sorted. Sorting puts those with the same prefix together.
    """
    if len(prompts) < _ENOUGH:
        return 0
    ordered = sorted(prompts)
    step = ceil(_SHARE * len(ordered)) - 1
    return max(_common(ordered[at], ordered[at + step]) for at in range(len(ordered) - step))


@dataclass(slots=True)
class Task:
    """Sums over the calls of one task. ``times`` are in microseconds since 1970, one for each call that has one."""

    name: str | None
    calls: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    cache_known_tokens: int = 0
    """Prompt tokens of the calls whose cached part is recorded."""
    cached_tokens: int = 0
    written_tokens: int = 0
    models: Counter[str] = field(default_factory=Counter)
    times: array[int] = field(default_factory=lambda: array("q"))
    prompts: Sample = field(default_factory=Sample)
    _outcomes: dict[str, list[float]] = field(default_factory=dict)
    _pairs: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    """How many calls have the outcomes of two models, the sum of the differences, and that of their squares."""

    def add(self, call: TaskCall) -> None:
        """Add a call."""
        self.calls += 1
        self.prompt_tokens += call.prompt_tokens
        self.output_tokens += call.output_tokens
        if call.cached_tokens is not None:
            self.cache_known_tokens += call.prompt_tokens
            self.cached_tokens += call.cached_tokens
            self.written_tokens += call.written_tokens or 0
        if call.model is not None:
            self.models[call.model] += 1
        if call.time is not None:
            self.times.append((call.time - EPOCH) // MICROSECOND)
        if call.prompt:
            self.prompts.add(call.prompt)
        for model, outcome in call.outcomes.items():
            self._outcomes.setdefault(model, []).append(outcome)
        for (one, first), (other, second) in combinations(sorted(call.outcomes.items()), 2):
            sums = self._pairs.setdefault((one, other), [0, 0.0, 0.0])
            sums[0] += 1
            sums[1] += first - second
            sums[2] += (first - second) ** 2

    def add_sums(self, sums: CallSums) -> None:
        """Add calls that were summed up."""
        self.calls += sums.calls
        self.prompt_tokens += sums.prompt_tokens
        self.output_tokens += sums.output_tokens
        self.cache_known_tokens += sums.cache_known_tokens
        self.cached_tokens += sums.cached_tokens
        self.written_tokens += sums.written_tokens
        self.models.update(sums.models)
        self.times.extend(sums.times)

    @property
    def model(self) -> str | None:
        """The model that served most calls; of two, the first by name."""
        return min(self.models, key=lambda name: (-self.models[name], name)) if self.models else None

    def accuracy(self, *names: str | None) -> Decimal | None:
        """Return the accuracy of a model, by any of its names; None if it was not recorded."""
        found = self.recorded(*names)
        return Decimal(repr(round(sum(found) / len(found), 4))) if found else None

    def recorded(self, *names: str | None) -> Sequence[float]:
        """Return the recorded outcomes of a model, by any of its names."""
        return next((self._outcomes[name] for name in names if name in self._outcomes), ())

    def beside(self, one: Collection[str], other: Collection[str]) -> Estimate | None:
        """Return how much better one model is than another, each by any of its names, on the calls that tell of both.

        None where there are none, or more calls tell of each one alone: then the two are measured on different calls.
        """
        for sign, (first, second) in ((1, (one, other)), (-1, (other, one))):
            for pair in product(first, second):
                if pair in self._pairs:
                    cases, total, squares = self._pairs[pair]
                    if cases < min(len(self._outcomes[name]) for name in pair):
                        return None
                    return of_pairs(sign * total, squares, int(cases))
        return None

    def shared(self, block_tokens: int) -> int | None:
        """Return how many tokens at the start nearly all prompts share; None where too few prompts were recorded.

        The share of a text is measured with the built-in estimate of tokens and applied to the recorded prompt tokens.
        """
        prompts = self.prompts.kept
        if len(prompts) < _ENOUGH:
            return None
        length, average = shared_start(prompts), round(self.prompt_tokens / self.calls)
        if not isinstance(prompts[0], str):
            return min(length * block_tokens, average)
        start = ESTIMATE.count(_start(prompts, length))
        whole = sum(map(ESTIMATE.count, prompts))
        return min(average, start * self.prompt_tokens * len(prompts) // (whole * self.calls)) if whole else 0

    def warm(self, lifetime: timedelta) -> Decimal | None:
        """Return the share of calls that come while a prompt cached by the one before is alive; None without times."""
        if len(self.times) < _ENOUGH:
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

    def add(self, call: TaskCall) -> None:
        """Add a call."""
        self.task(call.task).add(call)

    def task(self, name: str | None) -> Task:
        """Return the task of a label, which is new where no call had the label."""
        task = self.tasks.get(name)
        if task is None:
            task = self.tasks[name] = Task(name)
        return task

    @property
    def calls(self) -> int:
        return sum(task.calls for task in self)

    @property
    def period(self) -> RecordedSpan | None:
        """The time between the first and the last call of all; None where no call has a time."""
        timed = [task.times for task in self if task.times]
        if not timed:
            return None
        return RecordedSpan(min(map(min, timed)), max(map(max, timed)), sum(map(len, timed)))

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks.values())


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


_HOUR: Final = 3_600_000_000

_WEEK: Final = 168 * _HOUR

_MONTH: Final = int(HOURS_PER_MONTH * _HOUR)

_ORIGIN: Final = "traffic"

_WEEKS_FOR_RANGE: Final = 2

_WEEKS_FOR_GROWTH: Final = 4

_LEAST, _MOST = Decimal(-1), Decimal(10)


@frozen
class RecordedSpan:
    """The time that a record covers, in microseconds since 1970, for all of its calls together.

    A record of N calls covers N - 1 gaps between them; ``length`` counts one more, so that an even stream has its rate.
    """

    first: int
    last: int
    calls: int

    @property
    def length(self) -> int:
        between = self.last - self.first
        return between + (between // (self.calls - 1) if self.calls > 1 else 0)

    @property
    def weeks(self) -> int:
        return self.length // _WEEK


@frozen
class Volume:
    """Queries a month, from the quietest week to the busiest; growth is None where the record is too short for it."""

    per_month: Range
    growth: Range | None


def volume_of(times: Sequence[int], period: RecordedSpan) -> Volume | None:
    """Return the volume of calls at some times, in microseconds; None where they all happened at once."""
    if period.length <= 0:
        return None
    base = _rate(len(times), period.length)
    low = high = base
    if period.weeks >= _WEEKS_FOR_RANGE:
        weeks = _counts(times, period.first, _WEEK, period.weeks)
        low, high = min(base, _rate(min(weeks), _WEEK)), max(base, _rate(max(weeks), _WEEK))
    return Volume(Range(low, base, high, _ORIGIN), _growth_of(times, period))


def _growth_of(times: Sequence[int], period: RecordedSpan) -> Range | None:
    """Return growth from month to month, from one half of the record to the other; None below four weeks.

    Both halves are whole weeks, so both have the same days of the week. One end of the range is no growth, since growth
    may not continue.
    """
    half = period.weeks // 2
    if period.weeks < _WEEKS_FOR_GROWTH:
        return None
    before, after = _counts(times, period.first, half * _WEEK, 2)
    if not before or not after:
        return None
    growth = Decimal(repr(round((after / before) ** (_MONTH / (half * _WEEK)) - 1, 3)))
    growth = min(max(growth, _LEAST), _MOST)
    return Range(min(growth, Decimal(0)), growth, max(growth, Decimal(0)), _ORIGIN)


def _rate(count: int, length: int) -> Decimal:
    return Decimal(max(1, round(count * _MONTH / length)))


def _counts(times: Sequence[int], first: int, length: int, number: int) -> list[int]:
    counts = [0] * number
    for time in times:
        if (at := (time - first) // length) < number:
            counts[at] += 1
    return counts
