"""What findings see: documents with their places, a plan, goals over one domain, and the engine to try requests on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from itertools import takewhile
from typing import Any, Final, TypeAlias, TypeVar, cast

from costlens_policy.assurance.domain import (
    ABSENT,
    Assignment,
    Domain,
    Every,
    Found,
    Goal,
    Holds,
    Not,
    Nothing,
    Outcome,
    Result,
    Some,
    Undecided,
)
from costlens_policy.assurance.domain.formulas import Standing
from costlens_policy.assurance.domain.inputs import open_plan
from costlens_policy.assurance.domain.states import state_of
from costlens_policy.assurance.domain.trees import ASKED, Atom, is_signal
from costlens_policy.assurance.witness import Balances, Situation, Witness, shown, smallest
from costlens_policy.checker.attributes import SIGNALS
from costlens_policy.checker.bundle import CheckedBundle, LinkedDocument
from costlens_policy.checker.checks import Subject as Documents
from costlens_policy.checker.checks.subject import Place
from costlens_policy.checker.reads import MAY_BE_MISSING
from costlens_policy.compiler import compile_plan
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.rules import AccessStep, BudgetStep, RewriteRule, RouteStep
from costlens_policy.diagnostics.model import Shown, Span
from costlens_policy.documents import PolicyDocument
from costlens_policy.engine.context import Context
from costlens_policy.engine.decide import decide, open_context
from costlens_policy.engine.decision import Balance, Decision
from costlens_policy.errors import CostlensPolicyError
from costlens_policy.expressions.runtime import CelError, to_python
from costlens_policy.frozen import frozen

__all__ = ["Rule", "Step", "Subject", "Witness", "shown"]

_ALWAYS: Final = Every(())
_BESIDE: Final = (MAY_BE_MISSING, "CL484")
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

    def __init__(self, bundle: CheckedBundle, now: datetime, seconds: float | None = None) -> None:
        """``seconds`` is how long is searched in all."""
        self.bundle = bundle
        self.documents = Documents(bundle.linked, bundle.expressions, now.date())
        self.plan = compile_plan(bundle)
        self._open = open_plan(self.plan)
        self.now = now
        self.domain = Domain(self.plan, now, seconds)
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
        """Say whether a check has reported something about a rule: what is found on top is likely the same.

        That an attribute may be missing, or a quality was not measured, says nothing about what the rule does then.
        """
        whole = rule.place.document.located.root.span_of(rule.place.path)
        return any(
            item.span is not None
            and item.code not in _BESIDE
            and item.span.file == whole.file
            and whole.start.offset <= item.span.start.offset < whole.end.offset
            for item in self.bundle.warnings
        )

    def condition(self, formula: Formula | None, layer: int, error: bool = False) -> Goal:
        """Return the goal that a condition holds, in words that a layer knows; ``error`` says what a failing one means.

        The condition may be one that no rule of the plan has, such as an invariant's or a mutant's; its constants are
        critical values from then on. Register all conditions before the first search, which is faster.
        """
        return _ALWAYS if formula is None else Holds(self.domain.tree(formula, layer), error)

    @cached_property
    def allowed(self) -> Goal:
        """That an access rule allows a request, or that all are by default; a deny may overrule it."""
        if self.plan.defaults.allows:
            return _ALWAYS
        allows = [rule for rule in self.rules["access"] if isinstance(rule.step, AccessStep) and not rule.step.denies]
        return Some([self.condition(rule.when, rule.layer) for rule in allows])

    @cached_property
    def admitted(self) -> Goal:
        """That access lets a request through, whatever model serves it: what is asked of candidates is not in it."""
        return Every([self.allowed, *(rule.otherwise for rule in self.denies)])

    def reached(self, route: Rule) -> Goal:
        """That a request comes to a route, which may be ``default``, and matches it: no earlier one keeps it.

        Earlier routes that may pass a request on are not asked, so that the decision may still be another one's.
        """
        earlier = takewhile(lambda other: other is not route, self.rules["routes"])
        before = [other.otherwise for other in earlier if not other.passes_on]
        return Every([self.condition(route.when, route.layer), *before, self.admitted])

    def find(self, goal: Goal, given: Assignment | None = None) -> Result:
        """Search for values that meet a goal: ``Nothing`` is a proof, ``Undecided`` says why there is none."""
        return self.domain.find(goal, given)

    def witness(
        self, goal: Goal, given: Assignment | None = None, keeps: Callable[[Witness], bool] = lambda _: True
    ) -> Witness | Nothing | Undecided:
        """Return the smallest request found that meets a goal, as the engine decides it.

        The goal is asked again of the engine's own values of the request. ``keeps`` says what the decision has to show
        beside that. What the search finds and the engine does not confirm is ``Undecided``.
        """
        found = self.domain.find(goal, given)
        if not isinstance(found, Found):
            return found
        witness = self.situated(found.values)
        model = found.values.get(("model",))

        def confirms(witness: Witness) -> bool:
            return self.meets(goal, witness.situation, None if model is None else str(model)) and keeps(witness)

        if witness is None or not confirms(witness):
            return Undecided("the engine decides otherwise on what was found")
        return self.smallest(witness, confirms)

    def shown(self, goal: Goal, keeps: Callable[[Witness], bool] = lambda _: True) -> list[Shown]:
        """Return the witness of a goal as a diagnostic carries it, in a list; empty where there is none."""
        found = self.witness(goal, keeps=keeps)
        return [found.shown] if isinstance(found, Witness) else []

    def situated(self, values: Assignment) -> Witness | None:
        """Return what the engine decides on values, None where it does not admit the request.

        A prompt is added where it makes a difference that there is one.
        """
        given = self.situation(values)
        bare = self.decided(given)
        if bare is None or "prompt" in given.request or "messages" in given.request:
            return bare
        asking = self.decided(Situation({**given.request, "prompt": "Hello."}, given.balances, given.now))
        return bare if asking is None or _outcome(bare) == _outcome(asking) else asking

    def situation(self, values: Assignment) -> Situation:
        """Return the request, the states of budgets and the time that values stand for."""
        request = self.request(values)
        now = to_python(values.get(("now",), None)) or self.now
        return Situation(request, self._balances(values, request, now), now)

    def context(self, situation: Situation) -> Context:
        """Return what the steps of a decision read. Raises ``RequestError`` where the request is not admitted."""
        return open_context(self._open, situation.request, situation.balances, situation.now)

    def decided(self, situation: Situation) -> Witness | None:
        """Return a situation with the engine's decision, None where the request is not admitted."""
        try:
            decision = decide(self.plan, situation.request, situation.balances, situation.now)
        except CostlensPolicyError:
            return None
        return Witness(situation, decision, self.now)

    def meets(self, goal: Goal, situation: Situation, model: str | None = None) -> bool:
        """Return whether a request meets a goal as the engine evaluates conditions, for a model if they read one."""
        try:
            context = self.context(situation)
        except CostlensPolicyError:
            return False
        view = None if model is None else context.priced_model(model).view

        def evaluate(atom: Atom) -> Outcome:
            try:
                return Outcome.TRUE if context.evaluate(atom.formula, atom.layer, view) is True else Outcome.FALSE
            except CelError:
                return Outcome.ERROR

        return Standing(evaluate).of(goal) is True

    def smallest(self, witness: Witness, keeps: Callable[[Witness], bool]) -> Witness:
        """Return a witness with nothing that ``keeps`` can do without."""
        best = witness

        def tried(situation: Situation) -> bool:
            nonlocal best
            smaller = self.decided(situation)
            if smaller is None or not keeps(smaller):
                return False
            best = smaller
            return True

        smallest(witness.situation, self.now, tried)
        return best

    def request(self, values: Assignment) -> dict[str, Any]:
        """Return the request of an assignment as a caller would write it, with what the policy set requires."""
        found: dict[str, Any] = {}
        for read in sorted(values, key=len):
            value = values[read]
            if value is ABSENT and is_signal(read):
                found.setdefault(SIGNALS, {})[read[2]] = None
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
        found = self.decided(Situation({**request, **texts}, balances, now))
        return None if found is None else found.decision

    def _balances(self, values: Assignment, request: Mapping[str, Any], now: datetime) -> Balances:
        """Return the states of budgets, each for whom the request counts."""
        states = {read[1]: value for read, value in values.items() if isinstance(value, Balance)}
        if not states:
            return {}
        try:
            context = self.context(Situation(request, {}, now))
            places = {name: self.plan.budgets[name] for name in states}
            return {
                (step.id, context.key(step, layer)): state_of(step, states[name], context.limit(step, layer))
                for name, (layer, step) in places.items()
            }
        except (CelError, CostlensPolicyError):
            return {}

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
        return self.condition(when, layer, self.plan.layers[layer].on_error == "deny")


def _outcome(witness: Witness) -> tuple[object, ...]:
    decision = witness.decision
    return decision.rule, decision.model, [(item.model, item.by) for item in decision.excluded]


def _refuses(step: Step) -> bool:
    return isinstance(step, AccessStep) and step.denies and not step.by_model
