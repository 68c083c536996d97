"""What one decision did to each rule, and who refused it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from costlens_policy.engine.decision import Decision
from costlens_policy.engine.record import Outcome, outcomes_of
from costlens_policy.testing.thresholds import active_thresholds
from costlens_policy.testing.vocabulary import RuleKind, Vocabulary

__all__ = ["Observation", "observe"]


@dataclass(frozen=True, slots=True)
class Observation:
    """A decision seen from its rules.

    ``outcomes`` has every rule of the plan. ``refused_by`` are the rules and budgets that refused the request, none
    where it was allowed. ``thresholds`` are those that were active, as ``policy/budget`` with their number, and
    ``thresholds_at_all`` those of fallbacks, too.
    """

    decision: Decision
    outcomes: Mapping[str, Outcome]
    refused_by: frozenset[str]
    thresholds: frozenset[tuple[str, int]]
    thresholds_at_all: frozenset[tuple[str, int]]

    def evaluated(self, rule: str) -> bool:
        return self.outcomes.get(rule, Outcome.NOT_REACHED) is not Outcome.NOT_REACHED


def observe(decision: Decision, known: Vocabulary) -> Observation:
    """Read what a decision did to the rules."""
    outcomes = outcomes_of(decision)
    budgets = {item.by for item in decision.excluded if known.is_rule(item.by, RuleKind.BUDGET)}
    # The record looks at budgets with the winner's eyes; one that took a candidate out was asked all the same.
    outcomes.update(dict.fromkeys(budgets, Outcome.MATCHED))
    # So it does at rewrites; those that only a fallback gets were applied to its call.
    outcomes.update(dict.fromkeys(_of_fallbacks(decision), Outcome.MATCHED))
    refused_by: frozenset[str] = frozenset()
    if not decision.allowed:
        denies = {rule for rule in known.denies if outcomes.get(rule) is Outcome.MATCHED}
        refused_by = frozenset({decision.rule, *budgets, *denies})
    thresholds = active_thresholds(decision)
    return Observation(
        decision, outcomes, refused_by, thresholds, active_thresholds(decision, decision.fallbacks) | thresholds
    )


def _of_fallbacks(decision: Decision) -> Iterator[str]:
    """Yield the rewrites and budgets of the calls that stand by."""
    for call in decision.fallback_calls:
        yield from call.rewrites
        yield from (seen.budget for seen in call.balances)
