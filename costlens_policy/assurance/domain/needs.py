"""What a goal needs of single places, worked out before any search: sets of critical values, as bits.

Where a condition is a conjunction of tests of one place each, as nearly all are, little is left to be searched: a goal
whose needs exclude each other is met by nothing, and an operand that excludes what the others need says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from types import MappingProxyType
from typing import Final, TypeAlias

from costlens_policy.assurance.domain.formulas import Every, Goal, Holds, Not, Outcome, Some
from costlens_policy.assurance.domain.trees import Atom, Constant, Junction, Negation, Read, Tree
from costlens_policy.assurance.domain.values import Critical
from costlens_policy.expressions import STRING

__all__ = ["Bits", "Needs", "exclude_each_other", "joined"]

Bits: TypeAlias = Mapping[Read, int]
"""By place, which of its critical values it may have, bit by bit; any where it is not listed."""


_TRUE, _FALSE, _ERROR = 1, 2, 4
"""Outcomes that are wanted, as a sum."""
_OF: Final = {Outcome.TRUE: _TRUE, Outcome.FALSE: _FALSE, Outcome.ERROR: _ERROR}
_NEGATED: Final = {want: want & _ERROR | (want & _TRUE) << 1 | (want & _FALSE) >> 1 for want in range(8)}
_ANY: Final[Bits] = MappingProxyType({})
_NEVER: Final[Read] = ("never",)
"""Listed without any value where a goal is met by nothing."""


class Needs:
    """Works out what goals need. ``critical`` gives the values of a place, ``evaluate`` an atom's outcome for one."""

    def __init__(self, critical: Callable[[Read], Critical], evaluate: Callable[[Atom, int], Outcome]) -> None:
        self._critical = critical
        self._evaluate = evaluate
        self._of_atoms: dict[Atom, Mapping[Outcome, int]] = {}
        self._of_goals: dict[tuple[int, bool], tuple[Goal, Bits]] = {}

    def of(self, goal: Goal, met: bool = True) -> Bits:
        """Return what any request has that meets a goal, or with ``met`` false, does not."""
        key = (id(goal), met)
        known = self._of_goals.get(key)
        if known is None:  # the goal is kept with it, so that its identity is not given away
            known = self._of_goals[key] = (goal, self._goal(goal, met))
        return known[1]

    def _goal(self, goal: Goal, met: bool) -> Bits:
        match goal:
            case Holds(tree, error):
                return self._tree(tree, (_TRUE if met else _FALSE) | (_ERROR if error is met else 0))
            case Not(operand):
                return self.of(operand, not met)
            case Every(operands) | Some(operands):
                found = (self.of(item, met) for item in operands)
                return joined(found) if isinstance(goal, Every) is met else _either(list(found))

    def _tree(self, tree: Tree, want: int) -> Bits:
        match tree:
            case Constant(value):
                return _ANY if want & (_TRUE if value else _FALSE) else {_NEVER: 0}
            case Negation(operand):
                return self._tree(operand, _NEGATED[want])
            case Junction(any_, operands):
                found = [self._tree(operand, want) for operand in operands]
                return _either(found) if want & (_TRUE if any_ else _FALSE) else joined(found)
            case Atom() if len(tree.reads) == 1 and not tree.searched and not self._critical(tree.reads[0]).why:
                truths = self._truths(tree)
                return {tree.reads[0]: sum(truths[outcome] for outcome, kind in _OF.items() if want & kind)}
            case _:
                return _ANY

    def _truths(self, atom: Atom) -> Mapping[Outcome, int]:
        """Return for which values of its place an atom is true, false and an error."""
        if atom not in self._of_atoms:
            critical = self._critical(atom.reads[0])
            found = dict.fromkeys(_OF, 0)
            for outcome, bits in self._sorted(atom, critical):
                found[outcome] |= bits
            self._of_atoms[atom] = found
        return self._of_atoms[atom]

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


def _either(any_: Sequence[Bits]) -> Bits:
    """Return what is needed where one of these is."""
    possible = [bits for bits in any_ if 0 not in bits.values()]
    if not possible:
        return {_NEVER: 0}
    shared = set(possible[0]).intersection(*possible[1:])
    return {read: reduce(int.__or__, (bits[read] for bits in possible)) for read in shared}


def exclude_each_other(one: Bits, other: Bits) -> bool:
    """Say whether no request has both."""
    small, large = (one, other) if len(one) < len(other) else (other, one)
    return any(read in large and not large[read] & values for read, values in small.items()) or 0 in small.values()
