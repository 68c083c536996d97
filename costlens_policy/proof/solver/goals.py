"""Goals for the solver z3: texts, sums of numbers, comparisons between places, times and patterns.

The translation is never too narrow. What it does not read becomes a value of which nothing is known, the same for the
same words; so where the solver finds that nothing meets a goal, nothing does. What it finds instead is tried on the
engine before it counts. Whole numbers overflow as CEL's do; doubles are compared as reals, which they are, and what is
computed from them is not known. A whole number beside a double that is not small is not read, since it is rounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from costlens_policy.assurance import Every, Goal, Holds, Not, Some
from costlens_policy.assurance.domain import Assignment, Domain
from costlens_policy.assurance.domain.trees import Atom, Branch, Constant, Junction, Negation, Tree
from costlens_policy.compiler.plan import Plan
from costlens_policy.frozen import frozen
from costlens_policy.proof.solver.places import Places, Truth
from costlens_policy.proof.solver.terms import Terms

__all__ = ["Impossible", "Possible", "Solver", "Unsolved"]

_LONGEST_S: Final = 15.0


@frozen
class Impossible:
    """Nothing meets the goal."""


@frozen
class Possible:
    """These values may meet it."""

    values: Assignment


@frozen
class Unsolved:
    """The solver does not know, or is not installed."""

    why: str


class Solver:
    """Solves goals over the conditions of a plan. Without z3, everything is unsolved."""

    def __init__(self, plan: Plan, domain: Domain) -> None:
        try:
            import z3
        except ImportError:
            z3 = None
        self._z3: Any = z3
        self._plan = plan
        self._domain = domain

    def solve(self, goal: Goal, model: str = "", limit_s: float = _LONGEST_S) -> Impossible | Possible | Unsolved:
        """Return whether anything meets a goal, within a time; ``model`` is the one that conditions read."""
        z3 = self._z3
        if z3 is None:
            return Unsolved("z3 may decide it: install the extra `prove` (`pip install 'costlens-policy[prove]'`)")
        reading = _Reading(z3, self._plan, self._domain.models.get(model))
        solver = z3.Solver()
        solver.set("timeout", max(1, int(1000 * min(limit_s, _LONGEST_S))))
        solver.add(reading.goal(goal), *reading.places.facts)
        answer = solver.check()
        if answer == z3.unsat:
            return Impossible()
        if answer == z3.sat:
            return Possible(reading.places.values(solver.model()))
        return Unsolved("z3 cannot decide it in its time")


class _Reading:
    """One goal in the terms of the solver."""

    def __init__(self, z3: Any, plan: Plan, view: Mapping[str, Any] | None) -> None:
        self.z3 = z3
        self.places = Places(z3, plan, view)

    def goal(self, goal: Goal) -> Any:
        match goal:
            case Holds(tree, error):
                found = self._tree(tree)
                return self.z3.Or(found.true, found.error) if error else found.true
            case Not(operand):
                return self.z3.Not(self.goal(operand))
            case Every(operands):
                return self.z3.And([self.goal(operand) for operand in operands])
            case Some(operands):
                return self.z3.Or([self.goal(operand) for operand in operands])

    # Conditions

    def _tree(self, tree: Tree) -> Truth:
        z3 = self.z3
        match tree:
            case Constant(value):
                return Truth(z3.BoolVal(value), z3.BoolVal(False))
            case Negation(operand):
                return self.places.negated(self._tree(operand))
            case Junction(any_, operands):
                return self.places.junction(any_, [self._tree(operand) for operand in operands])
            case Branch(condition, accepted, rejected):
                return self._branch(*map(self._tree, (condition, accepted, rejected)))
            case Atom():
                return self._atom(tree)

    def _branch(self, condition: Truth, accepted: Truth, rejected: Truth) -> Truth:
        z3 = self.z3
        inner = z3.If(condition.true, accepted.error, rejected.error)
        error = z3.Or(condition.error, inner)
        return Truth(z3.And(z3.Not(error), z3.If(condition.true, accepted.true, rejected.true)), error)

    def _atom(self, atom: Atom) -> Truth:
        terms = Terms(self.places, atom.formula, atom.layer)
        found = terms.value(atom.formula.typed.root)
        if found.kind != "bool":
            found = terms.unknown(atom.formula.typed.root, "bool")
        return Truth(self.z3.And(found.term, self.z3.Not(found.error)), found.error)
