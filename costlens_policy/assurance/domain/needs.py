"""What a goal needs of single places, worked out before any search: sets of critical values, as bits.

Where a condition is a conjunction of tests of one place each, as nearly all are, little is left to be searched. A goal
whose needs exclude each other is met by nothing. An operand that excludes what the others need says nothing. And where
a goal asks for nothing else than its needs, any values that they leave meet it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from costlens_policy.assurance.domain.formulas import Every, Goal, Holds, Not, Outcome, Some
from costlens_policy.assurance.domain.trees import Atom, Constant, Junction, Negation, Read, Same, Tree
from costlens_policy.assurance.domain.values import Critical
from costlens_policy.expressions import STRING

__all__ = ["Bits", "Need", "Needs", "exclude_each_other", "joined"]

Bits: TypeAlias = Mapping[Read, int]
"""By place, which of its critical values it may have, bit by bit; any where it is not listed."""


_TRUE, _FALSE, _ERROR = 1, 2, 4
"""Outcomes that are wanted, as a sum."""
_OF: Final = {Outcome.TRUE: _TRUE, Outcome.FALSE: _FALSE, Outcome.ERROR: _ERROR}
_NEGATED: Final = {want: want & _ERROR | (want & _TRUE) << 1 | (want & _FALSE) >> 1 for want in range(8)}
_ANY: Final[Bits] = MappingProxyType({})
_NEVER: Final[Read] = ("never",)
"""Listed without any value where a goal is met by nothing."""


class Need(NamedTuple):
    """What a goal needs. ``is_all`` says that whatever has it meets the goal."""

    bits: Bits
    is_all: bool


_NOTHING: Final = Need({_NEVER: 0}, True)


class Needs:
    """Works out what goals need. ``critical`` gives the values of a place, ``evaluate`` an atom's outcome for one."""

    def __init__(self, critical: Callable[[Read], Critical], evaluate: Callable[[Atom, int], Outcome]) -> None:
        self._critical = critical
        self._evaluate = evaluate
        self._of_atoms: dict[Same, Mapping[Outcome, int]] = {}
        self._of_goals: dict[tuple[int, bool], tuple[Goal, Need]] = {}

    def of(self, goal: Goal, met: bool = True) -> Bits:
        """Return what any request has that meets a goal, or with ``met`` false, does not."""
        return self.need(goal, met).bits

    def need(self, goal: Goal, met: bool = True) -> Need:
        """Return the same, and whether it is all that the goal asks for."""
        key = (id(goal), met)
        known = self._of_goals.get(key)
        if known is None:  # the goal is kept with it, so that its identity is not given away
            known = self._of_goals[key] = (goal, self._goal(goal, met))
        return known[1]

    def _goal(self, goal: Goal, met: bool) -> Need:
        match goal:
            case Holds(tree, error):
                return self._tree(tree, (_TRUE if met else _FALSE) | (_ERROR if error is met else 0))
            case Not(operand):
                return self.need(operand, not met)
            case Every(operands) | Some(operands):
                found = [self.need(item, met) for item in operands]
                return _all(found) if isinstance(goal, Every) is met else _any(found)

    def _tree(self, tree: Tree, want: int) -> Need:
        match tree:
            case Constant(value):
                return Need(_ANY, True) if want & (_TRUE if value else _FALSE) else _NOTHING
            case Negation(operand):
                return self._tree(operand, _NEGATED[want])
            case Junction(any_, operands):
                found = [self._tree(operand, want) for operand in operands]
                return _any(found) if want & (_TRUE if any_ else _FALSE) else _all(found)
            case Atom() if len(tree.reads) == 1 and not tree.searched and not self._critical(tree.reads[0]).why:
                truths = self._truths(tree)
                bits = sum(truths[outcome] for outcome, kind in _OF.items() if want & kind)
                return Need({tree.reads[0]: bits}, True)
            case _:
                return Need(_ANY, False)

    def _truths(self, atom: Atom) -> Mapping[Outcome, int]:
        """Return for which values of its place an atom is true, false and an error."""
        if atom.same not in self._of_atoms:
            critical = self._critical(atom.reads[0])
            found = dict.fromkeys(_OF, 0)
            for outcome, bits in self._sorted(atom, critical):
                found[outcome] |= bits
            self._of_atoms[atom.same] = found
        return self._of_atoms[atom.same]

    def _sorted(self, atom: Atom, critical: Critical) -> Iterable[tuple[Outcome, int]]:
        values = critical.values
        if atom.texts is None or critical.type != STRING:
            yield from ((self._evaluate(atom, place), 1 << place) for place in range(len(values)))
            return
        # A text that the atom does not name is to it as any other such text.
        rest = (1 << len(values)) - 1
        for place in [critical.place_of(text) for text in atom.texts] + [critical.absent]:
            if place is not None:
                rest &= ~(1 << place)
                yield self._evaluate(atom, place), 1 << place
        if rest:
            yield self._evaluate(atom, rest.bit_length() - 1), rest


def joined(all_: Iterable[Bits]) -> Bits:
    """Return what is needed where each of these is."""
    found: dict[Read, int] = {}
    for bits in all_:
        for read, values in bits.items():
            found[read] = found[read] & values if read in found else values
    return found


def _all(needs: Sequence[Need]) -> Need:
    return Need(joined(need.bits for need in needs), all(need.is_all for need in needs))


def _any(needs: Sequence[Need]) -> Need:
    """Return what is needed where one of these is."""
    possible = [need for need in needs if 0 not in need.bits.values()]
    if not possible:
        return _NOTHING
    if len(possible) == 1:
        return possible[0]
    shared = set(possible[0].bits).intersection(*(need.bits for need in possible[1:]))
    bits = {read: reduce(int.__or__, (need.bits[read] for need in possible)) for read in shared}
    # Of several places together, their needs say less than the goal does.
    return Need(bits, all(need.is_all and len(need.bits) == 1 == len(shared) for need in possible))


def exclude_each_other(one: Bits, other: Bits) -> bool:
    """Say whether no request has both."""
    small, large = (one, other) if len(one) < len(other) else (other, one)
    return any(read in large and not large[read] & values for read, values in small.items()) or 0 in small.values()
