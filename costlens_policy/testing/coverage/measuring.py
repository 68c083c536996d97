"""From what was counted to the items of a policy set, stage by stage, each with the reason if no case covers it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping

from costlens_policy.compiler.plan import Layer
from costlens_policy.compiler.rules import (
    BudgetStep,
    ByChoice,
    ByExpression,
    ByName,
    BySplit,
    RouteStep,
    routes_in,
)
from costlens_policy.engine.record import RuleOutcome
from costlens_policy.testing.coverage.conditions import Condition, Truth, Values
from costlens_policy.testing.coverage.counting import OutcomeCounts, RuleCounts
from costlens_policy.testing.coverage.items import Coverage, Item, Measure, PolicyCoverage
from costlens_policy.testing.coverage.reasons import (
    cases,
    never_reached,
    not_active,
    not_left,
    reach,
    why_not,
)
from costlens_policy.testing.policy_sets import SetUnderTest
from costlens_policy.testing.vocabulary import RuleKind

__all__ = ["measure"]


def measure(tested: SetUnderTest, counts: OutcomeCounts, policies: Collection[str]) -> Coverage:
    """Return the coverage of some policies of a set; an empty collection means all of them."""
    plan = tested.engine.plan
    measuring = _Measuring(tested, counts)
    measured = tuple(
        PolicyCoverage(layer.name, tuple(measuring.items(index, layer)))
        for index, layer in enumerate(plan.layers)
        if not policies or layer.name in policies
    )
    return Coverage(plan.name, tested.file, measured)


class _Measuring:
    """Measures one policy set."""

    def __init__(self, tested: SetUnderTest, counts: OutcomeCounts) -> None:
        self._tested = tested
        self._counts = counts
        self._conditions: dict[tuple[int, str], list[Condition]] = defaultdict(list)
        for condition in counts.conditions:
            self._conditions[condition.layer, condition.rule].append(condition)

    def items(self, index: int, layer: Layer) -> Iterator[Item]:
        for name in layer.variables:
            yield from self._of_conditions(index, f"{layer.name}/variables.{name}")
        for kind, steps in (
            (RuleKind.ACCESS, layer.access),
            (RuleKind.ROUTE, layer.routes),
            (RuleKind.REWRITE, layer.rewrites),
            (RuleKind.BUDGET, layer.budgets),
        ):
            for step in steps:
                yield self._rule(step.id, kind, step.when is not None)
                yield from self._of_conditions(index, step.id)
                if isinstance(step, BudgetStep):
                    yield from self._of_budget(step)
                elif isinstance(step, RouteStep):
                    yield from self._of_route(step)

    def _counted(self, rule: str) -> RuleCounts:
        return self._counts.rules.get(rule, RuleCounts())

    # Rules, thresholds and ways out

    def _rule(self, rule: str, kind: RuleKind, conditional: bool) -> Item:
        counted, decisions = self._counted(rule), self._counts.decisions
        return Item(
            Measure.RULES,
            kind=str(kind),
            rule=rule,
            detail="",
            span=self._tested.places.get(rule),
            count=counted.matched,
            why="" if counted.matched else why_not(rule, counted, decisions, self._tested.known),
            conditional=conditional,
            was_true=counted.matched if conditional else 0,
            was_false=counted.outcomes[RuleOutcome.NOT_MATCHED],
            failed=counted.outcomes[RuleOutcome.FAILED],
            not_reached=decisions - counted.reached,
        )

    def _either(self, kind: str, name: str, place: str, reached: int, times: int, why: str) -> Item:
        """Return an item that some of the decisions showed which reached it; its place is that of ``place``."""
        return Item(
            Measure.RULES,
            kind=kind,
            rule=name,
            detail="",
            span=self._tested.places.get(place),
            count=times,
            why="" if times else why,
            conditional=True,
            was_true=times,
            was_false=reached - times,
            not_reached=self._counts.decisions - reached,
        )

    def _of_budget(self, budget: BudgetStep) -> Iterator[Item]:
        reached, decisions = self._counted(budget.id).matched, self._counts.decisions
        for index, threshold in enumerate(budget.thresholds):
            name = self._tested.known.thresholds[budget.id, index]
            active = self._counts.thresholds[budget.id, index]
            why = not_active(budget.id, name, reached, decisions)
            yield self._either("threshold", name, name, reached, active, why)
            if threshold.excludes:
                times = self._counts.downgraded[budget.id, index]
                why = f"it is active in {cases(active)}, and excludes no model" if active else why
                yield self._shown(Measure.DOWNGRADES, "downgrade", name, "excludes", name, times, why)
        if budget.overflow:
            times = self._counts.overflowed[budget.id]
            why = f"no case has a call that `{budget.id}` has no room for and `{budget.overflow}` counts"
            yield self._shown(
                Measure.OVERFLOWS, "overflow", budget.id, f"to `{budget.overflow}`", budget.id, times, why
            )

    def _shown(self, measure: Measure, kind: str, rule: str, detail: str, place: str, times: int, why: str) -> Item:
        return Item(measure, kind, rule, detail, self._tested.places.get(place), times, "" if times else why)

    def _of_route(self, route: RouteStep) -> Iterator[Item]:
        reached, decisions = self._counted(route.id).matched, self._counts.decisions
        for step in routes_in(route):
            if step.on_none is not None:
                times = self._counts.ways_out[step.place]
                why = not_left(route.id, reached, decisions)
                yield self._either("way out", f"{step.place}@on_none", route.id, reached, times, why)
        for step in _targets(route):
            yield from self._of_target(route, step, reached)

    def _of_target(self, route: RouteStep, step: RouteStep, reached: int) -> Iterator[Item]:
        """Yield the shares or models of one target of a route."""
        if isinstance(step.target, BySplit):
            for share in step.target.shares:
                why = _none_of("it is drawn in", route.id, reached)
                name = "/".join(share.place.split("/")[2:])
                times = self._counts.drawn[share.place]
                yield self._shown(Measure.SHARES, "share", route.id, f"share `{name}`", route.id, times, why)
            return
        for role, model in _models(step, len(self._tested.engine.plan.catalogue.models)):
            counted = self._counts.served if role == "candidate" else self._counts.listed
            does = "it serves in" if role == "candidate" else "it serves or stands by in"
            why = _none_of(does, route.id, reached)
            where = step.place.removeprefix(route.id).strip("/")
            detail = f"{role} `{model}`" + (f" of `{where}`" if where else "")
            yield self._shown(Measure.MODELS, role, route.id, detail, route.id, counted[step.place, model], why)

    # Conditions and their operands

    def _of_conditions(self, layer: int, rule: str) -> Iterator[Item]:
        for condition in self._conditions.get((layer, rule), ()):
            values = self._counts.values.get(condition, Counter())
            outcomes: Counter[Truth] = Counter()
            for each, times in values.items():
                outcomes[condition.outcome(each)] += times
            for wanted in (Truth.TRUE, Truth.FALSE):
                yield self._outcome(condition, wanted, outcomes)
            if len(condition.operands) > 1:
                for index in range(len(condition.operands)):
                    yield self._operand(condition, index, values, outcomes)

    def _outcome(self, condition: Condition, wanted: Truth, outcomes: Mapping[Truth, int]) -> Item:
        """Return the item that a condition holds, or that it does not."""
        asked = sum(outcomes.values())
        why = "" if outcomes.get(wanted) else self._never(condition, asked, wanted)
        about = f"{condition.about} " if condition.about else ""
        return Item(
            Measure.CONDITIONS,
            kind="condition",
            rule=condition.rule,
            detail=f"{about}{wanted.value}",
            span=condition.place.span,
            count=outcomes.get(wanted, 0),
            why=why,
        )

    def _never(self, condition: Condition, asked: int, wanted: Truth) -> str:
        if not asked:
            return self._not_asked(condition)
        return f"it is {wanted.value} in none of {cases(asked)} that {reach(asked)} it"

    def _not_asked(self, condition: Condition) -> str:
        counted = self._counts.rules.get(condition.rule)
        if condition.place.path[0] == "variables":
            return "no case asks a condition that reads it"
        if counted is None or counted.reached:
            return "no case asks it about a model"
        return never_reached(condition.rule, counted, self._counts.decisions, self._tested.known)

    def _operand(
        self, condition: Condition, index: int, values: Mapping[Values, int], outcomes: Mapping[Truth, int]
    ) -> Item:
        """Return the item that an operand decides, true once and false once, to different outcomes."""
        operand = condition.operands[index]
        decided: Counter[tuple[Truth, Truth]] = Counter()
        for each, times in values.items():
            if index in condition.deciding(each):
                decided[each[index], condition.outcome(each)] += times
        true = sum(times for (value, _), times in decided.items() if value is Truth.TRUE)
        false = sum(times for (value, _), times in decided.items() if value is Truth.FALSE)
        covered = any((Truth.FALSE, _other(outcome)) in decided for value, outcome in decided if value is Truth.TRUE)
        about = f"{condition.about} " if condition.about else ""
        asked = sum(outcomes.values())
        return Item(
            Measure.MCDC,
            kind="operand",
            rule=condition.rule,
            detail=f"{about}operand {index + 1} `{operand.text}`",
            span=condition.place.part(operand.extent),
            count=min(true, false) if covered else 0,
            why="" if covered else self._undecided(condition, index, values, asked, (true, false)),
            was_true=true,
            was_false=false,
        )

    def _undecided(
        self, condition: Condition, index: int, values: Mapping[Values, int], asked: int, decided: tuple[int, int]
    ) -> str:
        """Return why an operand decides in no case, or with one of its values only."""
        if not asked:
            return self._not_asked(condition)
        wanted = [truth for truth, times in zip((Truth.TRUE, Truth.FALSE), decided, strict=True) if not times]
        if not wanted:
            return "it decides as true and as false, but to the same outcome"
        reasons = []
        for truth in wanted:
            times = sum(count for each, count in values.items() if each[index] is truth)
            if not times:
                reasons.append(f"it is {truth.value} in no case")
            else:
                reasons.append(f"where it is {truth.value}, other operands decide ({cases(times)})")
        return "; ".join(reasons)


def _none_of(does: str, route: str, reached: int) -> str:
    if not reached:
        return f"no case goes to `{route}`"
    return f"{does} none of {cases(reached)} that {'goes' if reached == 1 else 'go'} to it"


def _other(outcome: Truth) -> Truth:
    return Truth.FALSE if outcome is Truth.TRUE else Truth.TRUE


def _targets(route: RouteStep) -> Iterator[RouteStep]:
    """Yield the targets that are written: a route, its shares, and the ways out that have a target of their own."""
    yield route
    if isinstance(route.target, BySplit):
        for share in route.target.shares:
            yield from _targets(share)
    way = route.on_none
    if way is not None and way.route is not None and way.way == "target":
        yield from _targets(way.route)


def _models(step: RouteStep, in_all: int) -> Iterator[tuple[str, str]]:
    """Yield the models that a target names, each as a candidate, a fallback or a choice.

    A choice among all models of the catalogue names none.
    """
    match step.target:
        case ByName(models):
            yield from zip(("candidate", *("fallback",) * (len(models) - 1)), models, strict=True)
        case ByChoice(models=models, fallbacks=fallbacks):
            yield from (("choice", name) for name in models if len(models) < in_all)
            yield from (("fallback", name) for name in fallbacks)
        case ByExpression(fallbacks=fallbacks):
            yield from (("fallback", name) for name in fallbacks)
