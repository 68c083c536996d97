"""What findings see: documents with their places, a plan, goals over one domain, and the engine to try requests on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, Final, TypeAlias, TypeVar, cast

from costlens_policy.assurance.domain import ABSENT, Assignment, Domain, Every, Goal, Holds, Not
from costlens_policy.assurance.domain.trees import ASKED
from costlens_policy.checker.bundle import CheckedBundle, LinkedDocument
from costlens_policy.checker.checks import Subject as Documents
from costlens_policy.checker.checks.subject import Place
from costlens_policy.compiler import compile_plan
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.rules import AccessStep, BudgetStep, RewriteRule, RouteStep
from costlens_policy.diagnostics.model import Span
from costlens_policy.documents import PolicyDocument
from costlens_policy.engine.decide import decide
from costlens_policy.engine.decision import Balance, Decision
from costlens_policy.errors import CostlensPolicyError
from costlens_policy.expressions.runtime import to_python
from costlens_policy.frozen import frozen

__all__ = ["Rule", "Step", "Subject", "shown"]

_ALWAYS: Final = Every(())
_SECTIONS: Final = ("access", "routes", "rewrites", "budgets")
_EXAMPLES: Final[Mapping[str, Any]] = {
    "string": "other", "int": 1000, "uint": 1000, "double": 1.0, "bool": True, "list": [], "map": {},
    "timestamp": datetime(2026, 1, 5, 12, tzinfo=UTC),
}  # fmt: skip

_T = TypeVar("_T")
Step: TypeAlias = AccessStep | RouteStep | RewriteRule | BudgetStep


@frozen
class Rule:
    """A rule as the plan has it, where it stands, and the goals that it holds, and that it does not.

    An error in its condition counts as its policy says: under ``on_error: deny`` as if it held.
    """

    step: Step
    layer: int
    place: Place
    goal: Goal
    otherwise: Goal

    @property
    def id(self) -> str:
        return self.step.id

    @property
    def when(self) -> Formula | None:
        return self.step.when

    @property
    def passes_on(self) -> bool:
        """Whether a request that matches may go on to the next rule all the same."""
        return isinstance(self.step, RouteStep) and self.step.passes_on

    @property
    def span(self) -> Span:
        """Where the condition is written, or the rule where it has none."""
        return self.place.at("when").span if self.when is not None else self.place.key_span


class Subject:
    """A policy set with the conditions of all its rules in one domain, so that critical values are those of all."""

    def __init__(self, bundle: CheckedBundle, now: datetime) -> None:
        self.bundle = bundle
        self.documents = Documents(bundle.linked, bundle.expressions, now.date())
        self.plan = compile_plan(bundle)
        self.now = now
        self.domain = Domain(self.plan, now)
        self.rules = {section: tuple(self._rules(section)) for section in _SECTIONS}
        """The rules of each section, in the order in which they are asked."""
        self._done: dict[Callable[[Subject], Any], Any] = {}

    @property
    def policies(self) -> tuple[LinkedDocument[PolicyDocument], ...]:
        return self.bundle.linked.policies

    @cached_property
    def default(self) -> Rule:
        """The default route, as a rule that always holds."""
        place = Place(self.bundle.linked.policy_set, ("defaults", "route"))
        return Rule(self.plan.defaults.route, len(self.plan.layers), place, _ALWAYS, Not(_ALWAYS))

    @cached_property
    def denies(self) -> tuple[Rule, ...]:
        """The rules that refuse requests whatever the model."""
        return tuple(rule for rule in self.rules["access"] if _refuses(rule.step))

    @cached_property
    def limits(self) -> tuple[Rule, ...]:
        """The budgets that can refuse by themselves."""
        return tuple(
            rule
            for rule in self.rules["budgets"]
            if isinstance(rule.step, BudgetStep) and not rule.step.shadow and rule.id not in self.plan.stages.overflows
        )

    def once(self, work: Callable[[Subject], _T]) -> _T:
        """Return what some work gives, done for the first finding that asks for it."""
        if work not in self._done:
            self._done[work] = work(self)
        return cast(_T, self._done[work])

    def is_diagnosed(self, rule: Rule) -> bool:
        """Say whether a check has reported something about a rule: what is found on top is likely the same."""
        whole = rule.place.document.located.root.span_of(rule.place.path)
        return any(
            item.span is not None
            and item.span.file == whole.file
            and whole.start.offset <= item.span.start.offset < whole.end.offset
            for item in self.bundle.warnings
        )

    def request(self, values: Assignment) -> dict[str, Any]:
        """Return the request of an assignment as a caller would write it, with what the policy set requires."""
        found: dict[str, Any] = {}
        for read in sorted(values, key=len):
            value = values[read]
            if read[0] != "request" or value is ABSENT:
                continue
            if read == ASKED and isinstance(value, dict):
                found["model"] = value["name"]
                continue
            place: Any = found
            for step in read[1:-1]:
                place = place.get(step) if isinstance(place, dict) else None
            if isinstance(place, dict) and self._says_something(read, value):
                place[read[-1]] = to_python(value)
        for name in sorted(self.plan.required - found.keys()):
            attribute = self.plan.attributes[name]
            found[name] = attribute.values[0] if attribute.values else _EXAMPLES.get(attribute.type.name, "other")
        return found

    def decide(
        self,
        request: Mapping[str, Any],
        values: Assignment | None = None,
        used: Mapping[tuple[str, str], Decimal] | None = None,
    ) -> Decision | None:
        """Return what the engine decides, None where it does not admit the request.

        ``values`` may hold the time; ``used`` is what was spent, by budget and scope key.
        """
        texts = {} if "prompt" in request or "messages" in request else {"prompt": "Hello."}
        now = to_python((values or {}).get(("now",), None)) or self.now
        balances = {key: Balance(used=amount) for key, amount in (used or {}).items()}
        try:
            return decide(self.plan, {**texts, **request}, balances, now)
        except CostlensPolicyError:
            return None

    def _says_something(self, read: tuple[str, ...], value: Any) -> bool:
        """Say whether a value is not the default, which would be there without being written."""
        attribute = self.plan.attributes.get(read[1])
        return attribute is None or len(read) > 2 or attribute.default is None or value != attribute.default

    def _rules(self, section: str) -> Iterator[Rule]:
        for index, (layer, policy) in enumerate(zip(self.plan.layers, self.policies, strict=True)):
            steps: tuple[Step, ...] = getattr(layer, section)
            for at, step in enumerate(steps):
                goal = self._goal(step.when, index)
                yield Rule(step, index, Place(policy, (section, at)), goal, Not(goal))

    def _goal(self, when: Formula | None, layer: int) -> Goal:
        if when is None:
            return _ALWAYS
        return Holds(self.domain.tree(when, layer), self.plan.layers[layer].on_error == "deny")


def _refuses(step: Step) -> bool:
    return isinstance(step, AccessStep) and step.denies and not step.by_model


def shown(request: Mapping[str, Any]) -> str:
    """Return a request in one line, as YAML reads it."""
    parts = (f"{name}: {json.dumps(value, ensure_ascii=False, default=str)}" for name, value in request.items())
    return "{" + ", ".join(parts) + "}"
