"""Two versions of a policy set over one domain, so that a goal may speak of the rules of both."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from time import monotonic
from typing import Final

from costlens_policy.assurance import Every, Found, Goal, Holds, Nothing, Rule, Situation, Subject, Undecided, Witness
from costlens_policy.assurance.domain import Assignment, Domain, Outcome, atoms_of
from costlens_policy.assurance.domain.formulas import Standing
from costlens_policy.assurance.domain.inputs import open_plan
from costlens_policy.assurance.domain.trees import Atom
from costlens_policy.checker import CheckedBundle
from costlens_policy.checker.attributes import SIGNALS
from costlens_policy.compiler import compile_plan
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.plan import Layer, Plan
from costlens_policy.engine.decide import open_context
from costlens_policy.expressions.runtime import CelError
from costlens_policy.proof.doubts import doubt_about
from costlens_policy.proof.solver import Impossible, Possible, Solver, Unsolved

__all__ = ["Pair", "Side"]

_OVER: Final = "the limit of time is reached"


class Side(Subject):
    """One version. Its layers are some of those of the domain that it shares with the other.

    ``differing`` are the attributes and budgets, as places, that the other version declares differently; the records of
    models are among them where the catalogues differ.
    """

    differing: frozenset[tuple[str, ...]] = frozenset()

    def __init__(self, bundle: CheckedBundle, now: datetime, plan: Plan, domain: Domain, begins_at: int) -> None:
        self.begins_at = begins_at
        self.bundle = bundle
        self.plan = plan
        self.now = now
        self.domain = domain
        self._open = open_plan(plan)
        self._done = {}
        self.rules = {section: tuple(self._rules(section)) for section in ("access", "routes", "rewrites", "budgets")}

    def condition(self, formula: Formula | None, layer: int, error: bool = False) -> Goal:
        if formula is None:
            return Every(())
        return Holds(self.domain.tree(formula, layer + self.begins_at), error)


class Pair:
    """An old and a new version, and goals over both."""

    def __init__(self, old: CheckedBundle, new: CheckedBundle, now: datetime, ends_at: float = math.inf) -> None:
        """``ends_at`` is when to stop, by ``time.monotonic``."""
        self._ends_at = ends_at
        before, after = compile_plan(old), compile_plan(new)
        layers = (*_folded(before), *_folded(after))
        # What is read of both is read by names that mean the same in both, or in doubt.
        behind = len(before.layers) + 1
        budgets = {**before.budgets, **{name: (at + behind, step) for name, (at, step) in after.budgets.items()}}
        attributes = {**before.attributes, **after.attributes}
        if signals := {**before.signals, **after.signals}:
            attributes[SIGNALS] = replace(attributes[SIGNALS], signals=tuple(signals.values()))
        self.plan = replace(after, variables={}, layers=layers, budgets=budgets, attributes=attributes)
        self.domain = Domain(self.plan, now)
        self.old = Side(old, now, before, self.domain, 0)
        self.new = Side(new, now, after, self.domain, behind)
        self._solver = Solver(self.plan, self.domain)
        self.same_models = before.catalogue_digest == after.catalogue_digest
        models = () if self.same_models else (("model",), ("request", "asked_model"))
        self.old.differing = self.new.differing = frozenset((*_differing(self.old, self.new), *models))

    @property
    def is_over(self) -> bool:
        """Whether there is no time left."""
        return monotonic() > self._ends_at

    def find(self, goal: Goal, model: str = "") -> Found | Nothing | Undecided:
        """Return values that meet a goal, that there are none, or why neither is known."""
        if self.is_over:
            return Undecided(_OVER)
        why = self._doubt(goal)
        if why:
            return Undecided(why)
        given: Assignment = {("model",): model} if model else {}
        result = self.domain.find(goal, given)
        why = doubt_about(self.plan, self.domain, goal)
        if isinstance(result, Found) or (isinstance(result, Nothing) and not why):
            return result
        return self.solved(goal, model, result.why if isinstance(result, Undecided) else why)

    def solved(self, goal: Goal, model: str, why: str) -> Found | Nothing | Undecided:
        """Ask the solver."""
        left = self._ends_at - monotonic()
        if left <= 0:
            return Undecided(_OVER)
        answer = self._solver.solve(goal, model, left)
        match answer:
            case Impossible():
                return Nothing()
            case Possible(values):
                return Found(values)
            case Unsolved(unsolved):
                return Undecided(f"{why}; {unsolved}")

    def situated(self, values: Assignment) -> Situation | None:
        """Return values as a situation, None where neither version admits the request."""
        for side in (self.new, self.old):
            try:
                witness = side.situated(values)
            except KeyError:  # a budget that only the other version has
                continue
            if witness is not None:
                return witness.situation
        return None

    def decided(self, situation: Situation) -> tuple[Witness, Witness] | None:
        """Return what both versions decide, None where one does not admit the request."""
        old, new = (side.decided(_for(side, situation)) for side in (self.old, self.new))
        return None if old is None or new is None else (old, new)

    def confirmed(self, goal: Goal, values: Assignment, model: str) -> tuple[Witness, Witness] | None:
        """Return what both versions decide on values that meet a goal, None where the engine evaluates it otherwise."""
        situation = self.situated(values)
        both = None if situation is None else self.decided(situation)
        if situation is None or both is None:
            return None
        contexts = [
            open_context(side.plan, situation.request, _for(side, situation).balances, situation.now)
            for side in (self.old, self.new)
        ]

        def evaluate(atom: Atom) -> Outcome:
            is_new = atom.layer >= self.new.begins_at
            context = contexts[is_new]
            view = context.priced_model(model).view if model else None
            layer = atom.layer - (self.new.begins_at if is_new else 0)
            try:
                return Outcome.TRUE if context.evaluate(atom.formula, layer, view) is True else Outcome.FALSE
            except CelError:
                return Outcome.ERROR

        return both if Standing(evaluate).of(goal) is True else None

    def _doubt(self, goal: Goal) -> str:
        """Return which name of a goal means something else in each version."""
        for atom in atoms_of(goal):
            for read in atom.reads:
                if not self.new.differing.isdisjoint((read[:1], read[:2])):
                    return f"`{'.'.join(read[:2])}` is declared differently in the two versions"
        return ""


def _folded(plan: Plan) -> Iterator[Layer]:
    """Yield the layers of a plan with the variables of its policy set, and after them one for the default route."""
    yield from (replace(layer, variables={**plan.variables, **layer.variables}) for layer in plan.layers)
    yield Layer("", "", "deny", plan.variables, (), (), (), ())


def _for(side: Side, situation: Situation) -> Situation:
    """Return a situation without the balances of budgets that a version does not have."""
    known = {place: balance for place, balance in situation.balances.items() if place[0] in side.plan.budget_ids}
    return replace(situation, balances=known)


def _differing(old: Side, new: Side) -> Iterator[tuple[str, str]]:
    """Yield the attributes and budgets that both versions declare, in different ways."""
    before, after = (side.bundle.linked.attributes for side in (old, new))
    for name in before.keys() & after.keys():
        one, other = (
            (item.type, item.required, item.default, item.values, item.max_size, item.signals)
            for item in (before[name], after[name])
        )
        if one != other:
            yield ("request", name)
    for name in before.keys() ^ after.keys():
        yield ("request", name)
    budgets = ({rule.id: _declared(rule) for rule in side.rules["budgets"]} for side in (old, new))
    had, has = budgets
    yield from (("budgets", name) for name in had.keys() & has.keys() if had[name] != has[name])


def _declared(rule: Rule) -> object:
    document = rule.place.document.document
    budget = document.budgets[rule.place.path[1]]  # type: ignore[attr-defined]
    return budget.model_dump(exclude={"thresholds", "reason", "description", "when"})
