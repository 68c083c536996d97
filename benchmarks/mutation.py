"""How many mutants of the reference policies are tried in a minute, and what judging the survivors takes.

``python -m benchmarks.mutation [--quick] [--json]``. Nothing is taken over from earlier runs. The time is that of the
whole run, reading and checking included; with ``--quick`` only the mutants of one policy are tried.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from time import perf_counter
from typing import Final

from benchmarks.section import Section, run_section
from costlens_policy.testing.mutation.results import Fate, Mutation
from costlens_policy.testing.mutation.run import mutate

__all__ = ["section"]

_POLICIES: Final = Path(__file__).resolve().parent.parent / "policies"
_SETS: Final = {"reference": (_POLICIES / "policy-set.yaml", *sorted(_POLICIES.glob("*_test.yaml")))}


def section(*, quick: bool) -> Section:
    """Return the table."""
    rows = []
    for name, paths in _SETS.items():
        for jobs in dict.fromkeys((1, os.cpu_count() or 1)):
            begun = perf_counter()
            found = mutate(paths, jobs=jobs, cache=False, rule="tier-access/*" if quick else None)
            seconds = perf_counter() - begun
            tried = sum(found.counts().values())
            rows.append((f"{name}, {jobs} processes", tried, *_judged(found), seconds, 60 * tried / seconds))
    columns = ("policies", "mutants", "killed", "judged", "seconds", "mutants a minute")
    return Section("mutation", "mutation testing: seconds of wall-clock time", columns, tuple(rows))


def _judged(found: Mutation) -> tuple[int, int]:
    counts = found.counts()
    return counts[Fate.KILLED], counts[Fate.SURVIVED] + counts[Fate.EQUIVALENT]


if __name__ == "__main__":
    sys.exit(run_section("mutation", section, sys.argv[1:]))
