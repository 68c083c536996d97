"""What can be covered, each as one item: whether a case did, why none did, and whether one could."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING

from costlens_policy.diagnostics.model import Span
from costlens_policy.documents.suite import Measure
from costlens_policy.frozen import frozen

if TYPE_CHECKING:
    from costlens_policy.assurance import Witness
    from costlens_policy.testing.coverage.aims import Alternatives

__all__ = ["Coverage", "Item", "Measure", "PolicyCoverage", "Reach", "percent_of"]


class Reach(StrEnum):
    """Whether a request could cover an item that no case covers.

    ``NO_REQUEST`` is a proof: all requests that the rules can tell apart were decided.
    """

    NOT_EXAMINED = "not examined"
    REQUEST = "request"
    NO_REQUEST = "no request"
    UNDECIDED = "undecided"


@frozen
class Item:
    """Something that is covered once a case shows it.

    ``rule`` is the rule that it belongs to: ``policy/rule``, a threshold (``policy/budget@0.8``), a way out
    (``policy/route@on_none``), or a variable (``policy/variables.name``); ``detail`` is what of it is meant, empty for
    the rule itself. ``kind`` says what it is, for people. ``count`` is the number of cases that show it.

    ``was_true``, ``was_false`` and ``failed`` count the cases in which the condition held, did not, and failed; of an
    operand, those in which it decided as true and as false. ``why`` says why it is not covered, and ``missing`` what
    would have to be shown; both are empty where it is. ``span`` is where it is written. ``witnesses`` are requests that
    together cover it, where no case does; ``note`` says why there are none.
    """

    measure: Measure
    kind: str
    rule: str
    detail: str
    span: Span | None
    count: int
    why: str
    missing: Alternatives = ()
    conditional: bool = False
    was_true: int = 0
    was_false: int = 0
    failed: int = 0
    not_reached: int = 0
    reach: Reach = Reach.NOT_EXAMINED
    witnesses: tuple[Witness, ...] = ()
    note: str = ""

    @property
    def covered(self) -> bool:
        return not self.why

    @property
    def name(self) -> str:
        """What no other item of the policy set is named."""
        return f"{self.rule} {self.detail}" if self.detail else self.rule

    @property
    def counts(self) -> bool:
        """Whether it counts for percentages: what no request can show does not."""
        return self.covered or self.reach is not Reach.NO_REQUEST


@frozen
class PolicyCoverage:
    """The items of one policy, stage by stage."""

    policy: str
    items: tuple[Item, ...]

    @property
    def rules(self) -> tuple[Item, ...]:
        return tuple(self.of(Measure.RULES))

    @property
    def percent(self) -> int:
        return percent_of(self.rules)

    def of(self, measure: Measure) -> Iterator[Item]:
        return (item for item in self.items if item.measure is measure)


@frozen
class Coverage:
    """The policies of one policy set that count."""

    policy_set: str
    file: str
    policies: tuple[PolicyCoverage, ...]

    @property
    def items(self) -> tuple[Item, ...]:
        return tuple(item for policy in self.policies for item in policy.items)

    @property
    def rules(self) -> tuple[Item, ...]:
        return tuple(self.of(Measure.RULES))

    @property
    def percent(self) -> int:
        """The percentage of the rules."""
        return percent_of(self.rules)

    def of(self, measure: Measure) -> Iterator[Item]:
        return (item for item in self.items if item.measure is measure)


def percent_of(items: Iterable[Item]) -> int:
    """Return whole percent of what counts, rounded down so that 100 means all; nothing to cover is covered."""
    counting = [item for item in items if item.counts]
    return 100 * sum(item.covered for item in counting) // len(counting) if counting else 100
