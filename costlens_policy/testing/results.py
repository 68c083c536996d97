"""What came of the cases of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from enum import StrEnum

from costlens_policy.diagnostics.model import Diagnostic, exit_code_of
from costlens_policy.engine.decision import Decision
from costlens_policy.frozen import frozen
from costlens_policy.source.located import SourceText
from costlens_policy.testing.compare import Difference
from costlens_policy.testing.coverage import Coverage, Shortfall
from costlens_policy.testing.prepare import PreparedCase
from costlens_policy.testing.suggest import SuggestedSuite

__all__ = ["CaseOutcome", "CaseResult", "Run", "Shortfall", "SuiteResult"]


class CaseOutcome(StrEnum):
    """``VACUOUS``: all expectations hold, but one of the case's target rules was never evaluated."""

    PASSED = "passed"
    FAILED = "failed"
    VACUOUS = "vacuous"
    ERROR = "error"


@frozen
class CaseResult:
    """One case. ``notes`` add what the differences do not show; ``decision`` is None if nothing was decided."""

    case: PreparedCase
    outcome: CaseOutcome
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    decision: Decision | None
    seconds: float

    @property
    def passed(self) -> bool:
        return self.outcome is CaseOutcome.PASSED

    @property
    def failures(self) -> tuple[str, ...]:
        """The run-time errors of conditions on the way to the decision, as ``eval`` shows them."""
        return () if self.decision is None else tuple(f"error {item}" for item in self.decision.errors)


@frozen
class SuiteResult:
    """One suite. ``policy_set`` is the file of the policy set under test."""

    name: str
    file: str
    policy_set: str
    cases: tuple[CaseResult, ...]
    coverage: Coverage

    @property
    def seconds(self) -> float:
        return sum(result.seconds for result in self.cases)


@frozen
class Run:
    """The result of a run. ``coverage`` has one entry for each policy set, over all its suites.

    ``sources`` has the text of each file by the name that spans carry; ``filtered`` is the filter, if any.
    """

    suites: tuple[SuiteResult, ...]
    coverage: tuple[Coverage, ...]
    shortfalls: tuple[Shortfall, ...]
    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[str, SourceText]
    filtered: str | None = None
    paths: tuple[str, ...] = ()
    found: int = 0
    """How many suites there are under the paths, whether they could run or not."""
    explained: bool = False
    """Whether it was asked of each item that no case covers which request would."""
    suggestions: tuple[SuggestedSuite, ...] = ()
    """The cases that would cover what none covers, where they were asked for."""

    @property
    def results(self) -> Iterator[CaseResult]:
        return (result for suite in self.suites for result in suite.cases)

    def counts(self) -> Mapping[CaseOutcome, int]:
        """Return the number of cases with each outcome, including zeros."""
        counted = Counter(result.outcome for result in self.results)
        return {outcome: counted[outcome] for outcome in CaseOutcome}

    @property
    def exit_code(self) -> int:
        """1 or 6: a suite or policy set is unusable or unreadable; 3: nothing to run; 4: a case does not pass; 5: too
        little coverage.
        """
        if code := exit_code_of(self.diagnostics):
            return code
        if not any(True for _ in self.results):
            return 3
        if not all(result.passed for result in self.results):
            return 4
        return 5 if self.shortfalls else 0

    def lines_of(self, file: str) -> tuple[str, ...] | None:
        """Return the lines of a file that was read, as the renderers of diagnostics ask for them."""
        source = self.sources.get(file)
        return None if source is None else source.lines()
