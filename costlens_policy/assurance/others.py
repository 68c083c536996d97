"""Many rules of which none is to hold beside a goal, without asking each of them each time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final

from costlens_policy.assurance.domain import Assignment, Every, Found, Goal, Result
from costlens_policy.assurance.domain.formulas import reads_of
from costlens_policy.assurance.domain.needs import Bits, exclude_each_other
from costlens_policy.assurance.domain.trees import Read
from costlens_policy.assurance.subject import Rule, Subject

__all__ = ["Others"]

_FEW: Final = 16


class Others:
    """Rules, each kept under the few values of one place that it needs, where it needs so few of any.

    What a search finds for one goal is where the next one begins: a team that no rule names keeps away from all rules
    about teams, so that few have to be looked at again.
    """

    def __init__(self, subject: Subject, rules: Iterable[Rule] = ()) -> None:
        self._domain = subject.domain
        self._kept: list[tuple[Rule, Bits]] = []
        self._anywhere: list[int] = []
        self._by_place: defaultdict[Read, defaultdict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        self._away: dict[Read, Any] = {}
        """A value for each place that rules read, with which few of them hold."""
        for rule in rules:
            self.add(rule)

    def add(self, rule: Rule) -> None:
        needed, at = self._domain.needs.of(rule.goal), len(self._kept)
        self._kept.append((rule, needed))
        for read in reads_of(rule.goal):
            if read not in self._away and (values := self._domain.values(read)):
                self._away[read] = values[-1]
        fewest = min(needed, key=lambda read: needed[read].bit_count(), default=())
        if not fewest or needed[fewest].bit_count() > _FEW:
            self._anywhere.append(at)
        else:
            for bit in _bits(needed[fewest]):
                self._by_place[fewest][bit].append(at)

    def find(self, goal: Goal) -> Result:
        """Search for values that meet a goal and for which none of the rules holds."""
        found = self._domain.find(goal)
        if not isinstance(found, Found):
            return found
        values = {**self._away, **found.values}
        if not any(self._domain.met(rule.goal, values) is not False for rule in self._near(values)):
            return Found(values)
        found = self._domain.find(Every([goal, *(other.otherwise for other in self.beside(goal))]))
        if isinstance(found, Found):
            self._away.update((read, value) for read, value in found.values.items() if read in self._away)
        return found

    def beside(self, goal: Goal) -> list[Rule]:
        """Return the rules that may hold where a goal is met, in the order in which they were added."""
        needed = self._domain.needs.of(goal)
        found = set(self._anywhere)
        for read, kept in self._by_place.items():
            places = _bits(needed[read]) if read in needed and needed[read].bit_count() <= len(kept) else kept
            for bit in places:
                if bit in kept and (read not in needed or needed[read] >> bit & 1):
                    found.update(kept[bit])
        return [self._kept[at][0] for at in sorted(found) if not exclude_each_other(self._kept[at][1], needed)]

    def _near(self, values: Assignment) -> Iterator[Rule]:
        """Yield the rules that may hold for values, as far as single places show."""
        places = {read: self._domain.critical(read).place_of(value) for read, value in values.items()}
        near = [*self._anywhere]
        for read, kept in self._by_place.items():
            place = places.get(read)
            if place is None:
                near += (at for several in kept.values() for at in several)
            elif place in kept:
                near += kept[place]
        for at in near:
            rule, needed = self._kept[at]
            if all((place := places.get(read)) is None or bits >> place & 1 for read, bits in needed.items()):
                yield rule


def _bits(values: int) -> Iterator[int]:
    while values:
        low = values & -values
        yield low.bit_length() - 1
        values ^= low
