"""The border at which a caller's value becomes one of a declared type, or is refused.

Compiled expressions trust their types: what is admitted as ``list(string)`` holds strings only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from costlens_policy.expressions.runtime.arithmetic import UINT_MAX
from costlens_policy.expressions.runtime.collections import add_entry
from costlens_policy.expressions.runtime.durations import parse_duration
from costlens_policy.expressions.runtime.errors import CelError
from costlens_policy.expressions.runtime.kinds import kind_of
from costlens_policy.expressions.runtime.python_values import (
    AdmissionError,
    from_datetime,
    from_python,
    from_timedelta,
    of_library,
    placed,
)
from costlens_policy.expressions.runtime.timestamps import parse_timestamp
from costlens_policy.expressions.types import Record, Type
from costlens_policy.expressions.values import Duration, Timestamp, Uint, Value

__all__ = ["admit", "admitter"]

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
    return AdmissionError(f"must be {expected}, not {_WORDS.get(kind, f'a {kind}')}")
