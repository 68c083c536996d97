"""CPU time of one call: medians over rounds, so that other work on the machine does not count."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["FULL", "QUICK", "Effort", "by_turns", "cpu_seconds", "microseconds"]


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure. A round takes about ``seconds`` of CPU, and at least one call."""

    rounds: int
    seconds: float
    most_rules: int
    """Larger rule sets are left out."""
    longest_call: float
    """A call that takes longer, in seconds, is measured once instead of in every round."""
    warming: float = 2.0
    """Seconds of CPU after which warming up ends, whatever has not had its turn."""


_TURNS = 10
"""Into how many turns a round of ``by_turns`` is divided."""

QUICK = Effort(rounds=3, seconds=0.02, most_rules=10_000, longest_call=0.1)
FULL = Effort(rounds=7, seconds=0.2, most_rules=10_000, longest_call=1.0)


def microseconds(call: Callable[[Any], Any], arguments: Sequence[Any], effort: Effort) -> float:
    """Return the median over rounds of the CPU time of one call, all threads of the process together.

    Every round walks over the arguments from the start, as often as its time allows. Before the first, each argument
    has its turn, so that whatever is compiled when first needed is compiled.
    """
    once = _per_call(call, arguments[:1], 1)
    if once > effort.longest_call:
        return once * 1e6
    end = time.process_time() + effort.warming
    for argument in arguments:
        call(argument)
        if time.process_time() > end:
            break
    calls = max(1, int(effort.seconds / max(_per_call(call, arguments[:8], 1), 1e-9)))
    rounds = [_round(call, arguments, calls) for _ in range(effort.rounds)]
    return statistics.median(rounds) * 1e6


def by_turns(calls: Sequence[Callable[[], Any]], effort: Effort) -> list[float]:
    """Return the medians of microseconds of CPU of several calls that are to be compared, measured by turns.

    Rounds are short, so that whatever slows the machine down for a while slows down all of them alike.
    """
    each = effort.seconds / _TURNS
    counts = [max(1, int(each / max(_turn(call, 20), 1e-9))) for call in calls]
    rounds: list[list[float]] = [[] for _ in calls]
    gc.collect()
    for _ in range(effort.rounds * _TURNS):
        for call, count, times in zip(calls, counts, rounds, strict=True):
            times.append(_turn(call, count))
    return [statistics.median(times) * 1e6 for times in rounds]


def _turn(call: Callable[[], Any], count: int) -> float:
    """Return the CPU time of one of so many calls."""
    start = time.process_time()
    for _ in range(count):
        call()
    return (time.process_time() - start) / count


def cpu_seconds(work: Callable[[], Any], rounds: int) -> float:
    """Return the median of the CPU time that some work takes as a whole."""
    return statistics.median(_per_call(lambda _: work(), (None,), 1) for _ in range(rounds))


def _round(call: Callable[[Any], Any], arguments: Sequence[Any], calls: int) -> float:
    if calls < len(arguments):
        return _per_call(call, arguments[:calls], 1)
    return _per_call(call, arguments, calls // len(arguments))


def _per_call(call: Callable[[Any], Any], arguments: Sequence[Any], repeats: int) -> float:
    gc.collect()
    start = time.process_time()
    for _ in range(repeats):
        for argument in arguments:
            call(argument)
    return (time.process_time() - start) / (repeats * len(arguments))
