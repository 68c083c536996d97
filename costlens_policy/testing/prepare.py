"""From a case as it is written to the arguments of one decision: merged request, fixed time, balances at that time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from costlens_policy.clock import duration_of
from costlens_policy.diagnostics.model import Related, Span
from costlens_policy.documents.suite import BalanceInput, Case, Expectation, SuiteDocument
from costlens_policy.engine.decision import Balance
from costlens_policy.source.located import Path
from costlens_policy.testing.matrix import SingleCase
from costlens_policy.testing.problems import SuiteProblems
from costlens_policy.testing.requests import merged
from costlens_policy.testing.series import SeriesError, series_values, value_at
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
        self._known = vocabulary
        self._problems = problems
        self._start = document.now or now

    def case(self, item: SingleCase) -> PreparedCase:
        case, defaults = item.case, self._document.defaults
        fixtures = (self._document.fixtures.get(name, {}) for name in case.fixtures)
        now = self._now(case, item.path)
        return PreparedCase(
            name=case.name,
            span=self._problems.place((*item.path, "name")),
            request=merged([defaults.request, *fixtures, case.request]),
            now=now or self._start or _TIMELESS,
            balances=dict(self._balances(item, now or self._start)),
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
            return self._start + duration_of(case.now.removeprefix("+"))
        except (ValueError, OverflowError):
            message = f"`{case.now}` is not a length of time after the suite's `now`"
            self._problems.report("CL610", message, (*path, "now"), help="write it as `+12m` or `+1h30m`")
            return None

    def _relative_to_nothing(self, path: Path) -> None:
        message = "the case counts time from the suite's `now`, which is not there"
        self._problems.report("CL610", message, path, help="add `now: 2026-11-01T12:00:00Z` to the suite")

    def _balances(self, item: SingleCase, now: datetime | None) -> Iterator[tuple[tuple[str, str], Balance]]:
        written: list[tuple[BalanceInput, Path]] = [
            (entry, ("defaults", "balances", index)) for index, entry in enumerate(self._document.defaults.balances)
        ]
        written += [(entry, (*item.path, "balances", index)) for index, entry in enumerate(item.case.balances)]
        for entry, path in written:
            budget = self._known.budget(entry.budget)
            if budget is None:  # which has been reported
                continue
            try:
                balance = Balance(self._used(entry, now), entry.held or Decimal(0))
            except SeriesError as error:
                self._problems.report("CL611", str(error), (*path, "used"), help=_SERIES_HELP)
            except ValueError as error:
                self._problems.report("CL611", str(error), path)
            else:
                yield (budget, entry.key), balance

    def _used(self, entry: BalanceInput, now: datetime | None) -> Decimal:
        if isinstance(entry.used, Decimal):
            return entry.used
        values = series_values(entry.used)
        if len(values) == 1:
            return values[0]
        if entry.every is None:
            raise SeriesError("the series does not say how far its values lie apart")
        if self._start is None or now is None:
            raise SeriesError("the series starts at the suite's `now`, which is not there")
        return value_at(entry.used, now - self._start, duration_of(entry.every))


_SERIES_HELP: Final = "give `every: 1m`, and a `now` within the series"


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
