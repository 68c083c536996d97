"""What a condition may come to where some of its parts are decided already, and others are not known at all.

Each goal asks for less than the condition does, never for more: where nothing meets it, the condition never comes to
it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, TypeAlias

from costlens_policy.assurance import Every, Goal, Holds, Not, Some
from costlens_policy.assurance.domain.trees import Atom, Branch, Constant, Junction, Negation, Tree

__all__ = ["ALWAYS", "ANYTHING", "NEVER", "Outcomes", "every", "exactly", "outcomes", "settled", "some"]

ALWAYS: Final[Goal] = Every(())
NEVER: Final[Goal] = Some(())


def every(goals: Iterable[Goal]) -> Goal:
    """Return a conjunction without what goes without saying."""
    found = [goal for goal in goals if not (isinstance(goal, Every) and not goal.operands)]
    if any(isinstance(goal, Some) and not goal.operands for goal in found):
        return NEVER
    return found[0] if len(found) == 1 else Every(found)


def some(goals: Iterable[Goal]) -> Goal:
    """Return a disjunction without what never holds."""
    found = [goal for goal in goals if not (isinstance(goal, Some) and not goal.operands)]
    if any(isinstance(goal, Every) and not goal.operands for goal in found):
        return ALWAYS
    return found[0] if len(found) == 1 else Some(found)


class Outcomes(NamedTuple):
    """When a condition may be true, false, or an error."""

    true: Goal
    false: Goal
    error: Goal

    @property
    def untrue(self) -> Goal:
        return some([self.false, self.error])


ANYTHING: Final = Outcomes(ALWAYS, ALWAYS, ALWAYS)
Read: TypeAlias = Callable[[Atom], Outcomes]


def settled(value: bool) -> Outcomes:
    return Outcomes(ALWAYS, NEVER, NEVER) if value else Outcomes(NEVER, ALWAYS, NEVER)


def exactly(atom: Atom) -> Outcomes:
    """Return the outcomes of an atom as the search evaluates it."""
    fails = Every([Holds(atom, True), Not(Holds(atom))])
    return Outcomes(Holds(atom), Holds(Negation(atom)), fails)


def outcomes(tree: Tree, read: Read) -> Outcomes:
    """Return what a condition may come to, where ``read`` says so of each atom."""
    match tree:
        case Constant(value):
            return settled(value)
        case Negation(operand):
            found = outcomes(operand, read)
            return Outcomes(found.false, found.true, found.error)
        case Junction(any_, operands):
            return _junction(any_, [outcomes(operand, read) for operand in operands])
        case Branch(condition, accepted, rejected):
            return _branch(*(outcomes(part, read) for part in (condition, accepted, rejected)))
        case Atom():
            return read(tree)


def _junction(any_: bool, parts: Sequence[Outcomes]) -> Outcomes:
    """An operand that decides absorbs the errors of the others."""
    decides = some([part.true if any_ else part.false for part in parts])
    agree = every([part.false if any_ else part.true for part in parts])
    undecided = [some([part.error, part.false if any_ else part.true]) for part in parts]
    fails = every([some([part.error for part in parts]), *undecided])
    return Outcomes(decides, agree, fails) if any_ else Outcomes(agree, decides, fails)


def _branch(condition: Outcomes, accepted: Outcomes, rejected: Outcomes) -> Outcomes:
    def either(one: Goal, other: Goal) -> Goal:
        return some([every([condition.true, one]), every([condition.false, other])])

    fails = some([condition.error, either(accepted.error, rejected.error)])
    return Outcomes(either(accepted.true, rejected.true), either(accepted.false, rejected.false), fails)
