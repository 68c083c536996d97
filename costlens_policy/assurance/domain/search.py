"""Search for a request that meets a goal: values are given to one place after the other, and a branch is left as soon
as the goal cannot be met any more.

Atoms are evaluated by the compiled expressions themselves, on a request that has only what they read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Final, TypeAlias

from costlens_policy.assurance.domain.formulas import Every, Goal, Not, Outcome, Standing
from costlens_policy.assurance.domain.inputs import open_plan, value_of
from costlens_policy.assurance.domain.needs import Bits, Needs, exclude_each_other
from costlens_policy.assurance.domain.reads import Uses
from costlens_policy.assurance.domain.states import FIELDS, critical_states
from costlens_policy.assurance.domain.trees import ASKED, Atom, Read, Tree, Use, is_signal
from costlens_policy.assurance.domain.values import ABSENT, Absent, Critical, critical_values, value_key
from costlens_policy.checker.attributes import WARM_TOKENS
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.facts import Balance
from costlens_policy.errors import RequestError
from costlens_policy.expressions import Value
from costlens_policy.expressions.runtime import CelError
from costlens_policy.frozen import frozen

__all__ = ["Assignment", "Domain", "Found", "Nothing", "Result", "Undecided"]

_MOST_STEPS: Final = 20_000
_MOST_WORK: Final = 60_000
"""Evaluations of atoms in one search."""
_MOST_WORK_IN_ALL: Final = 40_000_000
_BEGIN: Final = datetime(2026, 1, 5, 12, 30, tzinfo=UTC)

Assignment: TypeAlias = Mapping[Read, Value | Absent | Balance]
"""By place; the state of a budget is a balance."""


@frozen
class Found:
    """A goal is met by these values; what is not among them may be anything."""

    values: Assignment


@frozen
class Nothing:
    """No request meets the goal: all that conditions can tell apart was decided."""


@frozen
class Undecided:
    """No request was found, and ``why`` that says little."""

    why: str


Result: TypeAlias = Found | Nothing | Undecided


class Domain:
    """The conditions of a plan over their critical values.

    ``seconds`` is how long is searched in all; then everything is undecided. A condition that is registered after a
    search has brought new critical values lets all that was worked out go.
    """

    def __init__(self, plan: Plan, now: datetime = _BEGIN, seconds: float | None = None) -> None:
        self._ends = None if seconds is None else monotonic() + seconds
        self._plan = plan
        self._now = now
        priced = [plan.snapshots.of(model, now.date()) for model in plan.catalogue]
        self.models = {item.model.name: item.view for item in priced}
        self.uses = Uses(list(self.models.values()), plan.budgets, self._variables, plan.signals)
        self._open = open_plan(plan)
        self._critical: dict[Read, Critical] = {}
        self._outcomes: dict[tuple[object, ...], Outcome] = {}
        self.needs = Needs(self.critical, self._at)
        self.work = 0
        """How many atoms were evaluated: what cannot be finished ends at a limit, and is undecided."""

    def tree(self, formula: Formula, layer: int) -> Tree:
        """Return the tree of a condition of a layer."""
        tree = self.uses.tree(formula, layer, self._variables(layer))
        changed = [read for read, of in self._critical.items() if of.of_size != self._size(read)]
        if changed:
            for read in changed:
                del self._critical[read]
            self.needs = Needs(self.critical, self._at)
        return tree

    def _size(self, read: Read) -> int:
        if read[0] == "budgets":
            return sum(1 + use.size for use in self._fields(read[1]).values())
        use = self.uses.by_read.get(read)
        return 0 if use is None else use.size

    def _fields(self, budget: str) -> Mapping[str, Use]:
        """Return how the fields of a budget's state are read."""
        uses = {name: self.uses.by_read.get(("budgets", budget, name)) for name in FIELDS}
        return {name: use for name, use in uses.items() if use is not None}

    def _states(self, budget: str) -> Critical:
        _, step = self._plan.budgets[budget]
        states, why = critical_states(step, {name: use.literals for name, use in self._fields(budget).items()})
        return Critical(tuple(states), frozenset(), why)

    def _variables(self, layer: int) -> Mapping[str, Formula]:
        """Return the variables that a layer reads: its own, and those of the policy set. The default route, after the
        last layer, has none of its own.
        """
        own = self._plan.layers[layer].variables if layer < len(self._plan.layers) else {}
        return {**self._plan.variables, **own}

    def values(self, read: Read) -> tuple[Value | Absent, ...]:
        """Return the critical values of a place; none for what cannot be given one."""
        return self.critical(read).values

    def critical(self, read: Read) -> Critical:
        """Return the critical values of a place, and what they stand for."""
        if read not in self._critical:
            self._critical[read] = replace(self._of(read), of_size=self._size(read))
        return self._critical[read]

    def doubt_about(self, atom: Atom) -> str:
        """Return why the critical values do not stand for all that an atom can tell apart; empty where they do."""
        read = [self.critical(read) for read in atom.reads]
        decided = all(len(critical.alone) == len(critical.values) for critical in read)
        return next((critical.why for critical in read if critical.why), "" if decided else atom.searched)

    @property
    def is_over(self) -> bool:
        """Whether no more is searched: everything is undecided from here on."""
        return self.work > _MOST_WORK_IN_ALL or (self._ends is not None and monotonic() > self._ends)

    def find(self, goal: Goal, given: Assignment | None = None) -> Result:
        """Search for values that meet a goal, beside those that are given."""
        (needed, is_all), given = self.needs.need(goal), given or {}
        if 0 in needed.values():
            return Nothing()
        if is_all and needed.keys().isdisjoint(given):
            values = {read: self.critical(read).values[bits.bit_length() - 1] for read, bits in needed.items()}
            return Found({**given, **values})
        if self.is_over:
            return Undecided("the limit of time or work is reached")
        free = {read: places for read, places in needed.items() if read not in given}
        result = _Search(self, self._without_idle(goal, free), dict(given), free).run()
        return Found(self._smallest(goal, result.values, free)) if isinstance(result, Found) else result

    def _without_idle(self, goal: Goal, needed: Bits) -> Goal:
        """Leave out of a conjunction what is not to hold, and cannot hold where the rest does."""
        if not isinstance(goal, Every):
            return goal
        return Every(
            [
                item
                for item in goal.operands
                if not (isinstance(item, Not) and exclude_each_other(self.needs.of(item.operand), needed))
            ]
        )

    def _smallest(self, goal: Goal, found: Assignment, needed: Bits) -> Assignment:
        """Add what the operands need that were left out, and leave out what the goal does not need."""
        values = dict(found)
        for read, places in needed.items():
            if read not in values:
                values[read] = self.critical(read).values[places.bit_length() - 1]
        for read in list(values):
            if ABSENT in self.values(read) and values[read] is not ABSENT:
                without = {**values, read: ABSENT}
                if self.met(goal, without):
                    values = without
        return values

    def _at(self, atom: Atom, place: int) -> Outcome:
        """Return the outcome of an atom of one place for one of its critical values."""
        read = atom.reads[0]
        return self.evaluate(atom, {read: self.critical(read).values[place]})

    def met(self, goal: Goal, values: Assignment) -> bool | None:
        """Return whether values meet a goal, None where it asks for more."""
        return Standing(lambda atom: self.evaluate(atom, values)).of(goal)

    def evaluate(self, atom: Atom, values: Assignment) -> Outcome:
        self.work += 1
        if not all(read in values for read in atom.reads):
            return Outcome.OPEN
        key = (atom.same, *(value_key(values[read]) for read in atom.reads))
        outcome = self._outcomes.get(key)
        if outcome is None:
            outcome = self._outcomes[key] = self._evaluated(atom, values)
        return outcome

    def _evaluated(self, atom: Atom, values: Assignment) -> Outcome:
        try:
            value = value_of(atom, values, self._open, self._now)
        except (CelError, RequestError):
            return Outcome.ERROR
        if value is True or value is False:
            return Outcome.TRUE if value else Outcome.FALSE
        return Outcome.ERROR

    def _of(self, read: Read) -> Critical:
        if read == ("model",):
            return Critical(tuple(self.models), frozenset(range(len(self.models))))
        if read == ASKED:
            return Critical((*self.models.values(), ABSENT), frozenset(range(len(self.models) + 1)))
        if read[0] == "estimate" or read in (("request",), ("budgets",)):
            return Critical(why=f"`{read[0]}` is read as a whole")
        if read[0] == "budgets":
            return self._states(read[1])
        if read not in self.uses.by_read:
            return Critical(why=f"no condition reads `{'.'.join(read)}`")
        found = critical_values(self.uses.by_read[read], self._now, read)
        found = replace(found, why=found.why.replace("{}", f"`{'.'.join(read)}`"))
        if read == ("request", WARM_TOKENS):
            found = _with_examples(found, _warm_examples(list(self.models)))
        if is_signal(read) and (signal := self._plan.signals.get(read[2])) is not None and signal.range is not None:
            low, high = signal.range
            found = _kept(found, lambda value: not isinstance(value, int | float) or low <= value <= high)
        attribute = self._plan.attributes.get(read[1]) if len(read) == 2 else None
        if attribute is None:
            return found
        if attribute.never_negative:
            found = _kept(found, lambda value: not isinstance(value, int | float) or value >= 0)
        if attribute.max_size is not None:
            most, before = attribute.max_size, len(found.values)
            found = _kept(found, lambda value: not isinstance(value, str | list | dict) or len(value) <= most)
            if len(found.values) < before and not found.why and not _is_told_by_size(self.uses.by_read[read]):
                found = replace(found, why=f"the size of `{read[1]}` is at most {most}")
        return found if attribute.default is None else _ending_with(attribute.default, found)


_MUCH: Final = 1_000_000
_MOST_EXAMPLES: Final = 16


def _warm_examples(models: Sequence[str]) -> list[dict[str, Value]]:
    """Return examples of what may be warm: much on one model, and on all."""
    alone: list[dict[str, Value]] = [{name: _MUCH} for name in models[:_MOST_EXAMPLES]]
    return [*alone, dict.fromkeys(models, _MUCH)]


def _with_examples(found: Critical, examples: Sequence[Value]) -> Critical:
    """Return critical values with some that stand for nothing but themselves."""
    places = range(len(found.values), len(found.values) + len(examples))
    return replace(found, values=(*found.values, *examples), alone=found.alone | frozenset(places))


def _is_told_by_size(use: Use) -> bool:
    """Say whether those values that are not too long stand for all: of lists, and of texts by their size alone."""
    if use.type.name == "list":
        return not use.searched
    return not (use.literals or use.prefixes or use.suffixes or use.parts or use.patterns or use.has_children)


def _kept(found: Critical, keep: Callable[[Any], bool]) -> Critical:
    """Return those critical values that a place can have."""
    left = [(value, n in found.alone) for n, value in enumerate(found.values) if keep(value)]
    return Critical(
        tuple(value for value, _ in left),
        frozenset(n for n, (_, alone) in enumerate(left) if alone),
        found.why,
        found.type,
    )


def _ending_with(default: Value, found: Critical) -> Critical:
    """Return critical values with the default last, which is there where a caller leaves the attribute out."""
    others = [(value, n in found.alone) for n, value in enumerate(found.values) if not _equal(value, default)]
    values = [*others, (default, True)]
    return Critical(
        tuple(value for value, _ in values),
        frozenset(n for n, (_, alone) in enumerate(values) if alone),
        found.why,
        found.type,
    )


def _equal(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


@dataclass(slots=True)
class _Search:
    """One search. ``why`` says what was not decided, where a branch was left for no better reason than an example."""

    domain: Domain
    goal: Goal
    values: dict[Read, Value | Absent]
    needed: Bits
    alone: set[Read] = field(default_factory=set)
    steps: int = 0
    why: str = ""
    begun: int = 0

    def run(self) -> Result:
        self.alone.update(self.values)
        self.begun = self.domain.work
        try:
            if self._met():
                return Found(dict(self.values))
        except RecursionError:
            return Undecided("the conditions read very many places")
        if self._is_over():
            return Undecided("there are very many combinations")
        return Undecided(self.why) if self.why else Nothing()

    def _met(self) -> bool:
        """Give a value to one place after the other until the goal is met."""
        self.steps += 1
        standing = Standing(self._evaluate)
        met = standing.of(self.goal)
        if met is not None or self._is_over():
            if met is False and not self.why:
                self.why = self._doubt()
            return bool(met)
        atom = standing.open
        assert atom is not None
        read = next(read for read in atom.reads if read not in self.values)
        critical = self.domain.critical(read)
        self.why = self.why or critical.why
        needed = self.needed.get(read, -1)
        for place in reversed(range(len(critical.values))):  # what no rule names comes last, and mostly will do
            if not needed >> place & 1:
                continue
            self.values[read] = critical.values[place]
            if place in critical.alone:
                self.alone.add(read)
            if self._met():
                return True
            del self.values[read]
            self.alone.discard(read)
            if self._is_over():
                return False
        return False

    def _is_over(self) -> bool:
        if self.steps % 256 == 0 and self.domain.is_over:
            return True
        return self.steps > _MOST_STEPS or self.domain.work - self.begun > _MOST_WORK

    def _evaluate(self, atom: Atom) -> Outcome:
        return self.domain.evaluate(atom, self.values)

    def _doubt(self) -> str:
        """Say why the goal, which these values do not meet, might be met by others for which they stand."""
        doubtful: list[str] = []

        def evaluate(atom: Atom) -> Outcome:
            if atom.searched and not self.alone.issuperset(atom.reads):
                doubtful.append(atom.searched)
                return Outcome.OPEN
            return self.domain.evaluate(atom, self.values)

        return doubtful[0] if Standing(evaluate).of(self.goal) is None and doubtful else ""
