"""CPU time of one call: medians over rounds, so that other work on the machine does not count."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["FULL", "QUICK", "Effort", "cpu_seconds", "microseconds"]


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
