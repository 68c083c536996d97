"""The optionals extension. ``or`` and ``orValue`` are lazy: the compiler evaluates their argument only when needed."""

from __future__ import annotations

from collections.abc import Sequence

from costlens_policy.expressions.runtime.errors import NO_OPTIONAL_VALUE, NO_OVERLOAD, CelError
from costlens_policy.expressions.runtime.implementations import implements
from costlens_policy.expressions.values import NO_VALUE, Duration, OptionalValue, Timestamp, Value

__all__ = ["of_non_zero", "unwrap", "value_of"]

implements("optional_of")(OptionalValue)
implements("optional_none")(lambda: NO_VALUE)


@implements("optional_ofNonZeroValue")
def of_non_zero(value: Value) -> OptionalValue:
    """Return an optional without a value for null, false, zero and what is empty."""
    if isinstance(value, Timestamp | Duration):
        return OptionalValue(value) if value.nanoseconds else NO_VALUE
    return OptionalValue(value) if value or value is NO_VALUE else NO_VALUE


@implements("optional_hasValue")
def has_value(optional: OptionalValue) -> bool:
    return optional is not NO_VALUE


@implements("optional_value")
def value_of(optional: OptionalValue) -> Value:
    if optional is NO_VALUE:
        raise CelError(NO_OPTIONAL_VALUE, "the optional has no value")
    return optional.value


@implements("optional_or_optional")
def either(optional: OptionalValue, other: OptionalValue) -> OptionalValue:
    return other if optional is NO_VALUE else optional


@implements("optional_orValue_value")
def value_or(optional: OptionalValue, other: Value) -> Value:
    return other if optional is NO_VALUE else optional.value


@implements("optional_unwrap", "optional_unwrapOpt")
def unwrap(optionals: Sequence[Value]) -> list[Value]:
    """Return what the optionals of a list hold. Raises CelError when an element is none."""
    if not all(type(optional) is OptionalValue for optional in optionals):
        raise CelError(NO_OVERLOAD, "only a list of optionals can be unwrapped")
    return [optional.value for optional in optionals if optional is not NO_VALUE]
