"""What decisions did to the rules of a policy set, added up: outcomes, values of operands, models, shares, budgets."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from costlens_policy.checker.bundle import CheckedBundle
from costlens_policy.checker.checks.subject import Place
from costlens_policy.compiler.plan import Plan
from costlens_policy.compiler.rules import AccessStep
from costlens_policy.engine.context import Context
from costlens_policy.engine.decision import Decision
from costlens_policy.engine.record import RuleOutcome
from costlens_policy.expressions import BOOL, Value
from costlens_policy.expressions.runtime import CelError
from costlens_policy.testing.coverage.conditions import Condition, Operand, Truth, Values, condition_of
from costlens_policy.testing.observation import Observation

__all__ = ["OutcomeCounts", "RuleCounts", "conditions_in", "evaluated"]

_SECTIONS = ("access", "routes", "rewrites", "budgets")


def conditions_in(plan: Plan, bundle: CheckedBundle) -> tuple[Condition, ...]:
    """Return the conditions of the rules of each policy, and its boolean variables."""
    return tuple(_conditions(plan, bundle))


def _conditions(plan: Plan, bundle: CheckedBundle) -> Iterator[Condition]:
    for index, (layer, policy) in enumerate(zip(plan.layers, bundle.linked.policies, strict=True)):
        for name, variable in layer.variables.items():
            if variable.typed.type == BOOL:
                place = Place(policy, ("variables", name))
                yield condition_of(f"{layer.name}/variables.{name}", "", index, place, variable)
        for section in _SECTIONS:
            for at, step in enumerate(getattr(layer, section)):
                place = Place(policy, (section, at))
                if step.when is not None:
                    yield condition_of(step.id, "", index, place.at("when"), step.when)
                if isinstance(step, AccessStep) and step.only is not None:
                    yield condition_of(step.id, "only", index, place.at("only"), step.only)


@dataclass(slots=True)
class RuleCounts:
    """How often a rule had each outcome. ``instead`` counts the rules that decided before it could be asked.

    ``failing`` are those of them that did so because their conditions failed.
    """

    outcomes: Counter[RuleOutcome] = field(default_factory=Counter)
    instead: Counter[str] = field(default_factory=Counter)
    failing: set[str] = field(default_factory=set)

    @property
    def matched(self) -> int:
        return self.outcomes[RuleOutcome.MATCHED]

    @property
    def reached(self) -> int:
        return self.outcomes.total() - self.outcomes[RuleOutcome.NOT_REACHED]

    def add(self, other: RuleCounts) -> None:
        self.outcomes += other.outcomes
        self.instead += other.instead
        self.failing |= other.failing


class OutcomeCounts:
    """What the decisions counted so far did.

    ``values`` are those of the operands of each condition, ``served`` the models of each target by its place,
    ``listed`` the same with those that stand by, ``drawn`` the shares by their places, ``overflowed`` the budgets whose
    overflow counted a call, and ``downgraded`` the thresholds that excluded a model. All are numbers of decisions.
    """

    def __init__(self, conditions: Sequence[Condition] = ()) -> None:
        self.conditions = conditions
        self.decisions = 0
        self.rules: dict[str, RuleCounts] = defaultdict(RuleCounts)
        self.thresholds: Counter[tuple[str, int]] = Counter()
        self.ways_out: Counter[str] = Counter()
        self.values: dict[Condition, Counter[Values]] = defaultdict(Counter)
        self.served: Counter[tuple[str, str]] = Counter()
        self.listed: Counter[tuple[str, str]] = Counter()
        self.drawn: Counter[str] = Counter()
        self.overflowed: Counter[str] = Counter()
        self.downgraded: Counter[tuple[str, int]] = Counter()

    def count(self, observation: Observation) -> None:
        self.decisions += 1
        decision = observation.decision
        for rule, outcome in observation.outcomes.items():
            counts = self.rules[rule]
            counts.outcomes[outcome] += 1
            if outcome is RuleOutcome.NOT_REACHED:
                counts.instead[decision.rule] += 1
                if observation.outcomes.get(decision.rule) is RuleOutcome.FAILED:
                    counts.failing.add(decision.rule)
        self.thresholds.update(observation.thresholds_at_all)
        self.ways_out.update(item.place for item in decision.ways_out)
        for condition, values in evaluated(observation, self.conditions):
            self.values[condition][values] += 1
        self._count_targets(decision)
        self.overflowed.update({item.seen.budget for item in decision.overflowed})
        self.downgraded.update(_downgrades(decision))

    def values_of(self, condition: Condition) -> Mapping[Values, int]:
        """Return how often each selection of values of the operands of a condition was there."""
        return self.values.get(condition) or {}

    def _count_targets(self, decision: Decision) -> None:
        route = decision.route
        if route is None:
            return
        self.drawn.update(_places_of(route.id, route.shares))
        if decision.model is not None:
            self.served[route.place, decision.model] += 1
            self.listed.update((route.place, name) for name in (decision.model, *decision.fallbacks))

    @classmethod
    def of(cls, several: Iterable[OutcomeCounts]) -> OutcomeCounts:
        """Return the sum of several counts."""
        several = list(several)
        total = cls(several[0].conditions if several else ())
        for counts in several:
            total.decisions += counts.decisions
            for name in ("thresholds", "ways_out", "served", "listed", "drawn", "overflowed", "downgraded"):
                getattr(total, name).update(getattr(counts, name))
            for rule, counted in counts.rules.items():
                total.rules[rule].add(counted)
            for condition, values in counts.values.items():
                total.values[condition].update(values)
        return total


def _places_of(route: str, shares: Sequence[str]) -> Iterator[str]:
    """Yield the places of the shares that were drawn, outermost first."""
    for depth in range(1, len(shares) + 1):
        yield "/".join((route, *shares[:depth]))


def _downgrades(decision: Decision) -> set[tuple[str, int]]:
    """Return the thresholds that excluded a model, each as its budget and its place in it."""
    found: set[tuple[str, int]] = set()
    for item in (*decision.excluded, *decision.shadowed):
        if item.threshold is not None and item.by in decision.plan.budgets:
            thresholds = decision.plan.budgets[item.by][1].thresholds
            found.update((item.by, n) for n, step in enumerate(thresholds) if step.name == item.threshold)
    return found


def evaluated(observation: Observation, conditions: Iterable[Condition]) -> Iterator[tuple[Condition, Values]]:
    """Yield the conditions that a decision asked, each with every selection of values that its operands had.

    There are several where it was asked about several models. A variable was asked where a condition reads it.
    """
    if not conditions:
        return
    asking = _Asking(observation)
    read: set[tuple[int, str]] = set()
    variables = [condition for condition in conditions if condition.is_variable]
    for condition in conditions:
        if not condition.is_variable and asking.asks(condition):
            read.update((condition.layer, name) for name in condition.variables)
            for values in dict.fromkeys(asking.values_of(condition)):
                yield condition, values
    for condition in reversed(variables):  # one reads only those before it
        if (condition.layer, _name_of(condition)) in read:
            read.update((condition.layer, name) for name in condition.variables)
            for values in dict.fromkeys(asking.values_of(condition)):
                yield condition, values
    asking.close()


def _name_of(condition: Condition) -> str:
    return str(condition.place.path[-1])


class _Asking:
    """Evaluates operands as the engine does, on what it decided."""

    def __init__(self, observation: Observation) -> None:
        self._observation = observation
        self._decision = decision = observation.decision
        self._context = Context(decision.plan, dict(decision.request), observation.balances, decision.now)

    def close(self) -> None:
        self._context.close()

    def asks(self, condition: Condition) -> bool:
        if condition.about == "only":
            return self._observation.outcomes.get(condition.rule) is RuleOutcome.MATCHED
        return self._observation.evaluated(condition.rule)

    def values_of(self, condition: Condition) -> Iterator[Values]:
        if not condition.reads_model:
            yield condition.evaluate(lambda operand: self._truth(operand, condition.layer, None))
            return
        for name in self._models(condition):
            view = self._context.priced_model(name).view
            yield condition.evaluate(lambda operand, view=view: self._truth(operand, condition.layer, view))  # type: ignore[misc]

    def _models(self, condition: Condition) -> Iterator[str]:
        """Yield the models that a condition was asked about: those that may serve, and those that it excluded."""
        decision = self._decision
        if decision.model is not None:
            yield from (decision.model, *decision.fallbacks)
        about_access = condition.place.path[0] == "access"
        for item in decision.excluded:
            if item.by == condition.rule or (not about_access and item.by in decision.plan.budgets):
                yield item.model

    def _truth(self, operand: Operand, layer: int, model: Mapping[str, Value] | None) -> Truth:
        try:
            return Truth.TRUE if self._context.evaluate(operand.formula, layer, model) is True else Truth.FALSE
        except CelError:
            return Truth.ERROR
