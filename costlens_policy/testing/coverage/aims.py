"""What a case has to show for an item to be covered, and in how many of the decisions counted that was shown.

``title`` names a case that shows it; people will find a better name.
"""

from __future__ import annotations

from typing import TypeAlias

from costlens_policy.frozen import frozen
from costlens_policy.testing.coverage.conditions import Condition, Truth
from costlens_policy.testing.coverage.counting import OutcomeCounts, RuleCounts

__all__ = [
    "Active", "Aim", "Alternatives", "ComesTo", "Decides", "Draws", "Excludes", "Matches", "Overflows", "Serves",
    "StandsBy", "TakesWayOut",
]  # fmt: skip


@frozen
class Matches:
    """A rule (``policy/rule``) matches."""

    rule: str

    @property
    def title(self) -> str:
        return f"{self.rule} matches"

    def times(self, counts: OutcomeCounts) -> int:
        return counts.rules.get(self.rule, RuleCounts()).matched


@frozen
class ComesTo:
    """A condition is true, or false."""

    condition: Condition
    outcome: Truth

    @property
    def title(self) -> str:
        return f"the condition of {self.condition.rule} is {self.outcome.value}"

    def times(self, counts: OutcomeCounts) -> int:
        values = counts.values_of(self.condition)
        return sum(times for each, times in values.items() if self.condition.outcome(each) is self.outcome)


@frozen
class Decides:
    """An operand has a value and decides, and the condition comes to an outcome."""

    condition: Condition
    index: int
    value: Truth
    outcome: Truth

    @property
    def title(self) -> str:
        return f"operand {self.index + 1} of {self.condition.rule} decides as {self.value.value}"

    def times(self, counts: OutcomeCounts) -> int:
        values = counts.values_of(self.condition)
        return sum(
            times
            for each, times in values.items()
            if each[self.index] is self.value
            and self.condition.outcome(each) is self.outcome
            and self.index in self.condition.deciding(each)
        )


@frozen
class Active:
    """A threshold of a budget (``policy/budget``) is active, by its place among those of the budget."""

    budget: str
    index: int

    @property
    def title(self) -> str:
        return f"a threshold of {self.budget} is active"

    def times(self, counts: OutcomeCounts) -> int:
        return counts.thresholds[self.budget, self.index]


@frozen
class Excludes:
    """A threshold excludes a model, or would if its budget were not in shadow."""

    budget: str
    index: int

    @property
    def title(self) -> str:
        return f"a threshold of {self.budget} excludes a model"

    def times(self, counts: OutcomeCounts) -> int:
        return counts.downgraded[self.budget, self.index]


@frozen
class Overflows:
    """A budget has no room, so that its overflow counts the call."""

    budget: str

    @property
    def title(self) -> str:
        return f"{self.budget} has no room, and its overflow counts the call"

    def times(self, counts: OutcomeCounts) -> int:
        return counts.overflowed[self.budget]


@frozen
class TakesWayOut:
    """The choice at a place of a route leaves nothing, and its way out is taken."""

    route: str
    place: str

    @property
    def title(self) -> str:
        return f"{self.place} leaves nothing, and takes its way out"

    def times(self, counts: OutcomeCounts) -> int:
        return counts.ways_out[self.place]


@frozen
class Draws:
    """The share at a place of a route is drawn."""

    route: str
    place: str

    @property
    def title(self) -> str:
        return f"{self.place} is drawn"

    def times(self, counts: OutcomeCounts) -> int:
        return counts.drawn[self.place]


@frozen
class Serves:
    """A model serves by the target at a place of a route."""

    route: str
    place: str
    model: str

    @property
    def title(self) -> str:
        return f"{self.place} is served by {self.model}"

    def times(self, counts: OutcomeCounts) -> int:
        return counts.served[self.place, self.model]


@frozen
class StandsBy:
    """A model serves by the target at a place of a route, or is a fallback there."""

    route: str
    place: str
    model: str

    @property
    def title(self) -> str:
        return f"{self.place} may be served by {self.model}"

    def times(self, counts: OutcomeCounts) -> int:
        return counts.listed[self.place, self.model]


Aim: TypeAlias = Matches | ComesTo | Decides | Active | Excludes | Overflows | TakesWayOut | Draws | Serves | StandsBy

Alternatives: TypeAlias = tuple[tuple[Aim, ...], ...]
"""Ways to cover an item: all aims of one of them have to be shown, each by any case."""
