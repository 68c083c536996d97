"""Check a suite against the policy set under test.

Every name in it must exist there, and everything in it must have an effect; otherwise its author would believe that
something is tested when it is not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from costlens_policy.diagnostics.codes import CODES
from costlens_policy.diagnostics.model import Related, Severity
from costlens_policy.diagnostics.suggestion import did_you_mean, listed
from costlens_policy.documents.suite import (
    BalanceInput,
    Case,
    Expectation,
    MeasuredInput,
    SuiteDocument,
    TextExpectation,
)
from costlens_policy.expressions.runtime import CelError
from costlens_policy.expressions.runtime.regex import matcher
from costlens_policy.source.located import Path
from costlens_policy.testing.matrix import SingleCase
from costlens_policy.testing.prepare import merged
from costlens_policy.testing.suites import SuiteProblems
from costlens_policy.testing.vocabulary import DEFAULT, RuleKind, Vocabulary

__all__ = ["examine", "report_idle", "report_unread"]

_ALL = tuple(RuleKind)
_WARNING: Final = Severity.WARNING
_WORD: Final = re.compile(r"[\w.:/@-]+")
_PLACES: Final = re.compile(r"[\^$]|\\[bBAz]")
"""Assertions that make a pattern that matches the empty string depend on its place."""


def examine(
    document: SuiteDocument, cases: Iterable[SingleCase], vocabulary: Vocabulary, problems: SuiteProblems
) -> None:
    """Report every name of a suite that the policy set does not know."""
    examiner = _Examiner(document, vocabulary, problems)
    examiner.suite()
    for item in cases:
        examiner.case(item.case, item.path)


def report_idle(
    document: SuiteDocument, cases: Sequence[SingleCase], known: Vocabulary, problems: SuiteProblems
) -> None:
    """Warn about fixtures, defaults, balances, cases and expectations that make no difference."""
    idle = _Idle(document, cases, known, problems)
    idle.fixtures()
    idle.defaults()
    idle.balances()
    idle.repeated_cases()
    idle.axes()
    idle.coverage()
    idle.patterns()
    idle.estimates()
    idle.empty_lists()


def report_unread(
    cases: Sequence[SingleCase],
    decided: Iterable[tuple[str, Collection[tuple[str, str]]]],
    known: Vocabulary,
    problems: SuiteProblems,
) -> None:
    """Warn about balances of cases that no decision read. ``decided`` has the balances that cases read, by their names.

    To show that what others spent does not matter is a test, too, where any case is counted by that budget.
    """
    read_by = dict(decided)
    read = {budget for keys in read_by.values() for budget, _ in keys}
    for path, items in _by_path(cases).items():
        if not all(item.case.name in read_by for item in items):
            continue  # its request is invalid
        for index, entry in enumerate(items[0].case.balances):
            budget = known.budget(entry.budget)
            if budget is not None and budget not in read and not known.plan.budgets[budget][1].per_call:
                message = f"this balance has no effect: no case is counted by `{budget}`"
                help = "change the request so that the budget counts the call, or remove the balance"
                problems.report("CL618", message, (*path, "balances", index), severity=_WARNING, help=help)


class _Examiner:
    def __init__(self, document: SuiteDocument, vocabulary: Vocabulary, problems: SuiteProblems) -> None:
        self._document = document
        self._known = vocabulary
        self._problems = problems

    def suite(self) -> None:
        for index, name in enumerate(self._document.covers):
            if name not in self._known.policies:
                help = did_you_mean(name, self._known.policies)
                label = "not in the policy set"
                self._problems.report("CL612", f"unknown policy `{name}`", ("covers", index), label=label, help=help)
        for name, fields in self._document.fixtures.items():
            self._attributes(fields, ("fixtures", name))
        self._attributes(self._document.defaults.request, ("defaults", "request"))
        self._rules(self._document.defaults.targets, ("defaults", "targets"), _ALL)
        self._balances(self._document.defaults.balances, ("defaults", "balances"))
        self._measured(self._document.defaults.measured, ("defaults", "measured"))

    def case(self, case: Case, path: Path) -> None:
        for index, name in enumerate(case.fixtures):
            if name not in self._document.fixtures:
                help = did_you_mean(name, self._document.fixtures) or "add it under `fixtures` of the suite"
                self._problems.report(
                    "CL601",
                    f"unknown fixture `{name}`",
                    (*path, "fixtures", index),
                    label="not in this suite",
                    help=help,
                )
        if case.expect.request_error is None:  # such a case may be about an attribute that does not exist
            self._attributes(case.request, (*path, "request"))
        self._rules(case.targets, (*path, "targets"), _ALL)
        self._balances(case.balances, (*path, "balances"))
        self._measured(case.measured, (*path, "measured"))
        self._expectation(case.expect, (*path, "expect"), {*_words(case.request), *self._given_words(case)})

    def _given_words(self, case: Case) -> Iterable[str]:
        for name in case.fixtures:
            yield from _words(self._document.fixtures.get(name, {}))
        yield from _words(self._document.defaults.request)

    def _expectation(self, expect: Expectation, path: Path, requested: set[str]) -> None:
        if expect.rule not in (None, DEFAULT):
            self._rule(str(expect.rule), (*path, "rule"), _ALL)
        self._rewrites(expect.rewrites, (*path, "rewrites"))
        self._rules(expect.alerts, (*path, "alerts"), (RuleKind.BUDGET,))
        self._rules(expect.overflowed, (*path, "overflowed"), (RuleKind.BUDGET,))
        self._thresholds(expect.thresholds, (*path, "thresholds"))
        self._thresholds(expect.approvals, (*path, "approvals"))
        self._models(expect, path, requested)
        for key in ("prompt", "system"):
            self._pattern(getattr(expect, key), (*path, key))
        for index, call in enumerate(expect.fallback_calls or ()):
            place = (*path, "fallback_calls", index)
            self._model(call.model, (*place, "model"), requested)
            self._rewrites(call.rewrites, (*place, "rewrites"))
            for key in ("prompt", "system"):
                self._pattern(getattr(call, key), (*place, key))
        known = [code for code in CODES if code.startswith("CL9")]
        for index, code in enumerate(expect.errors or ()):
            if known and code not in known:
                help = did_you_mean(code, known) or f"the codes are {listed(known)}"
                place = (*path, "errors", index)
                self._problems.report("CL616", f"unknown run-time error `{code}`", place, label="not a code", help=help)

    def _thresholds(self, names: Iterable[str] | None, path: Path) -> None:
        known = self._known.thresholds.values()
        for index, name in enumerate(names or ()):
            if name not in known:
                help = did_you_mean(name, known) or "write it as `policy/budget@0.8`"
                label = "no budget has this threshold"
                self._problems.report("CL602", f"unknown threshold `{name}`", (*path, index), label=label, help=help)

    def _models(self, expect: Expectation, path: Path, requested: set[str]) -> None:
        named = [(name, (*path, "fallbacks", index)) for index, name in enumerate(expect.fallbacks or ())]
        named += [(name, (*path, "not_served_by", index)) for index, name in enumerate(expect.not_served_by or ())]
        if expect.model is not None:
            named.insert(0, (expect.model, (*path, "model")))
        for name, place in named:
            self._model(name, place, requested)
        for name in expect.excluded or ():
            self._model(name, (*path, "excluded", name), requested, at_key=True)

    def _model(self, name: str, path: Path, requested: set[str], at_key: bool = False) -> None:
        if self._known.model(name) is None and name not in requested:
            self._problems.report(
                "CL603",
                f"unknown model `{name}`",
                path,
                label="neither the catalogue nor a policy names it",
                help=self._known.suggest_model(name),
                at_key=at_key,
            )

    def _rules(self, names: Iterable[str] | None, path: Path, kinds: tuple[RuleKind, ...]) -> None:
        for index, name in enumerate(names or ()):
            self._rule(name, (*path, index), kinds)

    def _rewrites(self, names: Iterable[str] | None, path: Path) -> None:
        for index, name in enumerate(names or ()):
            if name not in self._known.applying:
                self._rule(name, (*path, index), (RuleKind.REWRITE, RuleKind.BUDGET))

    def _rule(self, name: str, path: Path, kinds: tuple[RuleKind, ...]) -> None:
        if self._known.is_rule(name, *kinds):
            return
        other = self._known.rules.get(name)
        if other is not None:
            wanted = listed([_a(kinds[0]), *map(str, kinds[1:])], "or").replace("`", "")
            self._problems.report(
                "CL602", f"`{name}` is not {wanted}", path, label=f"this is {_a(other)}", help="name a different rule"
            )
            return
        budgets_only = kinds == (RuleKind.BUDGET,)
        code, what = ("CL604", "budget") if budgets_only else ("CL602", "rule")
        help = self._known.suggest_rule(name, *kinds) or f"write it as `policy/{what}`"
        self._problems.report(code, f"unknown {what} `{name}`", path, label=f"no policy has such a {what}", help=help)

    def _balances(self, balances: Iterable[BalanceInput], path: Path) -> None:
        for index, entry in enumerate(balances):
            if self._known.budget(entry.budget) is None:
                self._rule(entry.budget, (*path, index, "budget"), (RuleKind.BUDGET,))

    def _measured(self, entries: Iterable[MeasuredInput], path: Path) -> None:
        for index, entry in enumerate(entries):
            at = (*path, index)
            self._model(entry.model, (*at, "model"), set())
            budget = self._known.budget(entry.budget)
            if budget is None:
                self._rule(entry.budget, (*at, "budget"), (RuleKind.BUDGET,))
            elif self._known.plan.budgets[budget][1].hold is None:
                message = f"this has no effect: `{budget}` holds the worst case of each call"
                help = "give the budget a `hold` with a `quantile`, or remove this"
                self._problems.report("CL618", message, at, severity=_WARNING, help=help)

    def _attributes(self, request: Mapping[str, Any], path: Path) -> None:
        for name in request:
            if name not in self._known.plan.attributes:
                self._problems.report(
                    "CL605",
                    f"unknown request attribute `{name}`",
                    (*path, name),
                    label="the policy set does not declare it",
                    help=self._known.suggest_attribute(name),
                    at_key=True,
                )

    def _pattern(self, text: str | TextExpectation | None, path: Path) -> None:
        if isinstance(text, TextExpectation) and text.matches is not None:
            try:
                matcher(text.matches)
            except CelError as error:
                self._problems.report("CL615", str(error), (*path, "matches"), label="not valid RE2")


class _Idle:
    def __init__(
        self, document: SuiteDocument, cases: Sequence[SingleCase], known: Vocabulary, problems: SuiteProblems
    ) -> None:
        self._document = document
        self._cases = cases
        self._known = known
        self._problems = problems
        self._by_path = _by_path(cases)

    def fixtures(self) -> None:
        used = {name for item in self._cases for name in item.case.fixtures}
        for name in self._document.fixtures:
            if name not in used:
                message, help = f"unused fixture `{name}`", "use it in a case, or remove it"
                self._problems.report("CL617", message, ("fixtures", name), severity=_WARNING, at_key=True, help=help)
        for path, items in self._by_path.items():
            for index in range(min(len(item.case.fixtures) for item in items)):
                if all(self._is_idle_fixture(item, index) for item in items):
                    name = items[0].case.fixtures[index]
                    message = f"the fixture `{name}` has no effect here: what follows replaces all of it"
                    help = "move it after what it should replace, or remove it"
                    self._problems.report("CL618", message, (*path, "fixtures", index), severity=_WARNING, help=help)

    def _is_idle_fixture(self, item: SingleCase, index: int) -> bool:
        fixtures = [self._document.fixtures.get(name, {}) for name in item.case.fixtures]
        parts: list[Mapping[str, Any]] = [self._document.defaults.request, *fixtures, item.case.request]
        if merged(parts) != merged([*parts[: index + 1], *parts[index + 2 :]]):
            return False
        return not any(_refines(later, fixtures[index]) for later in fixtures[index + 1 :])

    def defaults(self) -> None:
        request = self._document.defaults.request
        for name in request if self._cases else ():
            less = {key: value for key, value in request.items() if key != name}
            if all(self._request(item, request) == self._request(item, less) for item in self._cases):
                message = f"the default of `{name}` has no effect: every case replaces it"
                place = ("defaults", "request", name)
                self._problems.report(
                    "CL618", message, place, severity=_WARNING, at_key=True, help="remove it from the defaults"
                )

    def _request(self, item: SingleCase, defaults: Mapping[str, Any]) -> dict[str, Any]:
        fixtures = (self._document.fixtures.get(name, {}) for name in item.case.fixtures)
        return merged([defaults, *fixtures, item.case.request])

    def balances(self) -> None:
        defaults = self._document.defaults.balances
        self._replaced_balances(defaults, ("defaults", "balances"))
        for path, (first, *_) in self._by_path.items():
            self._replaced_balances(first.case.balances, (*path, "balances"))
        given = [set(self._keys(item.case.balances)) for item in self._cases]
        for index, key in enumerate(self._keys(defaults)):
            if given and all(key in keys for keys in given):
                message = "this balance has no effect: every case sets another for the same budget and key"
                self._problems.report("CL618", message, ("defaults", "balances", index), severity=_WARNING)

    def _replaced_balances(self, entries: Sequence[BalanceInput], path: Path) -> None:
        keys = list(self._keys(entries))
        for index, key in enumerate(keys):
            if key in keys[index + 1 :]:
                message = "this balance has no effect: a later one sets the same budget and key"
                self._problems.report("CL618", message, (*path, index), severity=_WARNING, help="keep one of the two")

    def _keys(self, entries: Iterable[BalanceInput]) -> Iterator[tuple[str, str]]:
        return ((self._known.budget(entry.budget) or entry.budget, entry.key) for entry in entries)

    def repeated_cases(self) -> None:
        seen: dict[str, SingleCase] = {}
        for item in self._cases:
            case = item.case
            request = self._request(item, self._document.defaults.request)
            request_text = json.dumps(request, sort_keys=True, default=repr)
            case_text = repr((request_text, case.now, case.balances, case.measured, case.targets, case.expect))
            before = seen.setdefault(case_text, item)
            if before is not item and before.path != item.path:
                name = before.case.name
                related = [Related(self._problems.place((*before.path, "name")), "the first one")]
                message = f"`{case.name}` repeats the request and the expectations of `{name}`"
                help = "change the request, or remove the case"
                self._problems.report(
                    "CL619", message, (*item.path, "name"), severity=_WARNING, help=help, related=related
                )

    def axes(self) -> None:
        for index, matrix in enumerate(self._document.matrix):
            filled = repr(matrix.model_dump(exclude={"name", "axes", "except_"}, exclude_unset=True))
            for name, values in matrix.axes.items():
                if len(values) > 1 and not re.search(rf"\$\{{{re.escape(name)}\b", filled):
                    message = f"the axis `{name}` has no effect: no request and no expectation reads `${{{name}}}`"
                    place = ("matrix", index, "axes", name)
                    help = "use it in the request, or remove it"
                    self._problems.report("CL618", message, place, severity=_WARNING, at_key=True, help=help)

    def coverage(self) -> None:
        wanted = self._document.coverage
        by_place = (
            {("coverage",): wanted}
            if not isinstance(wanted, Mapping)
            else {("coverage", measure): percent for measure, percent in wanted.items()}
        )
        for place, percent in by_place.items():
            if percent == 1:
                message = "the coverage is in percent, and 1 looks like a ratio"
                help = "write `100` for all of it"
                self._problems.report("CL450", message, place, severity=_WARNING, label="is this the unit?", help=help)

    def estimates(self) -> None:
        """No estimate is below zero."""
        for path, (first, *_) in self._by_path.items():
            estimate = first.case.expect.estimate
            if estimate is not None and estimate.min_cost_usd == 0:
                place = (*path, "expect", "estimate", "min_cost_usd")
                message = "every estimate is at least 0"
                help = "write the lowest cost that you expect, or `cost_usd: 0`"
                self._problems.report("CL620", message, place, severity=_WARNING, label="cannot fail", help=help)

    def empty_lists(self) -> None:
        """Without budgets nothing raises an alert, and without rewrites nothing is rewritten."""
        kinds = set(self._known.rules.values())
        never = {"rewrites"} if not self._known.applying and not kinds & {RuleKind.REWRITE, RuleKind.BUDGET} else set()
        never |= {"alerts", "thresholds", "overflowed"} if RuleKind.BUDGET not in kinds else set()
        for path, (first, *_) in self._by_path.items():
            expect = first.case.expect
            keys = {key for key in expect.model_fields_set if getattr(expect, key) is not None}
            if not expect.exact and keys - {"exact"} <= never and not any(getattr(expect, key) for key in keys):
                (key, *_) = sorted(keys - {"exact"})
                message = f"`{key}` is always empty: no rule of the policy set can add to it"
                help = "expect the effect or the model, too"
                place = (*path, "expect", key)
                self._problems.report(
                    "CL620", message, place, severity=_WARNING, at_key=True, label="cannot fail", help=help
                )

    def patterns(self) -> None:
        """A pattern is searched for, so one that matches the empty text is found in every text."""
        for path, (first, *_) in self._by_path.items():
            for key in ("prompt", "system"):
                expected = getattr(first.case.expect, key)
                if isinstance(expected, TextExpectation) and _fits_all(expected.matches):
                    place = (*path, "expect", key, "matches")
                    message = f"every text matches the pattern `{expected.matches}`"
                    help = "anchor it with `^` and `$`, or use `contains`"
                    self._problems.report("CL620", message, place, severity=_WARNING, label="cannot fail", help=help)


def _by_path(cases: Iterable[SingleCase]) -> dict[Path, list[SingleCase]]:
    """Return the cases by where they are written; those of a matrix have one place."""
    found: dict[Path, list[SingleCase]] = {}
    for item in cases:
        found.setdefault(item.path, []).append(item)
    return found


def _words(value: Any) -> Iterator[str]:
    """Yield the strings of a request at every depth, and their words: a condition may find a model's name there."""
    if isinstance(value, str):
        yield value
        yield from _WORD.findall(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _words(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from _words(item)


def _a(kind: RuleKind) -> str:
    return f"{'an' if kind is RuleKind.ACCESS else 'a'} {kind}"


def _refines(later: Mapping[str, Any], earlier: Mapping[str, Any]) -> bool:
    """Return whether a fixture is another one with more to it: to list the plain one first is a harmless habit."""
    shared = earlier.keys() & later.keys()
    return earlier.keys() < later.keys() and any(earlier[key] == later[key] for key in shared)


def _fits_all(pattern: str | None) -> bool:
    if pattern is None or _PLACES.search(pattern):
        return pattern in ("^", "$", "^.*", ".*$")
    try:
        return matcher(pattern)("", None)
    except CelError:  # which has been reported
        return False
