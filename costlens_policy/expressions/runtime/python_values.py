"""CEL values from plain Python ones, as JSON, YAML and callers have them, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Any, Final

from costlens_policy.errors import CostlensPolicyError
from costlens_policy.expressions.runtime.arithmetic import INT_MAX, INT_MIN
from costlens_policy.expressions.runtime.collections import add_entry, value_of_key
from costlens_policy.expressions.runtime.errors import CelError
from costlens_policy.expressions.runtime.kinds import type_name
from costlens_policy.expressions.types import Type
from costlens_policy.expressions.values import NO_VALUE, Duration, OptionalValue, Timestamp, Uint, Value

__all__ = ["AdmissionError", "from_datetime", "from_python", "from_timedelta", "to_python"]

_DEEPEST: Final = 64
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_READY: Final = (Uint, Timestamp, Duration, Type, OptionalValue, IPv4Address, IPv6Address, IPv4Interface, IPv6Interface)


class AdmissionError(CostlensPolicyError, ValueError):
    """A value is not one of CEL, or not of the declared type. The message continues "the attribute …"."""


def from_python(value: Any, depth: int = 0) -> Value:
    """Return the CEL value that a plain Python value stands for. Raises AdmissionError.

    ``Decimal`` becomes a double, an aware ``datetime`` a timestamp, a ``timedelta`` a duration.
    """
    if type(value) is str:
        return value
    if value is None or value is True or value is False or isinstance(value, _READY):
        return value
    if isinstance(value, str):
        return value if type(value) is str else str.__str__(value)
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float | Decimal):
        return _double(value)
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if isinstance(value, datetime):
        return from_datetime(value)
    if isinstance(value, timedelta):
        return from_timedelta(value)
    return _container(value, depth)


def _container(value: Any, depth: int) -> Value:
    if depth >= _DEEPEST:
        raise AdmissionError(f"nests deeper than {_DEEPEST} levels")
    if isinstance(value, list | tuple):
        return [from_python(element, depth + 1) for element in value]
    if not isinstance(value, Mapping):
        raise AdmissionError(f"is a Python {type(value).__name__}, which expressions do not know")
    entries: dict[Value, Value] = {}
    for key, element in value.items():
        try:
            add_entry(entries, from_python(key, depth + 1), from_python(element, depth + 1))
        except CelError as problem:
            raise AdmissionError(f"holds a map in which {problem}") from None
    return entries


def _integer(value: int) -> int:
    if INT_MIN <= value <= INT_MAX:
        return int(value)
    raise AdmissionError("is an integer that does not fit in 64 bits")


def _double(value: float | Decimal) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise AdmissionError("is not a finite number")
    return number


def from_datetime(value: datetime) -> Timestamp:
    """Return the instant, exact to the microsecond. Raises AdmissionError for a time without a zone."""
    if value.utcoffset() is None:
        raise AdmissionError("is a time without a time zone")
    return Timestamp((value - _EPOCH) // _MICROSECOND * 1000)


def from_timedelta(value: timedelta) -> Duration:
    return Duration(value // _MICROSECOND * 1000)


def to_python(value: Value) -> Any:
    """Return a CEL value as plain Python: the inverse of ``from_python`` as far as there is one.

    Timestamps and durations are cut to microseconds; an optional becomes its value or None; a type and an
    address become text.
    """
    if isinstance(value, list | tuple):
        return [to_python(element) for element in value]
    if isinstance(value, dict):
        return {value_of_key(key): to_python(entry) for key, entry in value.items()}
    if isinstance(value, Uint):
        return int(value)
    if isinstance(value, Timestamp):
        return _EPOCH + timedelta(microseconds=value.nanoseconds // 1000)
    if isinstance(value, Duration):
        return timedelta(microseconds=value.nanoseconds // 1000)
    if isinstance(value, OptionalValue):
        return None if value is NO_VALUE else to_python(value.value)
    return _text_or_itself(value)


def _text_or_itself(value: Value) -> Any:
    if isinstance(value, Type):
        return type_name(value)
    return str(value) if isinstance(value, _READY) else value
