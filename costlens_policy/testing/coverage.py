"""Which rules and thresholds the cases of a suite made match, and why the others did not."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from costlens_policy.compiler.plan import Layer
from costlens_policy.compiler.rules import BudgetStep, RouteStep, routes_in
from costlens_policy.diagnostics.model import Span
from costlens_policy.engine.record import RuleOutcome
from costlens_policy.frozen import frozen
from costlens_policy.testing.observation import Observation
from costlens_policy.testing.policy_sets import SetUnderTest
from costlens_policy.testing.vocabulary import RuleKind, Vocabulary

__all__ = [
    "Coverage", "OutcomeCounts", "PolicyCoverage", "RuleCounts", "RuleCoverage", "measure", "never_evaluated",
    "why_not",
]  # fmt: skip

_MOST_NAMED = 3


@frozen
class RuleCoverage:
    """One rule, threshold of a budget (``policy/budget@0.8``), or way out of a choice (``policy/route@on_none``).

    It is covered once a case made it match, reached it, or took it.

    ``was_true`` and ``was_false`` count the cases in which its condition held and did not; both are 0 without a
    condition. ``why`` explains why it is not covered. ``span`` is where its id is written.
    """

    rule: str
    kind: str
    span: Span | None
    conditional: bool
    matched: int
    was_true: int
    was_false: int
    failed: int
    not_reached: int
    why: str

    @property
    def covered(self) -> bool:
        return self.matched > 0


@frozen
class PolicyCoverage:
    """The rules of one policy, stage by stage."""

    policy: str
    rules: tuple[RuleCoverage, ...]

    @property
    def covered(self) -> int:
        return sum(rule.covered for rule in self.rules)

    @property
    def percent(self) -> int:
        return _percent(self.covered, len(self.rules))


@frozen
class Coverage:
    """The policies of one policy set that count."""

    policy_set: str
    file: str
    policies: tuple[PolicyCoverage, ...]

    @property
    def rules(self) -> tuple[RuleCoverage, ...]:
        return tuple(rule for policy in self.policies for rule in policy.rules)

    @property
    def covered(self) -> int:
        return sum(policy.covered for policy in self.policies)

    @property
    def percent(self) -> int:
        return _percent(self.covered, len(self.rules))


def _percent(covered: int, total: int) -> int:
    """Return whole percent, rounded down so that 100 means all; nothing to cover is covered."""
    return 100 * covered // total if total else 100


@dataclass(slots=True)
class RuleCounts:
    """How often a rule had each outcome. ``instead`` counts the rules that decided before it could be asked."""

    outcomes: Counter[RuleOutcome] = field(default_factory=Counter)
    instead: Counter[str] = field(default_factory=Counter)

    @property
    def matched(self) -> int:
        return self.outcomes[RuleOutcome.MATCHED]

    @property
    def reached(self) -> int:
        return self.outcomes.total() - self.outcomes[RuleOutcome.NOT_REACHED]

    def add(self, other: RuleCounts) -> None:
        self.outcomes += other.outcomes
        self.instead += other.instead


class OutcomeCounts:
    """The outcomes of all rules and thresholds over the decisions counted so far."""

    def __init__(self) -> None:
        self.decisions = 0
        self.rules: dict[str, RuleCounts] = defaultdict(RuleCounts)
        self.thresholds: Counter[tuple[str, int]] = Counter()
        self.ways_out: Counter[str] = Counter()

    def count(self, observation: Observation) -> None:
        self.decisions += 1
        for rule, outcome in observation.outcomes.items():
            counts = self.rules[rule]
            counts.outcomes[outcome] += 1
            if outcome is RuleOutcome.NOT_REACHED:
                counts.instead[observation.decision.rule] += 1
        self.thresholds.update(observation.thresholds_at_all)
        self.ways_out.update(item.place for item in observation.decision.ways_out)

    @classmethod
    def of(cls, several: Iterable[OutcomeCounts]) -> OutcomeCounts:
        """Return the sum of several counts."""
        total = cls()
        for counts in several:
            total.decisions += counts.decisions
            total.thresholds += counts.thresholds
            total.ways_out += counts.ways_out
            for rule, counted in counts.rules.items():
                total.rules[rule].add(counted)
        return total


def measure(tested: SetUnderTest, counts: OutcomeCounts, policies: Collection[str]) -> Coverage:
    """Return the coverage of some policies of a set; an empty collection means all of them."""
    plan = tested.engine.plan
    measured = tuple(
        PolicyCoverage(layer.name, tuple(_rules(layer, tested, counts)))
        for layer in plan.layers
        if not policies or layer.name in policies
    )
    return Coverage(plan.name, tested.file, measured)


def _rules(layer: Layer, tested: SetUnderTest, counts: OutcomeCounts) -> Iterator[RuleCoverage]:
    for kind, steps in (
        (RuleKind.ACCESS, layer.access),
        (RuleKind.ROUTE, layer.routes),
        (RuleKind.REWRITE, layer.rewrites),
        (RuleKind.BUDGET, layer.budgets),
    ):
        for step in steps:
            yield _rule(step.id, kind, step.when is not None, tested, counts)
            if isinstance(step, BudgetStep):
                yield from _thresholds(step, tested, counts)
            elif isinstance(step, RouteStep):
                yield from _ways_out(step, tested, counts)


def _rule(rule: str, kind: RuleKind, conditional: bool, tested: SetUnderTest, counts: OutcomeCounts) -> RuleCoverage:
    counted = counts.rules.get(rule, RuleCounts())
    return RuleCoverage(
        rule=rule,
        kind=str(kind),
        span=tested.places.get(rule),
        conditional=conditional,
        matched=counted.matched,
        was_true=counted.matched if conditional else 0,
        was_false=counted.outcomes[RuleOutcome.NOT_MATCHED],
        failed=counted.outcomes[RuleOutcome.FAILED],
        not_reached=counts.decisions - counted.reached,
        why="" if counted.matched else why_not(rule, counted, counts.decisions, tested.known),
    )


def _thresholds(budget: BudgetStep, tested: SetUnderTest, counts: OutcomeCounts) -> Iterator[RuleCoverage]:
    reached = counts.rules.get(budget.id, RuleCounts()).matched
    for index in range(len(budget.thresholds)):
        active, name = counts.thresholds[budget.id, index], tested.known.thresholds[budget.id, index]
        yield RuleCoverage(
            rule=name,
            kind="threshold",
            span=tested.places.get(name),
            conditional=True,
            matched=active,
            was_true=active,
            was_false=reached - active,
            failed=0,
            not_reached=counts.decisions - reached,
            why="" if active else _never_active(budget, name, reached, counts.decisions),
        )


def _ways_out(route: RouteStep, tested: SetUnderTest, counts: OutcomeCounts) -> Iterator[RuleCoverage]:
    """Yield the ways out of the choices of a route; whether one is taken is decided where the route matches."""
    reached = counts.rules.get(route.id, RuleCounts()).matched
    for step in routes_in(route):
        if step.on_none is None:
            continue
        taken = counts.ways_out[step.place]
        yield RuleCoverage(
            rule=f"{step.place}@on_none",
            kind="way out",
            span=tested.places.get(route.id),
            conditional=True,
            matched=taken,
            was_true=taken,
            was_false=reached - taken,
            failed=0,
            not_reached=counts.decisions - reached,
            why="" if taken else _never_taken(route, reached, counts.decisions),
        )


def _never_taken(route: RouteStep, reached: int, decisions: int) -> str:
    """Return why a way out was taken in no case."""
    if not decisions:
        return "no case reaches a decision"
    if not reached:
        return f"no case goes to `{route.id}`"
    return f"a candidate is left in {_all_of(reached)} that {_reach(reached)} it"


def why_not(rule: str, counted: RuleCounts, decisions: int, known: Vocabulary) -> str:
    """Return why a rule never matched, for a person who wants to write the missing case."""
    if not decisions:
        return "no case reaches a decision"
    if counted.outcomes[RuleOutcome.FAILED] == counted.reached > 0:
        return f"its condition fails in {_all_of(counted.reached)} that {_reach(counted.reached)} it"
    if counted.reached:
        return f"its condition does not hold in {_any_of(counted.reached)} that {_reach(counted.reached)} it"
    return f"no case reaches it: {_before(rule, counted.instead, known)}"


def never_evaluated(rule: str, decider: str, known: Vocabulary) -> str:
    """Return why one decision never asked a rule."""
    return f"`{rule}` was never evaluated: {_before(rule, Counter([decider]), known, always='')}"


def _before(rule: str, instead: Counter[str], known: Vocabulary, always: str = "always ") -> str:
    """Return what decided before a rule was asked: a route that matches earlier, or whatever refuses the request."""
    if rule in known.plan.stages.overflows:
        return f"the budgets that it stands in for {always}have room"
    named = [f"`{name}`" for name in instead]
    if len(instead) > 1:
        named = [f"`{name}` ({_cases(count)})" for name, count in instead.most_common(_MOST_NAMED)]
    if len(instead) > _MOST_NAMED:
        named.append(f"{len(instead) - _MOST_NAMED} more")
    listed = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
    if known.is_rule(rule, RuleKind.ROUTE) and all(known.is_rule(name, RuleKind.ROUTE) for name in instead):
        return f"{listed} {always}{'matches' if len(instead) == 1 else 'match'} first"
    if known.is_rule(rule, RuleKind.ROUTE):
        return f"{listed} {always}{'decides' if len(instead) == 1 else 'decide'} first"
    return f"the request is {always}refused under {listed}"


def _never_active(budget: BudgetStep, name: str, reached: int, decisions: int) -> str:
    """Return why a threshold was active in no case."""
    if not decisions:
        return "no case reaches a decision"
    if not reached:
        return f"no case counts against `{budget.id}`"
    return f"no case spends {name.rpartition('@')[2]} of `{budget.id}`"


def _cases(number: int) -> str:
    return f"{number} case" if number == 1 else f"{number} cases"


def _all_of(number: int) -> str:
    return "the one case" if number == 1 else f"all {number} cases"


def _any_of(number: int) -> str:
    return "the one case" if number == 1 else f"any of the {number} cases"


def _reach(number: int) -> str:
    return "reaches" if number == 1 else "reach"
