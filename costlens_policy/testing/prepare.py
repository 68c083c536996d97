"""From a case as it is written to the arguments of one decision: merged request, fixed time, balances at that time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from costlens_policy.diagnostics.model import Related, Span
from costlens_policy.documents.suite import Case, Expectation, SuiteDocument
from costlens_policy.engine.decision import Balance
from costlens_policy.source.located import Path
from costlens_policy.testing.balances import BalancesOfCases, later
from costlens_policy.testing.matrix import SingleCase
from costlens_policy.testing.problems import SuiteProblems
from costlens_policy.testing.requests import merged
from costlens_policy.testing.time_reads import TimeRead
from costlens_policy.testing.vocabulary import Vocabulary

__all__ = ["PreparedCase", "prepare"]

_TIMELESS: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""Time of decisions that do not depend on it."""


@dataclass(frozen=True, slots=True)
class PreparedCase:
    """A case ready to run. ``span`` is where its name is written."""

    name: str
    span: Span
    request: Mapping[str, Any]
    now: datetime
    balances: Mapping[tuple[str, str], Balance]
    targets: tuple[str, ...]
    expect: Expectation


class _Preparation:
    """Prepares the cases of one suite; ``now`` is the time of cases that fix none."""

    def __init__(
        self, document: SuiteDocument, vocabulary: Vocabulary, problems: SuiteProblems, now: datetime | None
    ) -> None:
        self._document = document
        self._problems = problems
        self._start = document.now or now
        self._balances = BalancesOfCases(document.defaults.balances, vocabulary, problems, self._start)

    def case(self, item: SingleCase) -> PreparedCase:
        case, defaults = item.case, self._document.defaults
        fixtures = (self._document.fixtures.get(name, {}) for name in case.fixtures)
        now = self._now(case, item.path)
        return PreparedCase(
            name=case.name,
            span=self._problems.place((*item.path, "name")),
            request=merged([defaults.request, *fixtures, case.request]),
            now=now or self._start or _TIMELESS,
            balances=self._balances.at(item, now or self._start),
            targets=tuple(dict.fromkeys((*defaults.targets, *case.targets))),
            expect=case.expect,
        )

    def fixes_time(self, case: Case) -> bool:
        return self._start is not None or isinstance(case.now, datetime)

    def _now(self, case: Case, path: Path) -> datetime | None:
        if case.now is None or isinstance(case.now, datetime):
            return case.now
        if self._start is None:
            self._relative_to_nothing((*path, "now"))
            return None
        try:
            return later(case.now, self._start)
        except ValueError as error:
            self._problems.report("CL610", str(error), (*path, "now"), help="write it as `+12m` or `+1h30m`")
            return None

    def _relative_to_nothing(self, path: Path) -> None:
        message = "the case counts time from the suite's `now`, which is not there"
        self._problems.report("CL610", message, path, help="add `now: 2026-11-01T12:00:00Z` to the suite")


def prepare(
    document: SuiteDocument,
    cases: tuple[SingleCase, ...],
    vocabulary: Vocabulary,
    problems: SuiteProblems,
    now: datetime | None,
    reads_time: TimeRead | None,
) -> tuple[PreparedCase, ...]:
    """Return the cases of a suite, ready to run. ``now`` is the time of a suite that fixes none.

    Reports balances that cannot be read, and cases that fix no time although a decision may depend on it.
    """
    preparation = _Preparation(document, vocabulary, problems, now)
    if reads_time is not None and not all(preparation.fixes_time(item.case) for item in cases):
        related = () if reads_time.span is None else (Related(reads_time.span, "this depends on time"),)
        problems.report(
            "CL610",
            f"suite `{document.metadata.name}` does not fix the time, and {reads_time.what}",
            ("metadata", "name"),
            help="add `now: 2026-11-01T12:00:00Z` to the suite",
            related=related,
        )
        return ()
    return tuple(preparation.case(item) for item in cases)
