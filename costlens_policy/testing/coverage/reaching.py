"""Whether a request could cover what no case covers: a request that the engine has decided, or the proof of none.

A goal says what every request that shows an aim has in common: it gets past what is asked before, and the condition
comes to what is wanted. Where no request meets it, none shows the aim. One that meets it is tried, then others near it:
with other values, other routes, budgets that are used up. Only what the engine shows is a witness.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import chain, islice, takewhile
from typing import Any, Final, TypeAlias

from costlens_policy.assurance import (
    Every,
    Found,
    Goal,
    Holds,
    Not,
    Nothing,
    Rule,
    Situation,
    Some,
    Subject,
    Undecided,
    Witness,
)
from costlens_policy.assurance.domain import ABSENT, Assignment, trees
from costlens_policy.assurance.ways import ways_of
from costlens_policy.compiler.rules import BudgetStep, RouteStep, drawn_by
from costlens_policy.documents.suite import Measure
from costlens_policy.engine.context import Context
from costlens_policy.engine.decision import Balance
from costlens_policy.engine.request import admit_request
from costlens_policy.errors import CostlensPolicyError
from costlens_policy.expressions.runtime import CelError, to_python
from costlens_policy.money import ZERO
from costlens_policy.testing.coverage.aims import (
    Active,
    Aim,
    ComesTo,
    Decides,
    Excludes,
    Matches,
    Overflows,
    TakesWayOut,
)
from costlens_policy.testing.coverage.conditions import (
    Branch,
    Condition,
    Constant,
    Junction,
    Leaf,
    Negation,
    Shape,
    Truth,
)
from costlens_policy.testing.coverage.counting import OutcomeCounts
from costlens_policy.testing.coverage.items import Coverage, Item, PolicyCoverage, Reach
from costlens_policy.testing.observation import observe
from costlens_policy.testing.policy_sets import SetUnderTest

__all__ = ["Reaching", "shown_by"]

_MOST_TRIED: Final = 150
"""Requests that are tried for one aim."""
_MOST_SEEDED: Final = 400
"""Requests near known ones that are tried for one aim, where all others fail."""
_MOST_VALUES: Final = 12
_MOST_WORK: Final = 500_000
"""Rules that are asked for one policy set, over all requests that are tried: about 20 s. What is left is undecided."""
_OVER: Final = Undecided("the limit of work was reached: very many requests and rules")

_Result: TypeAlias = Witness | Nothing | Undecided


def shown_by(
    witness: Witness, aims: Iterable[Aim], tested: SetUnderTest, conditions: Sequence[Condition]
) -> frozenset[Aim]:
    """Return those of some aims that a decision shows."""
    counts = OutcomeCounts(conditions)
    counts.count(observe(witness.decision, tested.known, witness.balances))
    return frozenset(aim for aim in aims if aim.times(counts))


def _about(aim: Aim, conditions: Sequence[Condition]) -> Sequence[Condition]:
    """Return the conditions that have to be looked at: for a variable also those that may read it."""
    if not isinstance(aim, ComesTo | Decides):
        return ()
    wanted = aim.condition
    return [item for item in conditions if item.layer == wanted.layer] if wanted.is_variable else [wanted]


class Reaching:
    """Finds requests for one policy set. ``now`` is the time that they have unless another one is wanted.

    ``seeds`` are requests that are known, near which others are tried at last.
    """

    def __init__(
        self, tested: SetUnderTest, conditions: Sequence[Condition], now: datetime, seeds: Sequence[Situation] = ()
    ) -> None:
        self.now = now
        self._seeds = seeds
        self._tested = tested
        self._conditions = conditions
        self._subject = Subject(tested.bundle, now)
        self._plan = self._subject.plan
        self._known: dict[Aim, _Result] = {}
        self._never_serving = {item.span for item in tested.bundle.warnings if item.code == "CL427"}
        self._rules = 1 + sum(map(len, self._subject.rules.values()))
        self._asked_rules = 0
        for condition in conditions:  # before the first search, so that critical values are those of all
            for operand in condition.operands:
                self._subject.domain.tree(operand.formula, condition.layer)

    def examine(self, coverage: Coverage, measures: Collection[Measure] = frozenset(Measure)) -> Coverage:
        """Return the coverage with a request, or the reason why there is none, for what some measures miss."""
        policies = [
            PolicyCoverage(
                policy.policy,
                tuple(self.examined(item) if item.measure in measures else item for item in policy.items),
            )
            for policy in coverage.policies
        ]
        return replace(coverage, policies=tuple(policies))

    def examined(self, item: Item) -> Item:
        """Return an item with the requests that cover it, or whether there are none."""
        if item.covered or item.reach is not Reach.NOT_EXAMINED:
            return item
        if item.measure is Measure.MODELS and item.span in self._never_serving:
            return replace(item, reach=Reach.NO_REQUEST)
        undecided = ""
        for aims in item.missing:
            found = [self.find(aim) for aim in aims]
            if all(isinstance(result, Witness) for result in found):
                witnesses = tuple(result for result in found if isinstance(result, Witness))
                return replace(item, missing=(aims,), reach=Reach.REQUEST, witnesses=witnesses)
            if not any(isinstance(result, Nothing) for result in found):
                undecided = undecided or next(result.why for result in found if isinstance(result, Undecided))
        if undecided:
            return replace(item, reach=Reach.UNDECIDED, note=undecided)
        return replace(item, reach=Reach.NO_REQUEST)

    def find(self, aim: Aim) -> _Result:
        """Return a request that shows an aim, the proof that none does, or the reason why neither was found."""
        if aim not in self._known:
            self._known[aim] = self._found(aim)
        return self._known[aim]

    def _found(self, aim: Aim) -> _Result:
        if self._asked_rules > _MOST_WORK:
            return _OVER
        goal = self._goal(aim)
        self._asked_rules += self._rules
        found = self._subject.find(goal)
        if isinstance(found, Nothing):
            return found

        def keeps(witness: Witness) -> bool:
            self._asked_rules += self._rules
            return bool(shown_by(witness, (aim,), self._tested, _about(aim, self._conditions)))

        near = islice(self._situations(aim, goal, found), _MOST_TRIED) if isinstance(found, Found) else ()
        for situation in chain(near, islice(self._near_seeds(), _MOST_SEEDED)):
            if self._asked_rules > _MOST_WORK:
                return _OVER
            witness = self._subject.decided(situation)
            if witness is not None and keeps(witness):
                return self._subject.smallest(witness, keeps)
        return found if isinstance(found, Undecided) else Undecided("none of the requests that were tried shows it")

    # What all requests that show an aim have in common

    def _goal(self, aim: Aim) -> Goal:
        match aim:
            case ComesTo(condition, outcome):
                tree = self._subject.domain.tree(condition.formula, condition.layer)
                return Every([self._asked(condition), _is(tree, outcome)])
            case Decides(condition, index, value, outcome):
                leaf = self._tree(Leaf(index), condition)
                whole = self._tree(condition.shape, condition)
                left_open = self._left_open(condition.shape, index, condition) or []
                return Every([self._asked(condition), _is(leaf, value), *left_open, _is(whole, outcome)])
            case Matches(rule):
                return self._matched(rule)
            case Active(budget) | Excludes(budget) | Overflows(budget):
                return self._matched(budget)
        return self._matched(aim.route)

    def _matched(self, rule: str) -> Goal:
        """Return the goal that a rule is asked, and holds."""
        section, found = next(
            (section, item) for section, rules in self._subject.rules.items() for item in rules if item.id == rule
        )
        if section == "routes":
            return self._subject.reached(found)
        holds = self._subject.condition(found.when, found.layer)
        return holds if section == "access" else Every([holds, self._subject.admitted])

    def _asked(self, condition: Condition) -> Goal:
        """Return the goal that a condition is asked at all."""
        if condition.is_variable:
            name = str(condition.place.path[-1])
            readers = [item for item in self._conditions if item.layer == condition.layer and name in item.variables]
            return Some([self._asked(reader) for reader in readers])
        section, subject = condition.place.path[0], self._subject
        if condition.about == "only":
            return Every([subject.admitted, self._matched(condition.rule)])
        if section == "access":
            return subject.admitted if condition.reads_model else Every(())
        if section != "routes":
            return subject.admitted
        route = next(rule for rule in subject.rules["routes"] if rule.id == condition.rule)
        return Every([*self._before(route), subject.admitted])

    def _before(self, route: Rule) -> list[Goal]:
        """Return the goals that no earlier route keeps a request."""
        earlier = takewhile(lambda other: other is not route, self._subject.rules["routes"])
        return [other.otherwise for other in earlier if not other.passes_on]

    def _tree(self, shape: Shape, condition: Condition) -> trees.Tree:
        match shape:
            case Leaf(index):
                return self._subject.domain.tree(condition.operands[index].formula, condition.layer)
            case Constant(value):
                return trees.Constant(value)
            case Negation(operand):
                return trees.Negation(self._tree(operand, condition))
            case Junction(any_, operands):
                return trees.Junction(any_, tuple(self._tree(operand, condition) for operand in operands))
            case Branch(asked, accepted, rejected):
                return trees.Branch(*(self._tree(part, condition) for part in (asked, accepted, rejected)))

    def _left_open(self, shape: Shape, index: int, condition: Condition) -> list[Goal] | None:
        """Return goals under which what stands beside an operand leaves the outcome open; None where it is not in."""
        match shape:
            case Leaf(at):
                return [] if at == index else None
            case Constant():
                return None
            case Negation(operand):
                return self._left_open(operand, index, condition)
            case Junction(any_, operands):
                return self._beside(operands, index, condition, Truth.TRUE if any_ else Truth.FALSE)
            case Branch(asked, accepted, rejected):
                return self._in_branch(asked, accepted, rejected, index, condition)

    def _beside(self, operands: Sequence[Shape], index: int, condition: Condition, decides: Truth) -> list[Goal] | None:
        for at, operand in enumerate(operands):
            inside = self._left_open(operand, index, condition)
            if inside is not None:
                others = (self._tree(other, condition) for place, other in enumerate(operands) if place != at)
                return [*inside, *(Not(_is(other, decides)) for other in others)]
        return None

    def _in_branch(
        self, asked: Shape, accepted: Shape, rejected: Shape, index: int, condition: Condition
    ) -> list[Goal] | None:
        trees_ = [self._tree(part, condition) for part in (asked, accepted, rejected)]
        if (inside := self._left_open(asked, index, condition)) is not None:
            alike = [Every([_is(trees_[1], truth), _is(trees_[2], truth)]) for truth in (Truth.TRUE, Truth.FALSE)]
            return [*inside, Not(Some(alike))]
        for part, truth in ((accepted, Truth.TRUE), (rejected, Truth.FALSE)):
            if (inside := self._left_open(part, index, condition)) is not None:
                return [*inside, _is(trees_[0], truth)]
        return None

    # Requests to try

    def _situations(self, aim: Aim, goal: Goal, found: Found) -> Iterator[Situation]:
        """Yield what was found, then others near it, the likely ones first."""
        first = self._base(found.values)
        bases = [] if first is None else [first]
        for situation in bases[:1]:
            yield from self._spent(aim, situation)
            for other in self._keyed(aim, situation):
                yield from self._spent(aim, other)
        for values in self._elsewhere(aim, goal):
            base = self._base(values)
            if base is not None:
                bases.append(base)
                yield from self._spent(aim, base)
        for situation in bases:
            for other in self._pressed(situation):
                yield from self._spent(aim, other)
        for other in self._with_other_values(found.values, goal):
            yield from self._spent(aim, other)

    def _elsewhere(self, aim: Aim, goal: Goal) -> Iterator[Assignment]:
        """Yield one request for each route that may serve, where it need not be a certain one."""
        routed = isinstance(aim, ComesTo | Decides) and aim.condition.place.path[0] == "routes"
        if not routed and not hasattr(aim, "route"):
            yield from ways_of(self._subject, goal)

    def _near_seeds(self) -> Iterator[Situation]:
        """Yield requests that are known, with one attribute less, or with another value of one that conditions read."""
        for seed in self._seeds:
            for name in seed.request:
                less = {other: value for other, value in seed.request.items() if other != name}
                yield Situation(less, seed.balances, seed.now)
        values = [(read, self._subject.domain.values(read)) for read in self._subject.domain.uses.by_read]
        for seed in self._seeds:
            for read, critical in values:
                if read[0] == "request" and len(read) == 2:
                    for value in critical[:_MOST_VALUES]:
                        changed = self._subject.request({read: value})
                        yield Situation({**seed.request, **changed}, seed.balances, seed.now)

    def _base(self, values: Assignment) -> Situation | None:
        witness = self._subject.situated(values)
        return None if witness is None else replace(witness.situation, request=_filled(witness.request, values))

    def _spent(self, aim: Aim, situation: Situation) -> Iterator[Situation]:
        """Yield a situation, and the same with the budgets used up that an aim is about."""
        if isinstance(aim, Active | Excludes):
            step = self._plan.budgets[aim.budget][1]
            threshold = step.thresholds[aim.index]
            for other in self._overflowing(situation, step.id):
                start = threshold.starts_at if threshold.expects is None else _nearly_all
                yield from self._with_used(other, step, start)
            return
        if isinstance(aim, Overflows):
            for other in self._overflowing(situation, aim.budget):
                yield from self._with_used(other, self._plan.budgets[aim.budget][1], lambda limit: limit)
            return
        yield situation
        if isinstance(aim, Matches) and aim.rule in self._plan.stages.overflows:
            yield from self._overflowing(situation, aim.rule)
        if isinstance(aim, ComesTo | Decides) and aim.condition.rule in self._plan.stages.overflows:
            yield from self._overflowing(situation, aim.condition.rule)
        if isinstance(aim, TakesWayOut):
            for _, step in self._plan.stages.budgets:
                yield from self._with_used(situation, step, lambda limit: limit)

    def _overflowing(self, situation: Situation, budget: str) -> Iterator[Situation]:
        """Yield a situation, and the same with the budgets used up that a budget stands in for, one by one."""
        yield situation
        for name, (_, step) in self._plan.budgets.items():
            if step.overflow == budget and name == step.id:
                for other in self._overflowing(situation, name):
                    yield from self._with_used(other, step, lambda limit: limit)

    def _with_used(
        self, situation: Situation, step: BudgetStep, used: Callable[[Decimal], Decimal]
    ) -> Iterator[Situation]:
        """Yield a situation with so much of a budget used, for each key that it may have there."""
        yield situation
        layer = self._plan.budgets[step.id][0]
        try:
            context = Context(
                self._plan, admit_request(self._plan, situation.request), situation.balances, situation.now
            )
            limit = context.limit(step, layer)
            views = [None] if not step.scope_reads_model else [item.view for item in context.models.values()]
            keys = dict.fromkeys(context.key(step, layer, view) for view in views)
        except (CelError, CostlensPolicyError):
            return
        for key in keys:
            balances = {**situation.balances, (step.id, key): Balance(used=max(ZERO, used(limit)))}
            yield Situation(situation.request, balances, situation.now)

    def _keyed(self, aim: Aim, situation: Situation) -> Iterator[Situation]:
        """Yield a situation with other texts where the splits of a route draw by them."""
        route = next((step for _, step in _routes(self._plan.layers) if step.id == getattr(aim, "route", "")), None)
        if route is None:
            return
        for name in dict.fromkeys(drawn_by(route)):
            for number in range(100):
                yield Situation({**situation.request, name: f"{name}-{number}"}, situation.balances, situation.now)

    def _pressed(self, situation: Situation) -> Iterator[Situation]:
        """Yield a situation with requests that not every model can take."""
        for more in _PRESSES:
            known = {name: value for name, value in more.items() if name in self._plan.attributes}
            if known:
                yield Situation({**situation.request, **known}, situation.balances, situation.now)

    def _with_other_values(self, values: Assignment, goal: Goal) -> Iterator[Situation]:
        """Yield requests with another value at one place that meet the goal, too."""
        domain = self._subject.domain
        for read in values:
            for value in domain.values(read):
                other = {**values, read: value}
                if value is not values[read] and domain.met(goal, other):
                    base = self._base(other)
                    if base is not None:
                        yield base


def _nearly_all(limit: Decimal) -> Decimal:
    """Return what of a limit has to be used for a forecast to be bad at most times of a window."""
    return limit * Decimal("0.99")


_PRESSES: Final[Sequence[Mapping[str, Any]]] = (
    {"prompt_tokens": 1},
    {"prompt_tokens": 7_000},
    {"prompt_tokens": 50_000},
    {"prompt_tokens": 150_000},
    {"prompt_tokens": 500_000},
    {"prompt_tokens": 50_000_000},
    {"max_output_tokens": 3_000},
    {"max_output_tokens": 20_000},
    {"max_output_tokens": 100_000},
    {"cost_budget": 0.000001},
    {"cost_budget": 0.0001},
    {"cost_budget": 0.01},
    {"latency_budget_ms": 1},
    {"latency_budget_ms": 500},
    {"tools": [{"name": "search"}]},
    {"modalities": ["image"]},
    {"modalities": ["audio"]},
)


def _is(tree: trees.Tree, truth: Truth) -> Goal:
    """Return the goal that a condition is true, or that it is false; one that fails is neither."""
    return Holds(tree, error=False) if truth is Truth.TRUE else Not(Holds(tree, error=True))


def _filled(request: Mapping[str, Any], values: Assignment) -> Mapping[str, Any]:
    """Add what is to be inside of a map that has its default, and was left out for that."""
    filled: dict[str, Any] = {}
    for read, value in values.items():
        if read[0] == "request" and len(read) == 3 and value is not ABSENT and read[1] not in request:
            filled.setdefault(read[1], {})[read[2]] = to_python(value)
    return {**request, **filled}


def _routes(layers: Iterable[Any]) -> Iterator[tuple[int, RouteStep]]:
    for index, layer in enumerate(layers):
        yield from ((index, step) for step in layer.routes)
