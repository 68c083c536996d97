"""From what was counted to the items of a policy set, stage by stage, each with the reason if no case covers it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator

from costlens_policy.checker.checks.subject import Place
from costlens_policy.compiler.plan import Layer
from costlens_policy.compiler.rules import BudgetStep, RouteStep, routes_in
from costlens_policy.diagnostics.model import Span
from costlens_policy.documents.suite import Measure
from costlens_policy.engine.record import RuleOutcome
from costlens_policy.testing.coverage.aims import (
    Active,
    Aim,
    ComesTo,
    Decides,
    Draws,
    Excludes,
    Matches,
    Overflows,
    Serves,
    StandsBy,
    TakesWayOut,
)
from costlens_policy.testing.coverage.conditions import Condition, Truth
from costlens_policy.testing.coverage.counting import OutcomeCounts, RuleCounts
from costlens_policy.testing.coverage.items import Coverage, Item, PolicyCoverage
from costlens_policy.testing.coverage.reasons import (
    NO_DECISION,
    cases,
    never_reached,
    none_of,
    not_active,
    not_left,
    reach,
    why_not,
)
from costlens_policy.testing.coverage.targets import WrittenTarget, targets_of
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
        self._known = tested.known
        self._counts = counts
        self._places = {
            f"{policy.name}/{rule.id}": Place(policy, ("routes", index))
            for policy in tested.bundle.linked.policies
            for index, rule in enumerate(policy.document.routes)
        }
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
        counted, decisions, aim = self._counted(rule), self._counts.decisions, Matches(rule)
        return Item(
            Measure.RULES,
            kind=str(kind),
            rule=rule,
            detail="",
            span=self._tested.places.get(rule),
            count=counted.matched,
            why="" if counted.matched else why_not(rule, counted, decisions, self._known),
            missing=() if counted.matched else ((aim,),),
            conditional=conditional,
            was_true=counted.matched if conditional else 0,
            was_false=counted.outcomes[RuleOutcome.NOT_MATCHED],
            failed=counted.outcomes[RuleOutcome.FAILED],
            not_reached=decisions - counted.reached,
        )

    def _either(self, kind: str, name: str, span: Span | None, reached: int, aim: Aim, why: str) -> Item:
        """Return an item that some of the decisions showed which reached it."""
        times = aim.times(self._counts)
        return Item(
            Measure.RULES,
            kind=kind,
            rule=name,
            detail="",
            span=span,
            count=times,
            why="" if times else why,
            missing=() if times else ((aim,),),
            conditional=True,
            was_true=times,
            was_false=reached - times,
            not_reached=self._counts.decisions - reached,
        )

    def _shown(
        self, measure: Measure, kind: str, rule: str, detail: str, span: Span | None, aim: Aim, why: str
    ) -> Item:
        times = aim.times(self._counts)
        missing = () if times else ((aim,),)
        return Item(measure, kind, rule, detail, span, times, "" if times else why, missing)

    def _of_budget(self, budget: BudgetStep) -> Iterator[Item]:
        reached, decisions = self._counted(budget.id).matched, self._counts.decisions
        for index, threshold in enumerate(budget.thresholds):
            name = self._known.thresholds[budget.id, index]
            span, active = self._tested.places.get(name), Active(budget.id, index)
            why = not_active(budget.id, name, reached, decisions)
            yield self._either("threshold", name, span, reached, active, why)
            if threshold.excludes:
                if times := active.times(self._counts):
                    why = f"it is active in {cases(times)}, and excludes no model"
                excludes = Excludes(budget.id, index)
                yield self._shown(Measure.DOWNGRADES, "downgrade", name, "excludes", span, excludes, why)
        if budget.overflow:
            span, aim, to = self._tested.places.get(budget.id), Overflows(budget.id), budget.overflow
            why = f"no case has a call for which `{budget.id}` has no room, and `{to}` does"
            yield self._shown(Measure.OVERFLOWS, "overflow", budget.id, f"to `{to}`", span, aim, why)

    def _of_route(self, route: RouteStep) -> Iterator[Item]:
        reached, decisions = self._counted(route.id).matched, self._counts.decisions
        span = self._tested.places.get(route.id)
        for step in routes_in(route):
            if step.on_none is not None:
                aim, why = TakesWayOut(route.id, step.place), not_left(route.id, reached, decisions)
                yield self._either("way out", f"{step.place}@on_none", span, reached, aim, why)
        for target in targets_of(route, self._places[route.id]):
            yield from self._of_target(route, target, reached)

    def _of_target(self, route: RouteStep, target: WrittenTarget, reached: int) -> Iterator[Item]:
        """Yield the shares and models of one target of a route."""
        for share, span in target.shares():
            why = none_of("it is drawn in", route.id, reached)
            detail = f"share `{_way_to(share, route)}`"
            yield self._shown(Measure.SHARES, "share", route.id, detail, span, Draws(route.id, share.place), why)
        where = _way_to(target.step, route)
        for role, model in target.models(len(self._tested.engine.plan.catalogue.models)):
            first = role == "candidate"
            why = none_of("it serves in" if first else "it serves or stands by in", route.id, reached)
            detail = f"{role} `{model}`" + (f" of `{where}`" if where else "")
            aim = (Serves if first else StandsBy)(route.id, target.step.place, model)
            span = target.span_of(model, self._known.canonical) or self._tested.places[route.id]
            yield self._shown(Measure.MODELS, role, route.id, detail, span, aim, why)

    # Conditions and their operands

    def _of_conditions(self, layer: int, rule: str) -> Iterator[Item]:
        for condition in self._conditions.get((layer, rule), ()):
            for outcome in (Truth.TRUE, Truth.FALSE):
                yield self._outcome(condition, outcome)
            if len(condition.operands) > 1:
                for index in range(len(condition.operands)):
                    yield self._operand(condition, index)

    def _asked(self, condition: Condition) -> int:
        return sum(self._counts.values_of(condition).values())

    def _outcome(self, condition: Condition, outcome: Truth) -> Item:
        """Return the item that a condition holds, or that it does not."""
        asked = self._asked(condition)
        why = f"it is {outcome.value} in none of {cases(asked)} that {reach(asked)} it"
        return self._shown(
            Measure.CONDITIONS,
            "condition",
            condition.rule,
            f"{condition.about} {outcome.value}".lstrip(),
            condition.place.span,
            ComesTo(condition, outcome),
            why if asked else self._not_asked(condition),
        )

    def _not_asked(self, condition: Condition) -> str:
        counted = self._counts.rules.get(condition.rule)
        if not self._counts.decisions:
            return NO_DECISION
        if condition.place.path[0] == "variables":
            return "no case asks a condition that reads it"
        if counted is None or counted.reached:
            return "no case asks it about a model"
        return never_reached(condition.rule, counted, self._counts.decisions, self._known)

    def _operand(self, condition: Condition, index: int) -> Item:
        """Return the item that an operand decides, true once and false once, to different outcomes."""
        operand = condition.operands[index]
        pairs = [
            (Decides(condition, index, Truth.TRUE, one), Decides(condition, index, Truth.FALSE, other))
            for one, other in ((Truth.TRUE, Truth.FALSE), (Truth.FALSE, Truth.TRUE))
        ]
        missing = [tuple(aim for aim in pair if not aim.times(self._counts)) for pair in pairs]
        covered = () in missing
        times = [sum(pair[side].times(self._counts) for pair in pairs) for side in (0, 1)]
        return Item(
            Measure.MCDC,
            kind="operand",
            rule=condition.rule,
            detail=f"{condition.about} operand {index + 1} `{operand.text}`".lstrip(),
            span=condition.place.part(operand.extent),
            count=min(times) if covered else 0,
            why="" if covered else self._undecided(condition, index, times),
            missing=() if covered else tuple(sorted(missing, key=len)),
            was_true=times[0],
            was_false=times[1],
        )

    def _undecided(self, condition: Condition, index: int, times: list[int]) -> str:
        """Return why an operand decides in no case, or with one of its values only."""
        values = self._counts.values_of(condition)
        if not values:
            return self._not_asked(condition)
        reasons = []
        for value, decided in zip((Truth.TRUE, Truth.FALSE), times, strict=True):
            found = sum(count for each, count in values.items() if each[index] is value)
            if not found:
                reasons.append(f"it is {value.value} in no case")
            elif not decided:
                reasons.append(f"where it is {value.value}, other operands decide ({cases(found)})")
        return "; ".join(reasons) or "it decides as true and as false, but to the same outcome"


def _way_to(step: RouteStep, route: RouteStep) -> str:
    """Return what leads from a route to one of its targets, such as ``small/on_none``; empty for its own."""
    return step.place.removeprefix(route.id).strip("/")
