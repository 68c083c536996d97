"""From a case as it is written to the arguments of one decision: merged request, fixed time, balances at that time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from costlens_policy.checker.attributes import SIGNALS
from costlens_policy.clock import duration_of, duration_text
from costlens_policy.compiler.rules import key_problem
from costlens_policy.diagnostics.model import Related, Span
from costlens_policy.diagnostics.suggestion import did_you_mean, listed
from costlens_policy.documents.suite import BalanceInput, Case, Expectation, SuiteDocument, TemporaryAmount
from costlens_policy.engine.decision import Balance
from costlens_policy.engine.facts import Approval
from costlens_policy.frozen import frozen
from costlens_policy.money import ZERO
from costlens_policy.quantiles import CallKind, Measured, Measures, band_of
from costlens_policy.source.located import Path
from costlens_policy.testing.matrix import SingleCase
from costlens_policy.testing.policy_sets import TimeRead
from costlens_policy.testing.suites import SuiteProblems
from costlens_policy.testing.vocabulary import Vocabulary

__all__ = ["PreparedCase", "SeriesError", "merged", "prepare", "series_values", "value_at"]

_TIMELESS: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""Time of decisions that do not depend on it."""


@frozen
class PreparedCase:
    """A case ready to run. ``span`` is where its name is written."""

    name: str
    span: Span
    request: Mapping[str, Any]
    now: datetime
    balances: Mapping[tuple[str, str], Balance]
    targets: tuple[str, ...]
    expect: Expectation
    measured: Measures = field(default_factory=dict)


def prepare(
    document: SuiteDocument,
    cases: tuple[SingleCase, ...],
    vocabulary: Vocabulary,
    problems: SuiteProblems,
    now: datetime | None,
    reads_time: TimeRead | None,
) -> tuple[PreparedCase, ...]:
    """Return the cases of a suite, ready to run. ``now`` is the time of a suite that fixes none.

    Reports balances that cannot be read, and cases that set no time although a decision may depend on it.
    """
    preparation = _Preparation(document, vocabulary, problems, now)
    if reads_time is not None and not all(preparation.fixes_time(item.case) for item in cases):
        related = () if reads_time.span is None else (Related(reads_time.span, "this depends on time"),)
        problems.report(
            "CL610",
            f"suite `{document.metadata.name}` does not set `now`, and {reads_time.what}",
            ("metadata", "name"),
            help="add `now: 2026-11-01T12:00:00Z` to the suite",
            related=related,
        )
        return ()
    return tuple(preparation.case(item) for item in cases)


class _Preparation:
    """Prepares the cases of one suite; ``now`` is the time of cases that fix none."""

    def __init__(
        self, document: SuiteDocument, vocabulary: Vocabulary, problems: SuiteProblems, now: datetime | None
    ) -> None:
        self._document = document
        self._known = vocabulary
        self._problems = problems
        self._start = document.now or now
        self._balances = _BalancesOfCases(document.defaults.balances, vocabulary, problems, self._start)

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
            measured=self._measured(case),
        )

    def _measured(self, case: Case) -> Measures:
        """Return what calls have come to; of a budget or model that is unknown, which has been reported, nothing."""
        found = {}
        for entry in (*self._document.defaults.measured, *case.measured):
            budget, model = self._known.budget(entry.budget), self._known.model(entry.model)
            if budget is not None and model is not None:
                kind = CallKind(budget, model, entry.task, band_of(entry.output_tokens))
                found[kind] = Measured(entry.cases, entry.ratio)
        return found

    def fixes_time(self, case: Case) -> bool:
        return self._start is not None or isinstance(case.now, datetime)

    def _now(self, case: Case, path: Path) -> datetime | None:
        if case.now is None or isinstance(case.now, datetime):
            return case.now
        if self._start is None:
            self._relative_to_nothing((*path, "now"))
            return None
        try:
            return _later(case.now, self._start)
        except ValueError as error:
            self._problems.report("CL610", str(error), (*path, "now"), help="write it as `+12m` or `+1h30m`")
            return None

    def _relative_to_nothing(self, path: Path) -> None:
        message = "the time of the case is relative to the suite's `now`, which is not set"
        self._problems.report("CL610", message, path, help="add `now: 2026-11-01T12:00:00Z` to the suite")


def merged(parts: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the parts merged in order: maps key by key, anything else replaced, null removes a key.

    Null for a signal stays: it says that the signal is absent, and is not to be worked out. Numbers with a fraction
    become floats, as a caller would pass them.
    """
    result: dict[str, Any] = {}
    for part in parts:
        result = _merge(result, part)
    return result


def _merge(target: Mapping[str, Any], patch: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    result = dict(target)
    for key, value in patch.items():
        if value is None and above == SIGNALS:
            result[key] = None
        elif value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            under = result.get(key)
            inside = f"{above}.{key}" if above else key
            result[key] = _merge(under if isinstance(under, Mapping) else {}, value, inside)
        else:
            result[key] = _as_passed(value)
    return result


def _as_passed(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, list | tuple):
        return [_as_passed(item) for item in value]
    return {key: _as_passed(item) for key, item in value.items()} if isinstance(value, Mapping) else value


_SERIES_HELP: Final = "set `every: 1m`, and a `now` within the series"


def _later(text: str, start: datetime) -> datetime:
    """Return the timestamp that is written as ``+12m`` after another. Raises ``ValueError``."""
    try:
        return start + duration_of(text.removeprefix("+"))
    except (ValueError, OverflowError):
        raise ValueError(f"`{text}` is not a duration after the suite's `now`") from None


class _BalancesOfCases:
    """Reads the balances of one suite's cases. ``start`` is the suite's ``now``, None where it has none.

    What cannot be read is reported.
    """

    def __init__(
        self,
        defaults: tuple[BalanceInput, ...],
        vocabulary: Vocabulary,
        problems: SuiteProblems,
        start: datetime | None,
    ) -> None:
        self._defaults = defaults
        self._known = vocabulary
        self._problems = problems
        self._start = start

    def at(self, item: SingleCase, now: datetime | None) -> dict[tuple[str, str], Balance]:
        """Return the balances of a case at its time, by budget (``policy/budget``) and scope key."""
        written: list[tuple[BalanceInput, Path]] = [
            (entry, ("defaults", "balances", index)) for index, entry in enumerate(self._defaults)
        ]
        written += [(entry, (*item.path, "balances", index)) for index, entry in enumerate(item.case.balances)]
        return dict(self._read(written, now))

    def _read(
        self, written: list[tuple[BalanceInput, Path]], now: datetime | None
    ) -> Iterator[tuple[tuple[str, str], Balance]]:
        for entry, path in written:
            budget = self._known.budget(entry.budget)
            if budget is None:  # which has been reported
                continue
            self._check_earlier(budget, entry, path)
            self._check_reserved(budget, entry, path)
            override = self._in_force(entry.override, now, (*path, "override"))
            topup = self._in_force(entry.topup, now, (*path, "topup"))
            try:
                used, started_at = self._used(entry, now), self._started_at(entry, now, path)
                balance = Balance(
                    used,
                    entry.held or ZERO,
                    override,
                    topup or ZERO,
                    started_at,
                    self._recent(budget, entry, path),
                    self._approvals(budget, entry, path),
                    entry.earlier,
                    entry.set_aside or ZERO,
                    entry.reserved,
                )
            except SeriesError as error:
                self._problems.report("CL611", str(error), (*path, "used"), help=_SERIES_HELP)
            except ValueError as error:
                self._problems.report("CL611", str(error), path)
            else:
                if problem := key_problem(entry.key):
                    self._problems.report("CL611", f"a scope key {problem}", (*path, "key"))
                yield (budget, entry.key), balance

    def _check_earlier(self, budget: str, entry: BalanceInput, path: Path) -> None:
        """Report earlier periods of a budget that carries nothing over."""
        if entry.earlier and self._known.plan.budgets[budget][1].carry_over is None:
            message = f"budget `{budget}` carries nothing over from earlier periods"
            self._problems.report("CL611", message, (*path, "earlier"), help="it has no `carry_over`")

    def _check_reserved(self, budget: str, entry: BalanceInput, path: Path) -> None:
        """Report what is set aside where nothing can be, or more than is held."""
        plan = self._known.plan
        if entry.reserved is not None and not plan.budgets[budget][1].reserved_from:
            message = f"nothing is set aside for budget `{budget}`"
            self._problems.report("CL611", message, (*path, "reserved"), help="it has no `reserved_from`")
        if entry.set_aside and budget not in plan.stages.shares:
            message = f"budget `{budget}` sets nothing aside"
            advice = "no budget is reserved from it"
            self._problems.report("CL611", message, (*path, "set_aside"), help=advice)
        elif entry.set_aside and entry.set_aside > (entry.held or ZERO):
            message = "`set_aside` is part of `held`, and must not be more than that"
            self._problems.report("CL611", message, (*path, "set_aside"))

    def _used(self, entry: BalanceInput, now: datetime | None) -> Decimal:
        if isinstance(entry.used, Decimal):
            return entry.used
        values = series_values(entry.used)
        if len(values) == 1:
            return values[0]
        if entry.every is None:
            raise SeriesError("the series needs `every`, the time between its values")
        if self._start is None or now is None:
            raise SeriesError("the series starts at the suite's `now`, which is not set")
        return value_at(entry.used, now - self._start, duration_of(entry.every))

    def _started_at(self, entry: BalanceInput, now: datetime | None, path: Path) -> datetime | None:
        """Return when a window from first use began, unless that is after the case."""
        if entry.started_at is None:
            return None
        started_at = self._timestamp(entry.started_at, (*path, "started_at"))
        return started_at if started_at is None or now is None or started_at <= now else None

    def _recent(self, budget: str, entry: BalanceInput, path: Path) -> tuple[tuple[str, Decimal], ...]:
        """Return what was charged lately, over times that the budget measures."""
        measured = self._known.plan.budgets[budget][1].recent
        for text in entry.recent:
            if text not in measured:
                known = f"it measures {listed(list(measured))}" if measured else "no threshold of it is at a burn rate"
                message = f"budget `{budget}` does not measure what was charged in `{text}`"
                self._problems.report("CL611", message, (*path, "recent"), help=known)
        return tuple(entry.recent.items())

    def _approvals(self, budget: str, entry: BalanceInput, path: Path) -> tuple[Approval, ...]:
        """Return what was approved, of thresholds that the budget has."""
        known = [item.name for item in self._known.plan.budgets[budget][1].thresholds]
        found = []
        for index, item in enumerate(entry.approvals):
            at = (*path, "approvals", index)
            if item.threshold not in known:
                message = f"budget `{budget}` has no threshold `{item.threshold}`"
                self._problems.report("CL611", message, at, help=did_you_mean(item.threshold, known))
            end = None if item.expires_at is None else self._timestamp(item.expires_at, (*at, "expires_at"))
            found.append(Approval(item.threshold, item.up_to, end))
        return tuple(found)

    def _in_force(self, written: Decimal | TemporaryAmount | None, now: datetime | None, path: Path) -> Decimal | None:
        """Return an override or top-up that is in force at the time of a case."""
        if not isinstance(written, TemporaryAmount):
            return written
        expires_at = self._timestamp(written.expires_at, (*path, "expires_at"))
        return written.amount if expires_at is None or now is None or now < expires_at else None

    def _timestamp(self, written: datetime | str, path: Path) -> datetime | None:
        if isinstance(written, datetime):
            return written
        if self._start is None:
            message = "the end is relative to the suite's `now`, which is not set"
            self._problems.report("CL610", message, path, help="add `now: 2026-11-01T12:00:00Z` to the suite")
            return None
        try:
            return _later(written, self._start)
        except ValueError as error:
            self._problems.report("CL610", str(error), path, help="write it as `+12m` or `+3d`")
            return None


_PART: Final = re.compile(r"(?P<start>[0-9.]+)(?P<step>[+-][0-9.]+)?(?:x(?P<count>[0-9]+))?")
_MOST_VALUES: Final = 100_000


class SeriesError(ValueError):
    """A series is invalid, or has no value at the requested time; the message is for the author."""


@lru_cache(maxsize=1024)
def series_values(text: str) -> tuple[Decimal, ...]:
    """Return the values of a series: ``1+2x3 5 0x2`` is 1 3 5 7 5 0 0 0. Raises ``SeriesError``."""
    values: list[Decimal] = []
    for part in text.split():
        values.extend(_part_values(part))
        if len(values) > _MOST_VALUES:
            raise SeriesError(f"the series has more than {_MOST_VALUES:,} values")
    if any(value < 0 for value in values):
        raise SeriesError("the series goes below zero")
    return tuple(values)


def _part_values(part: str) -> Iterator[Decimal]:
    found = _PART.fullmatch(part)
    if found is None:
        raise SeriesError(f"`{part}` is neither a number nor a series such as `0+2x20`")
    if found["step"] and found["count"] is None:
        raise SeriesError(f"`{part}` needs a number of steps, such as `{part}x20`")
    start, step = Decimal(found["start"]), Decimal(found["step"] or 0)
    return (start + step * index for index in range(int(found["count"] or 0) + 1))


def value_at(text: str, elapsed: timedelta, every: timedelta) -> Decimal:
    """Return the value in force at a time after the start: the last one at or before it. Raises ``SeriesError``."""
    values = series_values(text)
    if not every:
        raise SeriesError("`every` must be positive")
    index = elapsed // every
    if index < 0:
        raise SeriesError("the case is before the start of the series")
    if index >= len(values):
        end = duration_text(every * (len(values) - 1))
        raise SeriesError(f"the series ends {end} after its start, and the case is {duration_text(elapsed)} after it")
    return values[index]
