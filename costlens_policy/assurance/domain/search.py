"""Search for a request that meets a goal: values are given to one place after the other, and a branch is left as soon
as the goal cannot be met any more.

Atoms are evaluated by the compiled expressions themselves, on a request that has only what they read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from costlens_policy.assurance.domain.formulas import Goal, Outcome, Standing
from costlens_policy.assurance.domain.reads import Atom, Read, Tree, Uses
from costlens_policy.assurance.domain.values import ABSENT, Absent, critical_values
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.plan import Plan
from costlens_policy.expressions import Value
from costlens_policy.expressions.runtime import CelError, from_python
from costlens_policy.frozen import frozen

__all__ = ["Assignment", "Domain", "Found", "Nothing", "Result", "Undecided"]

_MOST_STEPS: Final = 20_000
_BEGIN: Final = datetime(2026, 1, 5, 12, 30, tzinfo=UTC)

Assignment: TypeAlias = Mapping[Read, Value | Absent]


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
    """The conditions of a plan over their critical values. Register every condition before the first search."""

    def __init__(self, plan: Plan, now: datetime = _BEGIN) -> None:
        self._plan = plan
        self._now = now
        priced = [plan.snapshots.of(model, now.date()) for model in plan.catalogue]
        self.models = {item.model.name: item.view for item in priced}
        self.uses = Uses(list(self.models.values()), {name: step.id for name, (_, step) in plan.budgets.items()})
        self._values: dict[Read, tuple[tuple[Value | Absent, ...], str]] = {}
        self._outcomes: dict[tuple[object, ...], Outcome] = {}

    def tree(self, formula: Formula, layer: int) -> Tree:
        """Return the tree of a condition of a layer."""
        return self.uses.tree(formula, layer, self._plan.layers[layer].variables)

    def values(self, read: Read) -> tuple[Value | Absent, ...]:
        """Return the critical values of a place; none for what cannot be given one."""
        return self._critical(read)[0]

    def why_searched(self, read: Read) -> str:
        """Return why the critical values of a place do not stand for all; empty where they do."""
        return self._critical(read)[1]

    def find(self, goal: Goal, given: Assignment | None = None) -> Result:
        """Search for values that meet a goal, beside those that are given."""
        return _Search(self, goal, dict(given or {})).run()

    def met(self, goal: Goal, values: Assignment) -> bool | None:
        """Return whether values meet a goal, None where it asks for more."""
        return Standing(lambda atom: self.evaluate(atom, values)).of(goal)

    def evaluate(self, atom: Atom, values: Assignment) -> Outcome:
        if not all(read in values for read in atom.reads):
            return Outcome.OPEN
        key = (atom, *(_key(values[read]) for read in atom.reads))
        outcome = self._outcomes.get(key)
        if outcome is None:
            outcome = self._outcomes[key] = self._evaluated(atom, values)
        return outcome

    def _evaluated(self, atom: Atom, values: Assignment) -> Outcome:
        inputs = Inputs.of({read: values[read] for read in atom.reads}, self.models)
        variables = _Variables(self._plan.layers[atom.layer].variables, inputs)
        try:
            value = atom.formula.evaluate(*inputs.roots(variables))
        except CelError:
            return Outcome.ERROR
        if value is True or value is False:
            return Outcome.TRUE if value else Outcome.FALSE
        return Outcome.ERROR

    def _critical(self, read: Read) -> tuple[tuple[Value | Absent, ...], str]:
        if read not in self._values:
            self._values[read] = self._of(read)
        return self._values[read]

    def _of(self, read: Read) -> tuple[tuple[Value | Absent, ...], str]:
        if read == ("model",):
            return tuple(self.models), ""
        if read[0] == "estimate" or read in (("request",), ("budgets",)):
            return (), "it is read as a whole"
        use = self.uses.by_read[read]
        if read[0] == "budgets":
            values, why = critical_values(use, self._now)
            return tuple(value for value in values if not isinstance(value, float) or value >= 0), why
        attribute = self._plan.attributes.get(read[1]) if len(read) == 2 else None
        values, why = critical_values(use, self._now)
        if attribute is None:
            return values, why
        if attribute.never_negative:
            values = tuple(value for value in values if not isinstance(value, int | float) or value >= 0)
        if attribute.default is not None:
            values = tuple(_unique_first(attribute.default, values))
        if attribute.max_size is not None:
            values = tuple(value for value in values if not _is_longer(value, attribute.max_size))
        return values, why


def _unique_first(first: Value, values: Iterable[Value | Absent]) -> Iterable[Value | Absent]:
    yield first
    yield from (value for value in values if value != first or type(value) is not type(first))


def _is_longer(value: Value | Absent, most: int) -> bool:
    return isinstance(value, str | list | dict) and len(value) > most


def _key(value: Value | Absent) -> object:
    return (type(value), repr(value)) if isinstance(value, list | dict | float) else (type(value), value)


@dataclass(slots=True)
class Inputs:
    """What expressions are given: a request, the states of budgets, a model and a time."""

    request: dict[str, Value]
    budgets: dict[str, dict[str, Value]]
    model: Mapping[str, Value] | None
    now: Value

    @classmethod
    def of(cls, values: Assignment, models: Mapping[str, Mapping[str, Value]]) -> Inputs:
        found = cls({}, {}, None, from_python(_BEGIN))
        for read in sorted(values, key=len):
            value = values[read]
            if value is ABSENT:
                continue
            if read[0] == "request":
                found._put(read[1:], value)
            elif read[0] == "budgets":
                found.budgets.setdefault(read[1], {})[read[2]] = value
            elif read[0] == "model":
                found.model = models[str(value)]
            elif read[0] == "now":
                found.now = value
        return found

    def _put(self, steps: Sequence[str], value: Value) -> None:
        """Put a value into the request, unless what it is inside of is not there, or no object."""
        place: Any = self.request
        for step in steps[:-1]:
            place = place.get(step) if isinstance(place, dict) else None
        if isinstance(place, dict):
            place[steps[-1]] = dict(value) if isinstance(value, dict) else value

    def roots(self, variables: Mapping[str, Value]) -> tuple[Value, ...]:
        return (self.request, variables, self.budgets, self.model, None, self.now)


class _Variables(dict[str, Value]):
    """The variables of one layer, evaluated when they are read."""

    def __init__(self, formulas: Mapping[str, Formula], inputs: Inputs) -> None:
        self._formulas = formulas
        self._inputs = inputs

    def __contains__(self, name: object) -> bool:
        return name in self._formulas

    def __missing__(self, name: str) -> Value:
        value = self[name] = self._formulas[name].evaluate(*self._inputs.roots(self))
        return value

    def get(self, name: str, default: Value = None) -> Value:
        return self[name] if name in self._formulas else default


@dataclass(slots=True)
class _Search:
    domain: Domain
    goal: Goal
    values: dict[Read, Value | Absent]
    steps: int = 0
    why: str = ""
    tried: set[Read] = field(default_factory=set)

    def run(self) -> Result:
        if self._met():
            return Found(self._smallest())
        if self.steps > _MOST_STEPS:
            return Undecided("there are very many combinations")
        why = self.why or next((why for read in self.tried if (why := self.domain.why_searched(read))), "")
        return Undecided(why) if why else Nothing()

    def _met(self) -> bool:
        """Give a value to one place after the other until the goal is met."""
        self.steps += 1
        standing = Standing(lambda atom: self.domain.evaluate(atom, self.values))
        met = standing.of(self.goal)
        if met is not None or self.steps > _MOST_STEPS:
            return bool(met) and self.steps <= _MOST_STEPS
        atom = standing.open
        assert atom is not None
        self.why = self.why or atom.searched
        read = next(read for read in atom.reads if read not in self.values)
        self.tried.add(read)
        values = self.domain.values(read)
        if not values:
            self.why = self.why or self.domain.why_searched(read)
        for value in values:
            self.values[read] = value
            if self._met():
                return True
            del self.values[read]
        return False

    def _smallest(self) -> Assignment:
        """Leave out of the values what the goal does not need."""
        values = dict(self.values)
        for read in list(values):
            if ABSENT in self.domain.values(read) and values[read] is not ABSENT:
                without = {**values, read: ABSENT}
                if self.domain.met(self.goal, without):
                    values = without
        return values
