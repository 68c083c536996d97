"""Parameters of the call: set, kept within bounds, removed."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from costlens_policy.documents.parameters import OUTPUT_LIMIT, OUTPUT_LIMIT_NAMES, canonical_parameter
from costlens_policy.frozen import frozen
from costlens_policy.rewrites.content import NOT_A_NUMBER, Change, Content, RewriteError, Rewritten
from costlens_policy.rewrites.steps import Activation, Making, Merge, Step, compiles

if TYPE_CHECKING:
    from costlens_policy.documents.rewrites import ClampParams, RemoveParams, SetParams

__all__ = ["ClampStep", "RemoveStep", "SetStep"]

_Number: TypeAlias = int | float


@frozen
class SetStep:
    """Sets a parameter. The output limit keeps the name, or the names, that the request gives it."""

    name: str
    value: Any

    @property
    def target(self) -> str:
        return f"params.{self.name}"

    def apply(self, content: Content, activation: Activation) -> Rewritten:
        params = dict(content.params)
        for name in _present(self.name, params) or (self.name,):
            params[name] = copy.deepcopy(self.value)
        if _equal(params, content.params):
            return content, ()
        shown = json.dumps(self.value, ensure_ascii=False, default=str)
        detail = f"set to {shown}" if len(shown) <= 60 else "set"
        return _with_params(content, params), (Change("set_params", self.target, detail),)

    def merged(self, later: Step, merge: Merge) -> Step | None:
        if merge not in ("min", "max"):
            return None
        if isinstance(later, ClampStep):
            return later.merged(self, merge)
        if not isinstance(later, SetStep) or not (_is_number(self.value) and _is_number(later.value)):
            return None
        return SetStep(self.name, (min if merge == "min" else max)(self.value, later.value))


@frozen
class ClampStep:
    """Keeps a number within bounds; where they cross, the upper one holds. What is absent or null stays so."""

    name: str
    low: _Number | None
    high: _Number | None

    @property
    def target(self) -> str:
        return f"params.{self.name}"

    def apply(self, content: Content, activation: Activation) -> Rewritten:
        params = content.params
        changes: tuple[Change, ...] = ()
        for name in _present(self.name, params):
            value = params[name]
            if value is None:
                continue
            if not _is_number(value):
                raise RewriteError(NOT_A_NUMBER, f"the parameter `{name}` must be a number")
            bounded = self._bounded(value)
            if bounded != value:
                params = {**params, name: bounded}
                changes += (_bounding(name, bounded, bounded < value),)
        return (_with_params(content, params), changes) if changes else (content, ())

    def merged(self, later: Step, merge: Merge) -> Step | None:
        if merge not in ("min", "max"):
            return None
        if isinstance(later, SetStep) and _is_number(later.value):
            bound = ClampStep(self.name, None, self.high) if merge == "min" else ClampStep(self.name, self.low, None)
            return SetStep(self.name, bound._bounded(later.value))
        if isinstance(later, ClampStep):
            return ClampStep(self.name, _either(self.low, later.low, merge), _either(self.high, later.high, merge))
        return None

    def _bounded(self, value: Any) -> Any:
        if self.low is not None and value < self.low:
            value = self.low
        if self.high is not None and value > self.high:
            value = self.high
        return value


@frozen
class RemoveStep:
    """Takes a parameter out of the call, under every name it has."""

    name: str

    @property
    def target(self) -> str:
        return f"params.{self.name}"

    def apply(self, content: Content, activation: Activation) -> Rewritten:
        names = _present(self.name, content.params)
        if not names:
            return content, ()
        params = {name: value for name, value in content.params.items() if name not in names}
        return _with_params(content, params), (Change("remove_params", self.target, "removed"),)

    def merged(self, later: Step, merge: Merge) -> Step | None:
        return None


@lru_cache(1024, typed=True)
def _bounding(name: str, bound: _Number, lowered: bool) -> Change:
    """Return what is reported of a number that was out of bounds: one of two things for each bound of a policy."""
    return Change("clamp_params", f"params.{name}", f"{'lowered' if lowered else 'raised'} to {bound}")


def _present(name: str, params: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names under which a request has a parameter."""
    if name != OUTPUT_LIMIT:
        return (name,) if name in params else ()
    return tuple([item for item in OUTPUT_LIMIT_NAMES if item in params])


def _is_number(value: Any) -> bool:
    """Return whether a value is a number; a truth value is none, nor is NaN."""
    if type(value) is int:
        return True
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value


def _equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Compare as JSON does: 1, 1.0 and true differ in Python only by type."""
    return one == other and all(type(value) is type(other[name]) for name, value in one.items())


def _either(one: _Number | None, other: _Number | None, merge: Merge) -> _Number | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other) if merge == "min" else max(one, other)


def _with_params(content: Content, params: Mapping[str, Any]) -> Content:
    return Content(content.prompt, content.messages, params, content.system, content.tools)


@compiles("set_params")
def _set_params(section: SetParams, making: Making) -> Iterator[Step]:
    return (SetStep(canonical_parameter(name), _plain(value)) for name, value in section.root.items())


@compiles("clamp_params")
def _clamp_params(section: ClampParams, making: Making) -> Iterator[Step]:
    for name, bounds in section.root.items():
        yield ClampStep(canonical_parameter(name), _bound(bounds.min), _bound(bounds.max))


@compiles("remove_params")
def _remove_params(section: RemoveParams, making: Making) -> Iterator[Step]:
    return (RemoveStep(canonical_parameter(name)) for name in section.root)


def _bound(bound: Decimal | None) -> int | float | None:
    return None if bound is None else _number(bound)


def _number(number: Decimal) -> int | float:
    return int(number) if number == number.to_integral_value() else float(number)


def _plain(value: Any) -> Any:
    """Return a value of a document as JSON has it: numbers are floats or whole, dates are texts."""
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
