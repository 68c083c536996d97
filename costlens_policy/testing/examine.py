"""Hold a suite against the policy set under test: every name in it must exist there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from costlens_policy.diagnostics.codes import CODES
from costlens_policy.diagnostics.suggestion import did_you_mean, listed
from costlens_policy.documents.suite import BalanceInput, Case, Expectation, SuiteDocument, TextExpectation
from costlens_policy.expressions.runtime import CelError
from costlens_policy.expressions.runtime.regexes import matcher
from costlens_policy.source.located import Path
from costlens_policy.testing.matrix import SingleCase
from costlens_policy.testing.problems import SuiteProblems
from costlens_policy.testing.vocabulary import DEFAULT, RuleKind, Vocabulary

__all__ = ["examine"]

_ALL = tuple(RuleKind)
_DECIDING = (RuleKind.ACCESS, RuleKind.ROUTE, RuleKind.BUDGET)


def examine(
    document: SuiteDocument, cases: Iterable[SingleCase], vocabulary: Vocabulary, problems: SuiteProblems
) -> None:
    """Report every name of a suite that the policy set does not know."""
    examiner = _Examiner(document, vocabulary, problems)
    examiner.suite()
    for item in cases:
        examiner.case(item.case, item.path)


class _Examiner:
    def __init__(self, document: SuiteDocument, vocabulary: Vocabulary, problems: SuiteProblems) -> None:
        self._document = document
        self._known = vocabulary
        self._problems = problems

    def suite(self) -> None:
        for index, name in enumerate(self._document.covers):
            if name not in self._known.policies:
                help = did_you_mean(name, self._known.policies)
                label = "the policy set does not list it"
                self._problems.report("CL612", f"unknown policy `{name}`", ("covers", index), label=label, help=help)
        for name, fields in self._document.fixtures.items():
            self._attributes(fields, ("fixtures", name))
        self._attributes(self._document.defaults.request, ("defaults", "request"))
        self._rules(self._document.defaults.targets, ("defaults", "targets"), _ALL)
        self._balances(self._document.defaults.balances, ("defaults", "balances"))

    def case(self, case: Case, path: Path) -> None:
        for index, name in enumerate(case.fixtures):
            if name not in self._document.fixtures:
                help = did_you_mean(name, self._document.fixtures) or "write it under `fixtures` of the suite"
                self._problems.report(
                    "CL601",
                    f"unknown fixture `{name}`",
                    (*path, "fixtures", index),
                    label="the suite does not have it",
                    help=help,
                )
        if case.expect.request_error is None:  # such a case may be about an attribute that does not exist
            self._attributes(case.request, (*path, "request"))
        self._rules(case.targets, (*path, "targets"), _ALL)
        self._balances(case.balances, (*path, "balances"))
        self._expectation(case.expect, (*path, "expect"), {*_texts(case.request), *self._given_texts(case)})

    def _given_texts(self, case: Case) -> Iterable[str]:
        for name in case.fixtures:
            yield from _texts(self._document.fixtures.get(name, {}))
        yield from _texts(self._document.defaults.request)

    def _expectation(self, expect: Expectation, path: Path, requested: set[str]) -> None:
        if expect.rule not in (None, DEFAULT):
            self._rule(str(expect.rule), (*path, "rule"), _DECIDING)
        self._rules(expect.rewrites, (*path, "rewrites"), (RuleKind.REWRITE, RuleKind.BUDGET))
        self._rules(expect.alerts, (*path, "alerts"), (RuleKind.BUDGET,))
        self._thresholds(expect.thresholds, (*path, "thresholds"))
        self._models(expect, path, requested)
        for key in ("prompt", "system"):
            self._pattern(getattr(expect, key), (*path, key))
        for index, call in enumerate(expect.fallback_calls or ()):
            place = (*path, "fallback_calls", index)
            self._model(call.model, (*place, "model"), requested)
            self._rules(call.rewrites, (*place, "rewrites"), (RuleKind.REWRITE, RuleKind.BUDGET))
            for key in ("prompt", "system"):
                self._pattern(getattr(call, key), (*place, key))
        known = [code for code in CODES if code.startswith("CL9")]
        for index, code in enumerate(expect.errors or ()):
            if known and code not in known:
                help = did_you_mean(code, known) or f"the codes are {listed(known)}"
                place = (*path, "errors", index)
                self._problems.report("CL616", f"unknown run-time error `{code}`", place, label="no code", help=help)

    def _thresholds(self, names: Iterable[str] | None, path: Path) -> None:
        known = self._known.thresholds.values()
        for index, name in enumerate(names or ()):
            if name not in known:
                help = did_you_mean(name, known) or "write it as `policy/budget@0.8`"
                label = "no budget has this threshold"
                self._problems.report("CL602", f"unknown threshold `{name}`", (*path, index), label=label, help=help)

    def _models(self, expect: Expectation, path: Path, requested: set[str]) -> None:
        named = [(name, (*path, "fallbacks", index)) for index, name in enumerate(expect.fallbacks or ())]
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

    def _rule(self, name: str, path: Path, kinds: tuple[RuleKind, ...]) -> None:
        if self._known.is_rule(name, *kinds):
            return
        other = self._known.rules.get(name)
        if other is not None:
            wanted = listed([str(kind) for kind in kinds], "or").replace("`", "")
            self._problems.report(
                "CL602", f"`{name}` is no {wanted}", path, label=f"this is {_a(other)}", help="name another rule"
            )
            return
        budgets_only = kinds == (RuleKind.BUDGET,)
        code, what = ("CL604", "budget") if budgets_only else ("CL602", "rule")
        help = self._known.suggest_rule(name, *kinds) or f"write it as `policy/{what}`"
        self._problems.report(code, f"unknown {what} `{name}`", path, label=f"no policy has this {what}", help=help)

    def _balances(self, balances: Iterable[BalanceInput], path: Path) -> None:
        for index, entry in enumerate(balances):
            if self._known.budget(entry.budget) is None:
                self._rule(entry.budget, (*path, index, "budget"), (RuleKind.BUDGET,))

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
                self._problems.report("CL615", str(error), (*path, "matches"), label="not RE2's syntax")


def _texts(request: Mapping[str, Any]) -> Iterable[str]:
    return (value for value in request.values() if isinstance(value, str))


def _a(kind: RuleKind) -> str:
    return f"{'an' if kind is RuleKind.ACCESS else 'a'} {kind}"
