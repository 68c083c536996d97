"""What an atom is evaluated on: the engine's own context, of a request that has only what the atom reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from costlens_policy.assurance.domain.trees import ASKED, Atom, Read, is_signal
from costlens_policy.assurance.domain.values import ABSENT, Absent
from costlens_policy.checker.attributes import ASKED_MODEL
from costlens_policy.compiler.formula import ROOTS
from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.context import Context
from costlens_policy.engine.facts import Balance
from costlens_policy.expressions import Value
from costlens_policy.expressions.runtime import to_python

__all__ = ["open_plan", "value_of"]


def open_plan(plan: Plan) -> Plan:
    """Return a plan whose contexts have all that any condition may read, also one that no rule of the plan has."""
    return replace(plan, reads=frozenset(ROOTS), reads_asked_model=True, reads_signals=frozenset(plan.signals))


def value_of(atom: Atom, values: Mapping[Read, Any], plan: Plan, now: datetime) -> Value:
    """Return the value of an atom where the places that it reads have these values. Raises ``CelError``."""
    request: dict[str, Value] = {}
    states = _States()
    model = None
    for read in sorted(atom.reads, key=len):
        value = values[read]
        if value is ABSENT:
            if is_signal(read):
                _put(request, read[1:], None)
            continue
        if read[0] == "budgets":
            states.by_budget[read[1]] = value
        elif read[0] == "model":
            model = value
        elif read[0] == "now":
            now = to_python(value)
        elif read != ASKED:
            _put(request, read[1:], value)
    context = Context(plan, request, states, now)
    asked = values.get(ASKED, ABSENT)
    if asked is not ABSENT:
        context.view = {**context.view, ASKED_MODEL: asked}
    view = None if model is None else context.priced_model(model).view
    return context.evaluate(atom.same.formula, atom.layer, view)


class _States(dict[tuple[str, str], Balance]):
    """The states of budgets, whatever the scope key."""

    def __init__(self) -> None:
        super().__init__()
        self.by_budget: dict[str, Balance] = {}

    def get(self, place: tuple[str, str], default: Any = None) -> Any:
        return self.by_budget.get(place[0], default)


def _put(request: dict[str, Value], steps: Sequence[str], value: Value | Absent) -> None:
    """Put a value into the request, unless what it is inside of is not there, or no object."""
    place: Any = request
    for step in steps[:-1]:
        place = place.get(step) if isinstance(place, dict) else None
    if isinstance(place, dict):
        place[steps[-1]] = dict(value) if isinstance(value, dict) else value
