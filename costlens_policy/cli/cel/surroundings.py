"""What an expression may name, and the values that those names have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce

from costlens_policy.expressions import (
    DEFAULT_LIMITS,
    DYN,
    Environment,
    Limits,
    Type,
    Value,
    list_of,
    map_of,
    optional_of,
)
from costlens_policy.expressions.runtime.collections import value_of_key
from costlens_policy.expressions.runtime.kinds import kind_of
from costlens_policy.expressions.runtime.limits import DEFAULT_RUN_LIMITS, RunLimits
from costlens_policy.expressions.values import OptionalValue

__all__ = ["Surroundings", "of_values", "type_by_shape"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """``values`` has what is known of the environment's variables; ``run_limits`` are those of one evaluation."""

    environment: Environment
    values: Mapping[str, Value]
    limits: Limits = DEFAULT_LIMITS
    run_limits: RunLimits = DEFAULT_RUN_LIMITS


def of_values(values: Mapping[str, Value]) -> Surroundings:
    """Return surroundings in which every variable has a value, and the type that the value shows."""
    return Surroundings(Environment({name: type_by_shape(value) for name, value in values.items()}), values)


def type_by_shape(value: Value) -> Type:
    """Return the type that a value shows; lists and maps of unlike parts, and empty ones, hold ``dyn``."""
    if isinstance(value, list | tuple):
        return list_of(_common(map(type_by_shape, value)))
    if isinstance(value, dict):
        keys = _common(type_by_shape(value_of_key(key)) for key in value)
        return map_of(keys, _common(map(type_by_shape, value.values())))
    if isinstance(value, OptionalValue):
        return optional_of(DYN)
    return DYN if value is None else Type(kind_of(value))


def _common(types: Iterable[Type]) -> Type:
    """Return the type of all; where they differ, of the parts that agree."""
    return reduce(_meet, dict.fromkeys(types), None) or DYN


def _meet(known: Type | None, other: Type) -> Type:
    if known is None or known == other:
        return other
    if known.name != other.name or not known.parameters:
        return DYN
    return Type(known.name, tuple(map(_meet, known.parameters, other.parameters)))
