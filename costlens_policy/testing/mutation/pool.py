"""The processes that share the work of a run, or this one alone."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from datetime import datetime
from pathlib import Path
from types import TracebackType

from costlens_policy.frozen import frozen
from costlens_policy.testing.mutation.bench import Bench, benches_of
from costlens_policy.testing.mutation.judging import judge_survivors, try_cases
from costlens_policy.testing.mutation.results import Verdict
from costlens_policy.testing.run import ready_suites

__all__ = ["Given", "Pool", "Task"]


@frozen
class Given:
    """What the benches of a run are made from."""

    paths: tuple[Path, ...]
    filter: str | None
    now: datetime | None

    def benches(self) -> tuple[Bench, ...]:
        return benches_of(ready_suites(self.paths, filter=self.filter, now=self.now).suites)


@frozen
class Task:
    """Some mutants of a bench, by their places. With ``killers`` the cases are tried on them, those first that killed
    them before; without, they are survivors of one rule to be judged.
    """

    bench: int
    places: tuple[int, ...]
    killers: tuple[str, ...] = ()


class Pool:
    """Runs tasks in order. ``is_over`` says that no further one is to begin."""

    def __init__(self, given: Given, benches: tuple[Bench, ...], jobs: int, is_over: Callable[[], bool]) -> None:
        self._given = given
        self._benches = benches
        self._jobs = jobs
        self._is_over = is_over
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> Pool:
        if self._jobs > 1:
            global _here
            _here = (self._given, self._benches)  # what a forked process has from the start
            method = "fork" if _can_fork() else "spawn"
            context = multiprocessing.get_context(method)
            self._executor = ProcessPoolExecutor(self._jobs, context, _begin, (self._given,))
            self._executor.submit(int).result()  # before anything else begins a thread
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)

    def run(self, tasks: Sequence[Task]) -> Iterator[list[Verdict] | None]:
        """Yield the verdicts of each task, None for one for which there was no time."""
        if self._executor is None:
            yield from (None if self._is_over() else _done(self._given, self._benches, task) for task in tasks)
            return
        futures = [self._executor.submit(_work, task) for task in tasks]
        for future in futures:
            yield self._result(future)

    def _result(self, future: Future[list[Verdict]]) -> list[Verdict] | None:
        if self._is_over() and future.cancel():
            return None
        return future.result()


_here: tuple[Given, tuple[Bench, ...]] | None = None


def _can_fork() -> bool:
    return "fork" in multiprocessing.get_all_start_methods() and threading.active_count() == 1


def _begin(given: Given) -> None:
    global _here
    if _here is None or _here[0] != given:
        _here = (given, given.benches())


def _work(task: Task) -> list[Verdict]:
    assert _here is not None
    return _done(*_here, task)


def _done(given: Given, benches: Sequence[Bench], task: Task) -> list[Verdict]:
    bench = benches[task.bench]
    mutants = [bench.mutants[place] for place in task.places]
    if not task.killers:
        return judge_survivors(bench, mutants, given.paths)
    return [try_cases(bench, mutant, killer) for mutant, killer in zip(mutants, task.killers, strict=True)]
