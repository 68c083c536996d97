"""Goals: formulas over conditions, and whether they are met where only some places of a request have a value.

A condition is true, false or an error, or open where something that it needs has no value yet. ``&&`` and ``||``
absorb errors as CEL does; a goal says what an error means for its rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import TypeAlias

from costlens_policy.assurance.domain.trees import Atom, Branch, Constant, Junction, Negation, Read, Tree
from costlens_policy.frozen import frozen

__all__ = ["Every", "Goal", "Holds", "Not", "Outcome", "Some", "Standing", "atoms_of", "reads_of"]


class Outcome(Enum):
    TRUE = "true"
    FALSE = "false"
    ERROR = "error"
    OPEN = "open"


@frozen(eq=False)
class Holds:
    """A condition is true; an error counts as ``error``."""

    tree: Tree
    error: bool = False


@frozen(eq=False)
class Not:
    operand: Goal


@frozen(eq=False)
class Every:
    operands: Sequence[Goal]


@frozen(eq=False)
class Some:
    operands: Sequence[Goal]


Goal: TypeAlias = Holds | Not | Every | Some


class Standing:
    """How a goal stands under one assignment, which ``evaluate`` knows. ``open`` is the first atom that is open."""

    __slots__ = ("_evaluate", "open")

    def __init__(self, evaluate: Callable[[Atom], Outcome]) -> None:
        self._evaluate = evaluate
        self.open: Atom | None = None

    def of(self, goal: Goal) -> bool | None:
        """Return whether a goal is met; None where that is open."""
        match goal:
            case Holds(tree, error):
                outcome = self.outcome(tree)
                if outcome is Outcome.OPEN:
                    return None
                return error if outcome is Outcome.ERROR else outcome is Outcome.TRUE
            case Not(operand):
                met = self.of(operand)
                return None if met is None else not met
            case Every(operands):
                return self._all(operands, True)
            case Some(operands):
                return self._all(operands, False)

    def _all(self, goals: Sequence[Goal], wanted: bool) -> bool | None:
        """Return ``wanted`` where all goals come to it, its opposite as soon as one does."""
        is_open = False
        for goal in goals:
            met = self.of(goal)
            if met is None:
                is_open = True
            elif met is not wanted:
                return not wanted
        return None if is_open else wanted

    def outcome(self, tree: Tree) -> Outcome:
        match tree:
            case Constant(value):
                return Outcome.TRUE if value else Outcome.FALSE
            case Negation(operand):
                return _OPPOSITE[self.outcome(operand)]
            case Junction(any_, operands):
                return self._junction(operands, Outcome.TRUE if any_ else Outcome.FALSE)
            case Branch(condition, accepted, rejected):
                return self._branch(self.outcome(condition), accepted, rejected)
            case Atom():
                outcome = self._evaluate(tree)
                if outcome is Outcome.OPEN and self.open is None:
                    self.open = tree
                return outcome

    def _junction(self, operands: Sequence[Tree], decides: Outcome) -> Outcome:
        """Return ``decides`` as soon as an operand comes to it: only then do errors of others not count."""
        found = _OPPOSITE[decides]
        for operand in operands:
            outcome = self.outcome(operand)
            if outcome is decides:
                return decides
            if outcome is Outcome.OPEN or (outcome is Outcome.ERROR and found is not Outcome.OPEN):
                found = outcome
        return found

    def _branch(self, condition: Outcome, accepted: Tree, rejected: Tree) -> Outcome:
        if condition in (Outcome.ERROR, Outcome.OPEN):
            return condition
        return self.outcome(accepted if condition is Outcome.TRUE else rejected)


def atoms_of(part: Goal | Tree) -> Iterator[Atom]:
    """Yield the atoms of a goal, each as often as it stands there."""
    match part:
        case Atom():
            yield part
        case Holds(tree, _):
            yield from atoms_of(tree)
        case Not(operand) | Negation(operand):
            yield from atoms_of(operand)
        case Every(operands) | Some(operands) | Junction(_, operands):
            for operand in operands:
                yield from atoms_of(operand)
        case Branch(condition, accepted, rejected):
            for branch in (condition, accepted, rejected):
                yield from atoms_of(branch)


def reads_of(goal: Goal) -> frozenset[Read]:
    """Return the places that the conditions of a goal read."""
    return frozenset(read for atom in atoms_of(goal) for read in atom.reads)


_OPPOSITE = {
    Outcome.TRUE: Outcome.FALSE,
    Outcome.FALSE: Outcome.TRUE,
    Outcome.ERROR: Outcome.ERROR,
    Outcome.OPEN: Outcome.OPEN,
}
