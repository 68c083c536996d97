"""Which rules the cases of a suite made match, and why the others did not."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from costlens_policy.compiler.budgets import BudgetStep
from costlens_policy.compiler.plan import Layer
from costlens_policy.diagnostics.model import Span
from costlens_policy.engine.record import Outcome
from costlens_policy.testing.policy_sets import SetUnderTest
from costlens_policy.testing.tally import RuleTally, Tally
from costlens_policy.testing.uncovered import why_not
from costlens_policy.testing.vocabulary import RuleKind

__all__ = ["Coverage", "PolicyCoverage", "RuleCoverage", "measure"]


@dataclass(frozen=True, slots=True)
class RuleCoverage:
    """One rule, or one threshold of a budget (``policy/budget@0.8``). It is covered once a case made it match.

    ``was_true`` and ``was_false`` count the cases in which its condition held and did not; without a condition there is
    nothing to hold. ``why`` says what keeps it from being covered. ``span`` is where its id is written.
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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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


def measure(tested: SetUnderTest, tally: Tally, policies: Collection[str]) -> Coverage:
    """Return the coverage of some policies of a set; an empty collection stands for all of them."""
    plan = tested.engine.plan
    measured = tuple(
        PolicyCoverage(layer.name, tuple(_rules(layer, tested, tally)))
        for layer in plan.layers
        if not policies or layer.name in policies
    )
    return Coverage(plan.name, tested.file, measured)


def _rules(layer: Layer, tested: SetUnderTest, tally: Tally) -> Iterator[RuleCoverage]:
    for kind, steps in (
        (RuleKind.ACCESS, layer.access),
        (RuleKind.ROUTE, layer.routes),
        (RuleKind.REWRITE, layer.rewrites),
        (RuleKind.BUDGET, layer.budgets),
    ):
        for step in steps:
            yield _rule(step.id, kind, step.when is not None, tested, tally)
            if isinstance(step, BudgetStep):
                yield from _thresholds(step, tested, tally)


def _rule(rule: str, kind: RuleKind, conditional: bool, tested: SetUnderTest, tally: Tally) -> RuleCoverage:
    counted = tally.rules.get(rule, RuleTally())
    return RuleCoverage(
        rule=rule,
        kind=str(kind),
        span=tested.places.get(rule),
        conditional=conditional,
        matched=counted.matched,
        was_true=counted.matched if conditional else 0,
        was_false=counted.outcomes[Outcome.NOT_MATCHED],
        failed=counted.outcomes[Outcome.FAILED],
        not_reached=tally.decisions - counted.reached,
        why="" if counted.matched else why_not(rule, counted, tally.decisions, tested.known),
    )


def _thresholds(budget: BudgetStep, tested: SetUnderTest, tally: Tally) -> Iterator[RuleCoverage]:
    reached = tally.rules.get(budget.id, RuleTally()).matched
    for index in range(len(budget.thresholds)):
        active, name = tally.thresholds[budget.id, index], tested.known.thresholds[budget.id, index]
        yield RuleCoverage(
            rule=name,
            kind="threshold",
            span=tested.places.get(name),
            conditional=True,
            matched=active,
            was_true=active,
            was_false=reached - active,
            failed=0,
            not_reached=tally.decisions - reached,
            why="" if active else _never_active(budget, name, reached, tally.decisions),
        )


def _never_active(budget: BudgetStep, name: str, reached: int, decisions: int) -> str:
    """Say why a threshold was active in no case."""
    if not decisions:
        return "no case comes to a decision"
    if not reached:
        return f"no case counts against `{budget.id}`"
    return f"in no case does spend come to {name.rpartition('@')[2]} of `{budget.id}`"
