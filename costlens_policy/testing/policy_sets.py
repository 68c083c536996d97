"""The policy set that a suite names: found inside the repository, loaded once for all its suites."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from costlens_policy.api import Engine
from costlens_policy.catalogue import Model
from costlens_policy.checker import CheckedBundle, check_all
from costlens_policy.checker.owners import Reference, resolve_set
from costlens_policy.checker.whole import check_set
from costlens_policy.compiler import compile_plan
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.plan import Plan
from costlens_policy.diagnostics.model import Diagnostic, Span
from costlens_policy.documents.budget import Budget
from costlens_policy.frozen import frozen
from costlens_policy.source.located import Path as LocatedPath
from costlens_policy.testing.suites import FoundSuite, SuiteProblems
from costlens_policy.testing.vocabulary import Vocabulary
from costlens_policy.units import base_of

__all__ = ["PolicySets", "SetUnderTest", "TimeRead", "formulas_in"]

_STAGES: Final = ("access", "routes", "rewrites", "budgets")


@frozen
class TimeRead:
    """Something that depends on time. ``what`` ends the sentence "the suite does not set `now`, and …"."""

    what: str
    span: Span | None = None


@frozen(eq=False)
class SetUnderTest:
    """A policy set under test. ``file`` is named as its first suite reaches it; ``places`` are the ids of its rules."""

    file: str
    bundle: CheckedBundle
    engine: Engine
    known: Vocabulary
    reads_time: TimeRead | None
    places: Mapping[str, Span]


class PolicySets:
    """Loads policy sets, each file once. ``diagnostics`` are the errors of sets that cannot be used.

    ``paths`` are those under test: without a checkout around them they mark out the repository. ``checked`` are sets
    that have been checked already by the places of their files, None for those with errors.
    """

    def __init__(self, paths: Iterable[Path], checked: Mapping[Path, CheckedBundle | None]) -> None:
        self._paths = tuple(paths)
        self._checked = checked
        self._loaded: dict[Path, SetUnderTest | None] = {}
        self.diagnostics: list[Diagnostic] = []

    def of(self, suite: FoundSuite, problems: SuiteProblems) -> SetUnderTest | None:
        """Return the policy set of a suite; None where it cannot be used, which has then been reported."""
        file = self._resolve(suite)
        if isinstance(file, Diagnostic):
            problems.diagnostics.append(file)
            return None
        real = Path(file).resolve()
        if real not in self._loaded:
            self._loaded[real] = self._load(file)
        return self._loaded[real]

    def add_all(self) -> None:
        """Load every policy set under the paths, also those that no suite tests. What is wrong with any is reported."""
        checked = check_all(self._paths)
        self.diagnostics.extend(item for item in checked.diagnostics if item.is_error)
        for bundle in checked.bundles:
            file = bundle.linked.policy_set.located.source.name
            self._loaded.setdefault(Path(file).resolve(), _under_test(file, bundle))

    def loaded(self) -> tuple[SetUnderTest, ...]:
        return tuple(item for item in self._loaded.values() if item is not None)

    def _resolve(self, suite: FoundSuite) -> str | Diagnostic:
        span = suite.located.root.span_of(("policy_set",))
        return resolve_set(Reference(suite.document.policy_set, span, suite.file), self._paths)

    def _load(self, file: str) -> SetUnderTest | None:
        real = Path(file).resolve()
        if real in self._checked:
            bundle = self._checked[real]
        else:
            bundle, problems = check_set(file, self._paths)
            self.diagnostics.extend(item for item in problems if item.is_error)
        return None if bundle is None else _under_test(file, bundle)


def _under_test(file: str, bundle: CheckedBundle) -> SetUnderTest:
    plan = compile_plan(bundle)
    places = dict(_places(bundle))
    return SetUnderTest(file, bundle, Engine(plan), Vocabulary(plan), _first_time_read(plan, places), places)


def _places(bundle: CheckedBundle) -> Iterator[tuple[str, Span]]:
    for policy in bundle.linked.policies:
        for stage in _STAGES:
            for index, rule in enumerate(getattr(policy.document, stage)):
                yield f"{policy.name}/{rule.id}", policy.located.root.span_of((stage, index, "id"))
        for index, budget in enumerate(policy.document.budgets):
            for name, place in _thresholds(budget):
                yield f"{policy.name}/{budget.id}@{name}", policy.located.root.span_of(("budgets", index, *place))


def _thresholds(budget: Budget) -> Iterator[tuple[str, LocatedPath]]:
    """Yield where the thresholds of a budget start, and where that is written; of two with one start the first."""
    soft = f"soft_limit_{base_of(budget.unit)}"
    if (amount := getattr(budget, soft)) is not None:
        yield f"{Decimal(amount):f}", (soft,)
    for index, threshold in reversed(list(enumerate(budget.thresholds))):
        yield threshold.name, ("thresholds", index, threshold.condition)


def _first_time_read(plan: Plan, places: Mapping[str, Span]) -> TimeRead | None:
    """Return one thing in a plan that depends on time, or None where no decision ever does.

    ``places`` are those of the rules by their ids.
    """
    return next(_time_reads(plan, places), None)


def _time_reads(plan: Plan, places: Mapping[str, Span]) -> Iterator[TimeRead]:
    for formula in formulas_in((plan.layers, plan.defaults.route)):
        if formula.reads("now"):
            yield TimeRead("an expression reads `now`", formula.span)
    for route in (plan.defaults.route, *(route for layer in plan.layers for route in layer.routes)):
        if route.draws_by_id:
            yield TimeRead(f"a split of `{route.id}` draws calls without an id by their time", places.get(route.id))
    for layer in plan.layers:
        for budget in layer.budgets:
            if not budget.per_call:
                yield TimeRead(f"budget `{budget.id}` has a window", places.get(budget.id))
    for model in plan.catalogue:
        if what := _dated(model):
            yield TimeRead(what)


def formulas_in(value: Any) -> Iterator[Formula]:
    """Walk through the parts of a plan; what is neither a step nor a collection of steps holds no expression."""
    if isinstance(value, Formula):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from formulas_in(item)
    elif isinstance(value, Mapping):
        yield from formulas_in(tuple(value.values()))
    elif is_dataclass(value):
        for part in fields(value):
            yield from formulas_in(getattr(value, part.name))


def _dated(model: Model) -> str:
    if len(model.periods) > 1 or any(period.effective is not None for period in model.periods):
        return f"the prices of `{model.name}` depend on the day"
    if model.deprecated is not None or model.retired is not None:
        return f"`{model.name}` has a deprecation or retirement date"
    return ""
