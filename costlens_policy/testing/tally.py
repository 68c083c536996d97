"""Count, over many decisions, what happened to each rule."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from costlens_policy.engine.record import Outcome
from costlens_policy.testing.observation import Observation

__all__ = ["RuleTally", "Tally"]


@dataclass(slots=True)
class RuleTally:
    """How often a rule had each outcome. ``instead`` counts the rules that decided before it could be asked."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    instead: Counter[str] = field(default_factory=Counter)

    @property
    def matched(self) -> int:
        return self.outcomes[Outcome.MATCHED]

    @property
    def reached(self) -> int:
        return self.outcomes.total() - self.outcomes[Outcome.NOT_REACHED]

    def add(self, other: RuleTally) -> None:
        self.outcomes += other.outcomes
        self.instead += other.instead


class Tally:
    """The outcomes of all rules and thresholds over the decisions counted so far."""

    def __init__(self) -> None:
        self.decisions = 0
        self.rules: dict[str, RuleTally] = defaultdict(RuleTally)
        self.thresholds: Counter[tuple[str, int]] = Counter()

    def count(self, observation: Observation) -> None:
        self.decisions += 1
        for rule, outcome in observation.outcomes.items():
            tally = self.rules[rule]
            tally.outcomes[outcome] += 1
            if outcome is Outcome.NOT_REACHED:
                tally.instead[observation.decision.rule] += 1
        self.thresholds.update(observation.thresholds_at_all)

    @classmethod
    def of(cls, tallies: Iterable[Tally]) -> Tally:
        """Return the sum of several tallies."""
        total = cls()
        for tally in tallies:
            total.decisions += tally.decisions
            total.thresholds += tally.thresholds
            for rule, counted in tally.rules.items():
                total.rules[rule].add(counted)
        return total
