"""Every contestant on the same rules: a request in, a model out.

Each is measured in a process of its own, ``python -m benchmarks.routing KEY``: one that crashes or hangs is named as
having failed, and none disturbs another.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.peers import CONTESTANTS, Contestant
from benchmarks.rules import HITS, Decide, Rule, make_rules, requests_for
from benchmarks.timing import FULL, QUICK, Effort, microseconds

__all__ = ["SIZES", "Standing", "measure_contestant", "measure_routing"]

SIZES: Final = (10, 200, 10_000)
_LONGEST: Final = 900
"""Seconds after which a contestant is given up."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What was measured of a contestant. ``version`` is that of its package, None where that is absent.

    ``times`` has microseconds by number of rules and by what the requests hit, ``prepared`` the seconds that
    compiling the rules took; a number of rules that is missing in both was not measured, ``failure`` says why.
    """

    key: str
    title: str
    is_peer: bool
    version: str | None
    times: dict[int, dict[str, float]]
    prepared: dict[int, float]
    failure: str = ""


def measure_routing(*, quick: bool) -> Iterator[Standing]:
    """Yield the standing of each contestant in turn."""
    for contestant in CONTESTANTS:
        yield measure_contestant(contestant.key, quick=quick)


def measure_contestant(key: str, *, quick: bool) -> Standing:
    contestant = _contestant(key)
    if contestant.installed is None:
        return Standing(key, contestant.title, contestant.is_peer, None, {}, {}, "not installed")
    return _in_own_process(contestant, quick)


def _contestant(key: str) -> Contestant:
    return next(item for item in CONTESTANTS if item.key == key)


def _in_own_process(contestant: Contestant, quick: bool) -> Standing:
    times: dict[int, dict[str, float]] = {}
    prepared: dict[int, float] = {}
    failure = ""
    command = [sys.executable, "-m", "benchmarks.routing", contestant.key, *(["--quick"] if quick else [])]
    try:
        output = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST, check=False)
        lines = output.stdout.splitlines()
        if output.returncode:
            failure = (output.stderr.strip().splitlines() or [f"exit code {output.returncode}"])[-1]
    except subprocess.TimeoutExpired as expired:
        lines = (expired.stdout or b"").decode().splitlines()
        failure = f"given up after {_LONGEST} s"
    for line in map(json.loads, lines):
        times[line["rules"]], prepared[line["rules"]] = line["times"], line["prepared"]
    version = contestant.installed
    return Standing(contestant.key, contestant.title, contestant.is_peer, version, times, prepared, failure)


def _measure(contestant: Contestant, effort: Effort, sizes: Sequence[int]) -> Iterator[dict[str, Any]]:
    for size in sizes:
        rules = make_rules(size)
        start = time.process_time()
        decide = contestant.prepare(rules)
        prepared = time.process_time() - start
        times = {}
        for hits in HITS:
            _examine(decide, rules, hits)
            times[hits] = microseconds(decide, requests_for(rules, hits), effort)
        yield {"rules": size, "prepared": prepared, "times": times}


def _examine(decide: Decide, rules: Sequence[Rule], hits: str) -> None:
    """Make sure of the answers before they are timed."""
    model_of = {(rule.team, rule.task): rule.model for rule in rules}
    for request in requests_for(rules, hits)[:8]:
        expected = None if hits == "miss" else model_of[request["team"], request["task"]]
        answer = decide(request)
        if answer != expected:
            raise SystemExit(f"wrong answer: {answer!r} instead of {expected!r}")


def main(arguments: Sequence[str]) -> None:
    """Measure one contestant and print one JSON object for each number of rules."""
    quick = "--quick" in arguments
    contestant = _contestant(arguments[0])
    sizes = [size for size in SIZES if not quick or size <= contestant.quick]
    for line in _measure(contestant, QUICK if quick else FULL, sizes):
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
