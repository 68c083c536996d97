"""CEL values from plain Python ones, as JSON, YAML and callers have them, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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

__all__ = ["AdmissionError", "from_datetime", "from_python", "from_timedelta", "of_library", "placed", "to_python"]

_DEEPEST: Final = 64
_MOST: Final = 1_000_000
"""Values inside one value. What JSON can bring is far below; lists that hold each other multiply without end."""
_LONGEST_PLACE: Final = 300
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_READY: Final = (Uint, Timestamp, Duration, Type, OptionalValue, IPv4Address, IPv6Address, IPv4Interface, IPv6Interface)


class AdmissionError(CostlensPolicyError, ValueError):
    """A value is not one of CEL, or not of the declared type. The message continues "the attribute …"."""


def placed(place: str, problem: AdmissionError) -> AdmissionError:
    """Return the problem of a value that stands at a place inside another one."""
    text = str(problem)
    if len(text) > _LONGEST_PLACE:
        return problem
    separator = "" if text.startswith(("[", ".", " ")) else " "
    return AdmissionError(f"{place}{separator}{text}")


def from_python(value: Any) -> Value:
    """Return the CEL value that a plain Python value stands for. Raises AdmissionError, with the place inside it.

    What comes out is plain to the last level: a ``StrEnum``, an ``IntEnum``, a ``Markup`` or a number of numpy becomes
    the text or number that it is, since generated code asks for exact types. ``Decimal`` becomes a double, an aware
    ``datetime`` a timestamp, a ``timedelta`` a duration; a model of pydantic, as SDKs return messages, what it dumps.
    """
    return _admitted(value, 0, None)


def _admitted(value: Any, depth: int, room: list[int] | None) -> Value:
    if type(value) is str:
        return value
    if value is None or value is True or value is False or isinstance(value, _READY):
        return value
    if isinstance(value, str):
        return str.__str__(value)
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
    return _nested(value, depth, [_MOST] if room is None else room)


def _nested(value: Any, depth: int, room: list[int]) -> Value:
    if depth >= _DEEPEST:
        raise AdmissionError(f"nests deeper than {_DEEPEST} levels")
    if isinstance(value, list | tuple):
        return _list(value, depth + 1, room)
    if isinstance(value, Mapping):
        return _map(value, depth + 1, room)
    inner = of_library(value)
    if inner is value:
        raise AdmissionError(f"is a Python {type(value).__name__}, which expressions do not know")
    return _admitted(inner, depth + 1, room)


def _list(value: Sequence[Any], depth: int, room: list[int]) -> list[Value]:
    _take(room, len(value))
    elements: list[Value] = []
    try:
        for element in value:
            elements.append(_admitted(element, depth, room))
    except AdmissionError as problem:
        raise placed(f"[{len(elements)}]", problem) from None
    return elements


def _map(value: Mapping[Any, Any], depth: int, room: list[int]) -> dict[Value, Value]:
    _take(room, len(value))
    entries: dict[Value, Value] = {}
    key: Any = None
    try:
        for key, element in value.items():
            add_entry(entries, _admitted(key, depth, room), _admitted(element, depth, room))
    except AdmissionError as problem:
        raise placed(f".{str(key)[:60]}", problem) from None
    except CelError as problem:
        raise AdmissionError(f"holds a map in which {problem}") from None
    return entries


def _take(room: list[int], count: int) -> None:
    room[0] -= count
    if room[0] < 0:
        raise AdmissionError(f"holds more than {_MOST:,} values")


def of_library(value: Any) -> Any:
    """Return a scalar or array of numpy, or a model of pydantic, as Python's own types; anything else as it is."""
    kind = type(value)
    if kind.__module__.partition(".")[0] == "numpy" and hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(kind, "model_dump") and hasattr(kind, "model_fields"):
        given = value.model_dump(mode="json", exclude_unset=True)  # as the SDKs themselves send such an object
        return _with_defaults(given, value.model_dump(mode="json", exclude_none=True))
    return value


def _with_defaults(given: Any, whole: Any) -> Any:
    """Add what a model has by default and says something: LangChain's ``type``, texts of models of one's own."""
    if isinstance(given, dict) and isinstance(whole, dict):
        told = {key: _with_defaults(item, whole.get(key)) for key, item in given.items()}
        return told | {key: item for key, item in whole.items() if key not in given and item}
    if isinstance(given, list) and isinstance(whole, list) and len(given) == len(whole):
        return [_with_defaults(item, other) for item, other in zip(given, whole, strict=True)]
    return given


def _integer(value: int) -> int:
    if INT_MIN <= value <= INT_MAX:
        return int.__index__(value)
    raise AdmissionError("is an integer that does not fit in 64 bits")


def _double(value: float | Decimal) -> float:
    try:
        number = float.__float__(value) if isinstance(value, float) else float(value)
    except ValueError:  # a signaling NaN
        number = math.nan
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
