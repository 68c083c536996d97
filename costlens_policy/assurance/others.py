"""Which of many rules can hold together with one, without trying them all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from costlens_policy.assurance.domain.needs import Bits, exclude_each_other
from costlens_policy.assurance.domain.trees import Read
from costlens_policy.assurance.subject import Rule, Subject

__all__ = ["Others"]

_FEW: Final = 16


class Others:
    """Rules, each kept under the few values of one place that it needs, where it needs so few of any."""

    def __init__(self, subject: Subject, rules: Iterable[Rule] = ()) -> None:
        self._needs = subject.domain.needs
        self._kept: list[tuple[Rule, Bits]] = []
        self._anywhere: list[int] = []
        self._by_place: defaultdict[Read, defaultdict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for rule in rules:
            self.add(rule)

    def add(self, rule: Rule) -> None:
        needed, at = self._needs.of(rule.goal), len(self._kept)
        self._kept.append((rule, needed))
        read = min(needed, key=lambda read: needed[read].bit_count(), default=None)
        if read is None or needed[read].bit_count() > _FEW:
            self._anywhere.append(at)
        else:
            for bit in _bits(needed[read]):
                self._by_place[read][bit].append(at)

    def beside(self, rule: Rule) -> list[Rule]:
        """Return the rules that may hold where this one does, in the order in which they were added."""
        needed = self._needs.of(rule.goal)
        found = set(self._anywhere)
        for read, kept in self._by_place.items():
            places = _bits(needed[read]) if read in needed and needed[read].bit_count() <= len(kept) else kept
            for bit in places:
                if bit in kept and (read not in needed or needed[read] >> bit & 1):
                    found.update(kept[bit])
        return [self._kept[at][0] for at in sorted(found) if not exclude_each_other(self._kept[at][1], needed)]


def _bits(values: int) -> Iterator[int]:
    while values:
        low = values & -values
        yield low.bit_length() - 1
        values ^= low
