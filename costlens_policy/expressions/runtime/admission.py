"""The border at which a caller's value becomes one of a declared type, or is refused.

Compiled expressions trust their types: what is admitted as ``list(string)`` holds strings only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Any, Final

from costlens_policy.errors import CostlensPolicyError
from costlens_policy.expressions.errors import CelError
from costlens_policy.expressions.runtime.collections import add_entry, value_of_key
from costlens_policy.expressions.runtime.equality import kind_of, type_name
from costlens_policy.expressions.runtime.operators import INT_MAX, INT_MIN, UINT_MAX
from costlens_policy.expressions.runtime.times import parse_duration, parse_timestamp
from costlens_policy.expressions.types import Record, Type
from costlens_policy.expressions.values import NO_VALUE, Duration, OptionalValue, Timestamp, Uint, Value

__all__ = [
    "AdmissionError", "admit", "admitter", "from_datetime", "from_python", "from_timedelta", "of_library", "placed",
    "to_python",
]  # fmt: skip


_DEEPEST: Final = 64
_MOST: Final = 1_000_000
"""Values inside one value. What JSON can bring is far below; lists that hold each other multiply without end."""
_LONGEST_PLACE: Final = 300
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_READY: Final = (Uint, Timestamp, Duration, Type, OptionalValue, IPv4Address, IPv6Address, IPv4Interface, IPv6Interface)
_PLAIN: Final = frozenset({bool, type(None)})


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
    kind = type(value)
    if kind is str or kind in _PLAIN:
        return value
    if kind is dict or kind is list:  # as JSON has them, so that the next lines are for what else there is
        return _nested(value, depth, [_MOST] if room is None else room)
    if (kind is float and -math.inf < value < math.inf) or (kind is int and INT_MIN <= value <= INT_MAX):
        return value
    if isinstance(value, _READY):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float | Decimal):
        return _finite(value)
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
    if type(value) is dict:
        return _map(value, depth + 1, room)
    if isinstance(value, (list, tuple)):
        return _list(value, depth + 1, room)
    if isinstance(value, Mapping):
        return _map(value, depth + 1, room)
    inner = of_library(value)
    if inner is value:
        raise AdmissionError(f"is a Python {type(value).__name__}, which expressions do not support")
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
            if type(key) is str and key not in entries:
                entries[key] = element if type(element) is str else _admitted(element, depth, room)
            else:
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


def _finite(value: float | Decimal) -> float:
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


_Admit = Callable[[Any], Value]
_NO_RECORDS: Final[Mapping[str, Record]] = {}


def admit(value: Any, declared: Type, records: Mapping[str, Record] = _NO_RECORDS) -> Value:
    """Return a plain Python value as a CEL value of the declared type. Raises AdmissionError."""
    return admitter(declared, records)(value)


def admitter(declared: Type, records: Mapping[str, Record] = _NO_RECORDS) -> _Admit:
    """Return the function that admits values of a type; made once, it is called for every request."""
    scalar = _SCALARS.get(declared.name)
    if scalar is not None:
        return scalar
    if declared.name == "list" and declared.parameters:
        return _list_admitter(admitter(declared.parameters[0], records))
    if declared.name == "map" and declared.parameters:
        return _map_admitter(*(admitter(parameter, records) for parameter in declared.parameters))
    if declared.name in records:
        return _record_admitter(records[declared.name], records)
    return from_python


def _list_admitter(element: _Admit) -> _Admit:
    def admit_list(value: Any) -> Value:
        if not isinstance(value, list | tuple):
            return _otherwise(admit_list, "a list", value)
        return [_within(f"[{index}]", element, inner) for index, inner in enumerate(value)]

    return admit_list


def _map_admitter(key: _Admit, element: _Admit) -> _Admit:
    def admit_map(value: Any) -> Value:
        if type(value) is not dict or key is not _string:
            return one_by_one(value)
        try:
            return {name if type(name) is str else _string(name): element(inner) for name, inner in value.items()}
        except AdmissionError:
            return one_by_one(value)  # which says at what place

    def one_by_one(value: Any) -> Value:
        if not isinstance(value, Mapping):
            return _otherwise(one_by_one, "an object", value)
        entries: dict[Value, Value] = {}
        for name, inner in value.items():
            try:
                add_entry(entries, _within(" has a key that", key, name), _within(f".{name}", element, inner))
            except CelError as problem:
                raise AdmissionError(f"holds a map in which {problem}") from None
        return entries

    return admit_map


def _record_admitter(record: Record, records: Mapping[str, Record]) -> _Admit:
    fields = {name: admitter(field.type, records) for name, field in record.fields.items()}
    required = [name for name, field in record.fields.items() if not field.optional]

    def admit_record(value: Any) -> Value:
        if not isinstance(value, Mapping):
            return _otherwise(admit_record, "an object", value)
        for name in value:
            if name not in fields:
                raise AdmissionError(f"has no field `{name}`")
        for name in required:
            if name not in value:
                raise AdmissionError(f"lacks its field `{name}`")
        return {name: _within(f".{name}", fields[name], inner) for name, inner in value.items()}

    return admit_record


def _within(place: str, admit_inner: _Admit, value: Any) -> Value:
    """Admit what stands at a place inside a value, and say so where it is refused."""
    try:
        return admit_inner(value)
    except AdmissionError as problem:
        raise placed(place, problem) from None


def _bool(value: Any) -> bool:
    if value is True or value is False:
        return bool(value)
    return _otherwise(_bool, "true or false", value)  # type: ignore[no-any-return]  # what it returns itself


def _int(value: Any) -> int:
    if isinstance(value, int) and value is not True and value is not False:
        return from_python(value)  # type: ignore[no-any-return]  # an int stays one
    return _otherwise(_int, "an integer", value)  # type: ignore[no-any-return]  # what it returns itself


def _uint(value: Any) -> Uint:
    if not isinstance(value, int) or value is True or value is False:
        return _otherwise(_uint, "an integer", value)  # type: ignore[no-any-return]  # what it returns itself
    if value < 0:
        raise AdmissionError("must not be negative")
    if value > UINT_MAX:
        raise AdmissionError("is an integer that does not fit in 64 bits")
    return Uint(value)


def _double(value: Any) -> float:
    if isinstance(value, float | int | Decimal) and value is not True and value is not False:
        try:
            return from_python(float(value) if isinstance(value, int) else value)  # type: ignore[no-any-return]
        except OverflowError:
            raise AdmissionError("is too large for a double") from None
    return _otherwise(_double, "a number", value)  # type: ignore[no-any-return]  # what it returns itself


def _string(value: Any) -> str:
    if type(value) is str:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    raise _must_be("a string", value)


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    raise _must_be("bytes", value)


def _null(value: Any) -> None:
    if value is not None:
        raise _must_be("null", value)


def _timestamp(value: Any) -> Timestamp:
    if isinstance(value, datetime):
        return from_datetime(value)
    if isinstance(value, Timestamp):
        return value
    if isinstance(value, str):
        return _parsed(parse_timestamp, value)  # type: ignore[no-any-return]  # the parser's result
    raise _must_be("a timestamp", value)


def _duration(value: Any) -> Duration:
    if isinstance(value, timedelta):
        return from_timedelta(value)
    if isinstance(value, Duration):
        return value
    if isinstance(value, str):
        return _parsed(parse_duration, value)  # type: ignore[no-any-return]  # the parser's result
    raise _must_be("a duration", value)


def _parsed(parse: Callable[[str], Value], text: str) -> Value:
    try:
        return parse(text)
    except CelError as problem:
        raise AdmissionError(f"is refused: {problem}") from None


_SCALARS: Final[dict[str, _Admit]] = {
    "bool": _bool,
    "int": _int,
    "uint": _uint,
    "double": _double,
    "string": _string,
    "bytes": _bytes,
    "null_type": _null,
    "timestamp": _timestamp,
    "duration": _duration,
}

_WORDS: Final = {
    "bool": "true or false",
    "int": "an integer",
    "uint": "an integer",
    "double": "a number",
    "string": "a string",
    "bytes": "bytes",
    "null_type": "null",
    "list": "a list",
    "map": "an object",
}


def _otherwise(admit_it: _Admit, expected: str, value: Any) -> Value:
    """Admit what a value of another library stands for. Raises AdmissionError for any other."""
    plain = of_library(value)
    if plain is value:
        raise _must_be(expected, value)
    return admit_it(plain)


def _must_be(expected: str, value: Any) -> AdmissionError:
    kind = kind_of(value)
    return AdmissionError(f"must be {expected}, got {_WORDS.get(kind, f'a {kind}')}")
