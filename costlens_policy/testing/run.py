"""Run suites: find them, hold them against their policy sets, decide each case, and measure what was covered.

``watch`` does it again whenever a file that matters changes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, TypeAlias

from costlens_policy.checker import CheckedBundle
from costlens_policy.clock import system_now
from costlens_policy.diagnostics.model import Diagnostic, PolicyError, in_order
from costlens_policy.engine.record import RuleOutcome
from costlens_policy.errors import RequestError
from costlens_policy.frozen import frozen
from costlens_policy.source.located import SourceText
from costlens_policy.source.read import read_source, yaml_files
from costlens_policy.testing.compare import ABSENT, Difference, compare
from costlens_policy.testing.coverage import (
    Coverage,
    Minimums,
    OutcomeCounts,
    Shortfall,
    measure,
    minimums_of,
    never_evaluated,
    shortfalls,
)
from costlens_policy.testing.coverage.conditions import Condition
from costlens_policy.testing.coverage.counting import conditions_in
from costlens_policy.testing.examine import examine, report_idle, report_unread
from costlens_policy.testing.matrix import single_cases
from costlens_policy.testing.observation import Observation, observe
from costlens_policy.testing.policy_sets import PolicySets, SetUnderTest
from costlens_policy.testing.prepare import PreparedCase, prepare
from costlens_policy.testing.results import CaseOutcome, CaseResult, Run, SuiteResult
from costlens_policy.testing.suggest import SuggestedSuite, suggest
from costlens_policy.testing.suites import FoundSuite, SuiteProblems, find_suites
from costlens_policy.testing.vocabulary import DEFAULT, Vocabulary

if TYPE_CHECKING:
    from costlens_policy.testing.coverage.reaching import Reaching

__all__ = ["Examined", "Ready", "ReadySuite", "WatchEvent", "examine_suites", "ready_suites", "run_suites", "watch"]


def run_suites(
    paths: Iterable[str | os.PathLike[str]],
    *,
    filter: str | None = None,
    min_coverage: int | Mapping[str, int] | Minimums | None = None,
    now: datetime | None = None,
    timer: Callable[[], float] = perf_counter,
    explain: bool = False,
) -> Run:
    """Run every suite in files and folders.

    ``filter`` keeps the cases whose ``file: name`` contains it, or matches it if it has ``*`` or ``?``; with a filter,
    the coverage that suites require is not checked. ``min_coverage`` is in percent, over all policy sets: that of the
    rules, or of each measure that it names, such as ``{"rules": 100, "mcdc": 90}``; ``ValueError`` says that it names
    none. ``now`` is the time for suites that do not fix it. ``explain`` searches for requests that cover what no case
    covers, and for the proof that there are none; where there is no suite, of every policy set. Invalid files raise
    nothing: the run's ``diagnostics`` explain what is wrong.
    """
    minimums = minimums_of(min_coverage)
    session = _Session(tuple(map(Path, paths)), filter, now, timer)
    for suite in session.search.suites:
        session.run(suite)
    return session.finish(minimums, explain=explain)


@frozen
class Examined:
    """What is wrong with suites, without running them. ``sources`` are their texts."""

    diagnostics: tuple[Diagnostic, ...]
    sources: tuple[SourceText, ...]


def examine_suites(
    paths: Iterable[str | os.PathLike[str]], checked: Mapping[Path, CheckedBundle | None] | None = None
) -> Examined:
    """Check every suite in files and folders against its policy set, as a run does before it decides anything.

    ``checked`` has policy sets that have already been checked, by their real paths, with None for those with errors.
    """
    session = _Session(tuple(map(Path, paths)), checked=checked)
    for suite in session.search.suites:
        session.prepare(suite)
    return Examined(session.diagnostics, session.search.sources)


@frozen
class ReadySuite:
    """A suite with nothing wrong, the policy set that it tests, and its cases."""

    suite: FoundSuite
    tested: SetUnderTest
    cases: tuple[PreparedCase, ...]


@frozen
class Ready:
    """The suites of a run before anything is decided. ``diagnostics`` are about those that cannot run."""

    suites: tuple[ReadySuite, ...]
    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[str, SourceText]


def ready_suites(
    paths: Iterable[str | os.PathLike[str]], *, filter: str | None = None, now: datetime | None = None
) -> Ready:
    """Read every suite in files and folders with its policy set. Takes what ``run_suites`` does."""
    session = _Session(tuple(map(Path, paths)), filter, now)
    ready = tuple(
        ReadySuite(suite, tested, chosen)
        for suite in session.search.suites
        for tested, chosen in [session.chosen(suite)]
        if tested is not None and chosen
    )
    diagnostics = session.diagnostics
    return Ready(ready, diagnostics, session.sources(diagnostics))


@frozen
class _Ran:
    """A suite that ran, the policy set it tested, and what its cases did to the rules."""

    suite: FoundSuite
    tested: SetUnderTest
    result: SuiteResult
    counts: OutcomeCounts


class _Session:
    """One run under way."""

    def __init__(
        self,
        paths: tuple[Path, ...],
        filter: str | None = None,
        now: datetime | None = None,
        timer: Callable[[], float] = perf_counter,
        checked: Mapping[Path, CheckedBundle | None] | None = None,
    ) -> None:
        self.search = find_suites(paths)
        self._paths = paths
        self._sets = PolicySets(paths, checked or {})
        self._filter = filter
        self._now = now
        self._timer = timer
        self._ran: list[_Ran] = []
        self._conditions: dict[SetUnderTest, tuple[Condition, ...]] = {}
        self._reachings: dict[SetUnderTest, Reaching] = {}
        self._diagnostics: list[Diagnostic] = list(self.search.diagnostics)

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        return in_order([*self._diagnostics, *self._sets.diagnostics])

    def run(self, suite: FoundSuite) -> None:
        """Run one suite, unless something is wrong with it or its policy set, or the filter leaves nothing of it."""
        tested, chosen = self.chosen(suite)
        if tested is not None and chosen:
            self._ran.append(self._decide(suite, tested, chosen))

    def chosen(self, suite: FoundSuite) -> tuple[SetUnderTest | None, tuple[PreparedCase, ...]]:
        """Return what ``prepare`` does, without the cases that the filter leaves out."""
        tested, prepared = self.prepare(suite)
        return tested, tuple(case for case in prepared if _chosen(self._filter, suite.file, case.name))

    def prepare(self, suite: FoundSuite) -> tuple[SetUnderTest | None, tuple[PreparedCase, ...]]:
        """Return the policy set of a suite and its cases; none where something is wrong, which is then reported."""
        problems = SuiteProblems(suite.located)
        cases = single_cases(suite.document, problems)
        tested = self._sets.of(suite, problems)
        prepared: tuple[PreparedCase, ...] = ()
        if tested is not None:
            examine(suite.document, cases, tested.known, problems)
            prepared = prepare(suite.document, cases, tested.known, problems, self._now, tested.reads_time)
            if not problems.has_errors:
                report_idle(suite.document, cases, tested.known, problems)
        self._diagnostics.extend(problems.diagnostics)
        return tested, () if problems.has_errors else prepared

    def _decide(self, suite: FoundSuite, tested: SetUnderTest, cases: tuple[PreparedCase, ...]) -> _Ran:
        counts = OutcomeCounts(self._conditions_of(tested))
        runner = _CaseRunner(tested, counts, self._timer)
        results = tuple(map(runner.run, cases))
        if self._filter is None:
            self._report_unread(suite, tested, results)
        coverage = measure(tested, counts, suite.document.covers)
        result = SuiteResult(suite.document.metadata.name, suite.file, tested.file, results, coverage)
        return _Ran(suite, tested, result, counts)

    def _report_unread(self, suite: FoundSuite, tested: SetUnderTest, results: Iterable[CaseResult]) -> None:
        problems = SuiteProblems(suite.located)
        read = [(item.case.name, set(item.decision.balances_read)) for item in results if item.decision is not None]
        report_unread(single_cases(suite.document, problems), read, tested.known, problems)
        self._diagnostics.extend(problems.diagnostics)

    def _conditions_of(self, tested: SetUnderTest) -> tuple[Condition, ...]:
        if tested not in self._conditions:
            self._conditions[tested] = conditions_in(tested.engine.plan, tested.bundle)
        return self._conditions[tested]

    def finish(self, minimums: Minimums, *, explain: bool = False) -> Run:
        if explain and not self.search.suites:
            self._sets.add_all()
        measured = {
            tested: self._of_set(tested)
            for tested in self._sets.loaded()
            if self._suites_of(tested) or not self.search.suites
        }
        if explain:
            measured = {tested: self._reaching(tested).examine(item) for tested, item in measured.items()}
        short = [] if self._filter else [item for ran in self._ran for item in self._own_shortfalls(ran)]
        if measured and (below := frozenset(item.measure for item in shortfalls("", minimums, measured.values()))):
            measured = {tested: self._reaching(tested).examine(item, below) for tested, item in measured.items()}
            short += shortfalls("", minimums, measured.values())
        coverage = tuple(measured.values())
        suggested = (self._suggested(tested, item) for tested, item in measured.items()) if explain else ()
        diagnostics = self.diagnostics
        return Run(
            suites=tuple(ran.result for ran in self._ran),
            coverage=coverage,
            shortfalls=tuple(short),
            diagnostics=diagnostics,
            sources=self.sources(diagnostics),
            filtered=self._filter,
            paths=tuple(map(str, self._paths)),
            found=len(self.search.suites),
            explained=explain,
            suggestions=tuple(suite for suite in suggested if suite is not None),
        )

    def _own_shortfalls(self, ran: _Ran) -> Iterator[Shortfall]:
        """Yield the minimums of a suite that its cases do not reach; what no request can show does not count."""
        name, minimums, coverage = ran.result.name, minimums_of(ran.suite.document.coverage), ran.result.coverage
        below = frozenset(item.measure for item in shortfalls(name, minimums, [coverage]))
        if below:
            yield from shortfalls(name, minimums, [self._reaching(ran.tested).examine(coverage, below)])

    def _reaching(self, tested: SetUnderTest) -> Reaching:
        """Return what finds requests for a policy set, at the time of its first case."""
        from costlens_policy.assurance import Situation  # heavy, and needed only where something is not covered
        from costlens_policy.testing.coverage.reaching import Reaching

        if tested not in self._reachings:
            cases = [result.case for ran in self._suites_of(tested) for result in ran.result.cases]
            seeds = [Situation(case.request, case.balances, case.now) for case in cases]
            now = (
                cases[0].now if cases else self._now or system_now().replace(hour=12, minute=0, second=0, microsecond=0)
            )
            self._reachings[tested] = Reaching(tested, self._conditions_of(tested), now, seeds)
        return self._reachings[tested]

    def _suggested(self, tested: SetUnderTest, coverage: Coverage) -> SuggestedSuite | None:
        return suggest(coverage, tested, self._conditions_of(tested), self._reaching(tested).now)

    def _suites_of(self, tested: SetUnderTest) -> list[_Ran]:
        return [ran for ran in self._ran if ran.tested is tested]

    def _of_set(self, tested: SetUnderTest) -> Coverage:
        """Return the coverage of a set by all its suites, of the policies that any of them covers."""
        ran = self._suites_of(tested)
        everything = not ran or any(not item.suite.document.covers for item in ran)
        policies = () if everything else {name for item in ran for name in item.suite.document.covers}
        return measure(tested, OutcomeCounts.of(item.counts for item in ran), policies)

    def sources(self, diagnostics: Iterable[Diagnostic]) -> dict[str, SourceText]:
        """Return the texts of all suites and policy sets, and of files that diagnostics are about."""
        sources = {source.name: source for source in self.search.sources}
        for tested in self._sets.loaded():
            sources |= tested.bundle.linked.sources
        blamed = {item.span.file for item in diagnostics if item.span is not None}
        for file in blamed - sources.keys():
            with suppress(PolicyError):
                sources[file] = read_source(file)
        return sources


def _chosen(filter: str | None, file: str, name: str) -> bool:
    if filter is None:
        return True
    text, wanted = f"{file}: {name}".casefold(), filter.casefold()
    return wanted in text or fnmatchcase(text, wanted) or fnmatchcase(name.casefold(), wanted)


@frozen
class _CaseRunner:
    """Runs the cases of one suite. ``timer`` gives seconds; what decisions do to the rules is added to ``counts``."""

    tested: SetUnderTest
    counts: OutcomeCounts
    timer: Callable[[], float]

    def run(self, case: PreparedCase) -> CaseResult:
        started = self.timer()
        try:
            decision = self.tested.engine.decide(
                case.request, balances=case.balances, now=case.now, measured=case.measured
            )
        except RequestError as error:
            return _refused(case, error, self.timer() - started)
        seconds = self.timer() - started
        observation = observe(decision, self.tested.known, case.balances)
        self.counts.count(observation)
        if case.expect.request_error is not None:
            accepted = Difference("request_error", case.expect.request_error, ABSENT, "contains")
            return CaseResult(case, CaseOutcome.FAILED, (accepted,), (), decision, seconds)
        found = compare(case.expect, observation, self.tested.known)
        notes = tuple(_unevaluated(case, observation, self.tested.known))
        return CaseResult(case, _outcome(found, notes), found, notes, decision, seconds)


def _outcome(found: tuple[Difference, ...], notes: tuple[str, ...]) -> CaseOutcome:
    if found:
        return CaseOutcome.FAILED
    return CaseOutcome.VACUOUS if notes else CaseOutcome.PASSED


def _refused(case: PreparedCase, error: RequestError, seconds: float) -> CaseResult:
    """A request that is refused is an error of the case, unless it expects just that."""
    expected = case.expect.request_error
    if expected is None:
        notes = tuple(f"invalid request: {problem}" for problem in error.problems)
        return CaseResult(case, CaseOutcome.ERROR, (), notes, None, seconds)
    if expected in str(error):
        return CaseResult(case, CaseOutcome.PASSED, (), (), None, seconds)
    different = Difference("request_error", expected, str(error), "contains")
    return CaseResult(case, CaseOutcome.FAILED, (different,), (), None, seconds)


def _unevaluated(case: PreparedCase, observation: Observation, known: Vocabulary) -> Iterator[str]:
    about = dict.fromkeys(case.targets)
    if case.expect.rule is not None:
        about[case.expect.rule] = None
    decider = observation.decision.rule
    for rule in about:
        if rule not in (DEFAULT, decider) and not observation.evaluated(rule):
            failing = observation.outcomes.get(decider) is RuleOutcome.FAILED
            yield never_evaluated(rule, decider, known, failing=failing)


@frozen
class WatchEvent:
    """A run, and the files whose change led to it; none for the first."""

    run: Run
    changed: tuple[str, ...]


def watch(
    paths: Iterable[str | os.PathLike[str]],
    run: Callable[[], Run],
    *,
    interval: float = 0.5,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[WatchEvent]:
    """Yield the result of ``run`` now, and again after each change, without end; whoever iterates stops it.

    Looked at are the YAML files under ``paths`` and in the folders of the files that the last run read, so that new
    files count, too. ``interval`` is the time between two looks, in seconds.
    """
    given = [os.fspath(path) for path in paths]
    seen = _stamps(given, ())
    changed: tuple[str, ...] = ()
    while True:
        result = run()
        # Of a file that changed during the run the earlier stamp is kept, so that the next look finds the change.
        current = _stamps(given, result.sources)
        seen = {file: seen.get(file, stamp) for file, stamp in current.items()}
        yield WatchEvent(result, changed)
        changed = ()
        while not changed:
            sleep(interval)
            current = _stamps(given, result.sources)
            changed = _changed(seen, current)
        seen = current


_Stamp: TypeAlias = tuple[int, int]


def _stamps(paths: Iterable[str], read: Iterable[str]) -> dict[str, _Stamp]:
    """Return time and size of every file that matters; a file that is gone has none."""
    files = set(read)
    for path in paths:
        files.update(yaml_files(path) if os.path.isdir(path) else [path])
    for folder in {os.path.dirname(file) or "." for file in files}:
        files.update(map(str, Path(folder).glob("*.y*ml")))
    stamps = ((os.path.normpath(file), _stamp(file)) for file in files)
    return {file: stamp for file, stamp in stamps if stamp is not None}


def _stamp(file: str) -> _Stamp | None:
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _changed(before: Mapping[str, _Stamp], now: Mapping[str, _Stamp]) -> tuple[str, ...]:
    """Return the files that were added, changed or removed."""
    return tuple(sorted(file for file in before.keys() | now.keys() if before.get(file) != now.get(file)))
