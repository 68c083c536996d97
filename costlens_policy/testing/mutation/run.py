"""Run mutation testing: make the mutants of every policy set, try its cases on them, and judge those that survive.

Processes share the work. Verdicts come in the order of the mutants, whoever made them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from itertools import groupby, islice
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from costlens_policy.diagnostics.model import in_order
from costlens_policy.frozen import frozen
from costlens_policy.testing.mutation.bench import Bench, benches_of
from costlens_policy.testing.mutation.explained import explained, explains, explanations_of, idle_explanations
from costlens_policy.testing.mutation.kept import Kept
from costlens_policy.testing.mutation.mutant import Mutant
from costlens_policy.testing.mutation.pool import Given, Pool, Task
from costlens_policy.testing.mutation.results import Fate, MutatedSet, Mutation, Verdict
from costlens_policy.testing.mutation.suggestions import killing_suite
from costlens_policy.testing.run import ready_suites

__all__ = ["Progress", "mutate"]

_AT_ONCE: Final = 24
"""Mutants that a process is handed together."""
_WORTH_SHARING: Final = 150
"""Fewer mutants are tried in this process: to start others takes longer."""

_Place: TypeAlias = tuple[int, int]
"""The place of a bench, and of a mutant in it."""


class Progress(Protocol):
    """Is told how far a run is."""

    def start(self, what: str, total: int | None, unit: str) -> None:
        """Begin something new with so many units."""

    def advance(self, amount: int) -> None:
        """Note that so many more are done."""


class _Silent:
    def start(self, what: str, total: int | None, unit: str) -> None:
        pass

    def advance(self, amount: int) -> None:
        pass


def mutate(
    paths: Iterable[str | os.PathLike[str]],
    *,
    filter: str | None = None,
    rule: str | None = None,
    only: Callable[[Mutant], bool] | None = None,
    jobs: int | None = None,
    limit: float | None = None,
    min_score: float | None = None,
    cache: bool = True,
    now: datetime | None = None,
    suggest_for: Path | None = None,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Mutation:
    """Change the policy sets that suites in files and folders test, a little at a time, and see whether a case fails.

    ``filter`` and ``now`` are those of ``run_suites``. ``rule`` keeps the mutants of rules whose ``policy/rule``
    matches it, with ``*`` and ``?``; ``only`` keeps those for which it is true. ``jobs`` is the number of processes, by
    default that of the processors. After ``limit`` seconds no further mutant is tried. With ``cache`` false, nothing is
    taken over from earlier runs. ``min_score`` is in percent. With ``suggest_for``, the
    result has the cases that would kill the survivors, as a file of that folder has them.
    """
    given = Given(tuple(map(Path, paths)), filter, now)
    ready = ready_suites(given.paths, filter=filter, now=now)
    benches = benches_of(ready.suites)
    failing = tuple(case.name for bench in benches for case in bench.failing())
    if failing or any(item.is_error for item in ready.diagnostics):
        return Mutation((), failing, ready.diagnostics, ready.sources, min_score)
    kept = [Kept.of(bench, ready.sources, on=cache) for bench in benches]
    wanted = [
        (at, place)
        for at, bench in enumerate(benches)
        for place, mutant in enumerate(bench.mutants)
        if (rule is None or fnmatchcase(mutant.rule, rule)) and (only is None or only(mutant))
    ]
    suites: list[str] = []
    end = None if limit is None else clock() + limit
    with Pool(given, benches, jobs or _jobs(len(wanted)), lambda: end is not None and clock() > end) as pool:
        verdicts = _Work(benches, kept, pool, progress or _Silent()).on(wanted)
    sets = tuple(_sets(benches, kept, verdicts))
    if suggest_for is not None:
        suites = [killing_suite(each, bench, suggest_for) for each, bench in zip(sets, benches, strict=True)]
    diagnostics = ready.diagnostics
    if len(wanted) == sum(len(bench.mutants) for bench in benches) and not filter:
        idle = (item for each, bench in zip(sets, benches, strict=True) for item in idle_explanations(each, bench))
        diagnostics = in_order([*diagnostics, *idle])
    return Mutation(sets, (), diagnostics, ready.sources, min_score, "---\n".join(suite for suite in suites if suite))


def _jobs(mutants: int) -> int:
    return 1 if mutants < _WORTH_SHARING else os.cpu_count() or 1


def _sets(benches: Sequence[Bench], kept: Sequence[Kept], verdicts: dict[_Place, Verdict]) -> Iterator[MutatedSet]:
    for at, (bench, keep) in enumerate(zip(benches, kept, strict=True)):
        own = [verdict for place, verdict in sorted(verdicts.items(), key=lambda item: item[0]) if place[0] == at]
        keep.write(own)
        plan = bench.tested.engine.plan
        yield explained(MutatedSet(plan.name, bench.tested.file, len(bench.cases), tuple(own)), bench)


@frozen
class _Work:
    """The two steps of a run: the cases are tried on every mutant, and what they do not kill is judged."""

    benches: Sequence[Bench]
    kept: Sequence[Kept]
    pool: Pool
    progress: Progress

    def on(self, wanted: Sequence[_Place]) -> dict[_Place, Verdict]:
        found = {place: verdict for place in wanted if (verdict := self._before(place)) is not None}
        found |= self._tried([place for place in wanted if place not in found])
        explanations = [list(explanations_of(bench)) for bench in self.benches]
        open_ = [
            place
            for place in wanted
            if found[place].fate is Fate.SURVIVED
            and not found[place].judged
            and not any(explains(item, found[place].mutant) for item in explanations[place[0]])
        ]
        return found | self._judged(open_)

    def _before(self, place: _Place) -> Verdict | None:
        """Return the verdict of an earlier run on the very same."""
        return self.kept[place[0]].verdict(self.benches[place[0]].mutants[place[1]])

    def _tried(self, places: Sequence[_Place]) -> dict[_Place, Verdict]:
        self.progress.start("trying mutants", len(places), "mutants")
        tasks = [
            Task(at, tuple(group), tuple(self.kept[at].killer(self.benches[at].mutants[place]) for place in group))
            for at, of in groupby(places, key=lambda place: place[0])
            for group in _batches([place for _, place in of])
        ]
        return self._run(tasks, Fate.UNTRIED)

    def _judged(self, places: Sequence[_Place]) -> dict[_Place, Verdict]:
        self.progress.start("judging survivors", len(places), "mutants")
        by_rule = groupby(places, key=lambda place: (place[0], self.benches[place[0]].mutants[place[1]].rule))
        tasks = [Task(at, tuple(place for _, place in of)) for (at, _), of in by_rule]
        return self._run(tasks, Fate.SURVIVED)

    def _run(self, tasks: Sequence[Task], otherwise: Fate) -> dict[_Place, Verdict]:
        """Return the verdicts of tasks; ``otherwise`` is what mutants come to for which there is no time."""
        found: dict[_Place, Verdict] = {}
        for task, verdicts in zip(tasks, self.pool.run(tasks), strict=True):
            mutants = [self.benches[task.bench].mutants[place] for place in task.places]
            if verdicts is None:
                verdicts = [Verdict(mutant, otherwise, "there was no time left") for mutant in mutants]
            found |= {(task.bench, place): verdict for place, verdict in zip(task.places, verdicts, strict=True)}
            self.progress.advance(len(mutants))
        return found


def _batches(places: Sequence[int]) -> Iterator[list[int]]:
    rest = iter(places)
    while batch := list(islice(rest, _AT_ONCE)):
        yield batch
