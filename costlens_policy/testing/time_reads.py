"""Does a plan read time: an expression reads ``now``, prices change by day, or spend adds up in a window."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from costlens_policy.catalogue import Model
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.plan import Plan
from costlens_policy.diagnostics.model import Span

__all__ = ["TimeRead", "first_time_read"]


@dataclass(frozen=True, slots=True)
class TimeRead:
    """Something that depends on time, as the end of the sentence "time matters: …", and where it is written."""

    what: str
    span: Span | None = None


def first_time_read(plan: Plan, places: Mapping[str, Span]) -> TimeRead | None:
    """Return one thing in a plan that depends on time, or None where no decision ever does.

    ``places`` are those of the rules by their ids.
    """
    return next(_time_reads(plan, places), None)


def _time_reads(plan: Plan, places: Mapping[str, Span]) -> Iterator[TimeRead]:
    for formula in _formulas((plan.layers, plan.defaults.route)):
        if formula.reads("now"):
            yield TimeRead("an expression reads `now`", formula.span)
    for layer in plan.layers:
        for budget in layer.budgets:
            if not budget.per_call:
                yield TimeRead(f"budget `{budget.id}` has a window", places.get(budget.id))
    for model in plan.catalogue:
        if what := _dated(model):
            yield TimeRead(what)


def _formulas(value: Any) -> Iterator[Formula]:
    """Walk through the parts of a plan; what is neither a step nor a collection of steps holds no expression."""
    if isinstance(value, Formula):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _formulas(item)
    elif isinstance(value, Mapping):
        yield from _formulas(tuple(value.values()))
    elif is_dataclass(value):
        for part in fields(value):
            yield from _formulas(getattr(value, part.name))


def _dated(model: Model) -> str:
    if len(model.periods) > 1 or any(period.effective is not None for period in model.periods):
        return f"the prices of `{model.name}` depend on the day"
    if model.deprecated is not None or model.retired is not None:
        return f"`{model.name}` is no longer offered from a day on"
    return ""
