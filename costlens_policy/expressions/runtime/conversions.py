"""Conversions between types, by the name of the type: ``int(x)``, ``string(x)``, ``timestamp(x)``; numbers as text."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Final

from costlens_policy.expressions.errors import BAD_CONVERSION, NUMBER_OUT_OF_RANGE, CelError
from costlens_policy.expressions.runtime.equality import kind_of
from costlens_policy.expressions.runtime.functions import implements
from costlens_policy.expressions.runtime.operators import INT_MAX, INT_MIN, UINT_MAX
from costlens_policy.expressions.runtime.times import (
    SECOND,
    checked_timestamp,
    duration_text,
    parse_duration,
    parse_timestamp,
    timestamp_text,
)
from costlens_policy.expressions.types import Type
from costlens_policy.expressions.values import Duration, Timestamp, Uint, Value

__all__ = ["double_text", "fixed_text", "parse_double", "special_text", "type_of_value"]


_INTEGER: Final = re.compile(r"[+-]?\d{1,40}", re.ASCII)
_TRUTHS: Final = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}


@implements("type")
def type_of_value(value: Value) -> Type:
    """Return the type of a value; lists and maps have one type each, whatever they hold."""
    return Type(kind_of(value))


@implements("string_to_bool")
def bool_of_string(text: str) -> bool:
    truth = _TRUTHS.get(text)
    if truth is None:
        raise CelError(BAD_CONVERSION, "the text is neither `true` nor `false`")
    return truth


@implements("uint64_to_int64")
def int_of_uint(value: int) -> int:
    return _in_range(int(value), INT_MIN, INT_MAX)


@implements("double_to_int64")
def int_of_double(value: float) -> int:
    """Truncate toward zero. The greatest ints are not doubles, so the end of the range is excluded."""
    if INT_MIN < value < INT_MAX:
        return int(value)
    raise _out_of_range()


@implements("string_to_int64")
def int_of_string(text: str) -> int:
    return _in_range(_integer(text), INT_MIN, INT_MAX)


@implements("timestamp_to_int64")
def int_of_timestamp(value: Timestamp) -> int:
    return value.nanoseconds // SECOND


@implements("duration_to_int64")
def int_of_duration(value: Duration) -> int:
    return _in_range(value.nanoseconds, INT_MIN, INT_MAX)


@implements("int64_to_uint64")
def uint_of_int(value: int) -> Uint:
    return Uint(_in_range(value, 0, UINT_MAX))


@implements("double_to_uint64")
def uint_of_double(value: float) -> Uint:
    if 0 <= value < UINT_MAX:
        return Uint(value)
    raise _out_of_range()


@implements("string_to_uint64")
def uint_of_string(text: str) -> Uint:
    if text.startswith("-"):
        raise _bad_integer()
    return Uint(_in_range(_integer(text), 0, UINT_MAX))


@implements("int64_to_double", "uint64_to_double")
def double_of_integer(value: int) -> float:
    return float(value)


@implements("bool_to_string")
def string_of_bool(value: bool) -> str:
    return "true" if value else "false"


@implements("int64_to_string", "uint64_to_string")
def string_of_integer(value: int) -> str:
    return int.__repr__(value)


@implements("bytes_to_string")
def string_of_bytes(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise CelError(BAD_CONVERSION, "the bytes are not UTF-8") from None


@implements("int64_to_timestamp")
def timestamp_of_int(seconds: int) -> Timestamp:
    return checked_timestamp(seconds * SECOND)


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise _bad_integer()
    return int(text)


def _in_range(value: int, least: int, greatest: int) -> int:
    if least <= value <= greatest:
        return value
    raise _out_of_range()


def _out_of_range() -> CelError:
    return CelError(NUMBER_OUT_OF_RANGE, "the number is out of the type's range")


def _bad_integer() -> CelError:
    return CelError(BAD_CONVERSION, "the text is not an integer")


_EXPONENT_FROM: Final = 6
"""``string()`` writes an exponent from here on, and below -4, as ``%g`` does in Go and C++."""

_NUMERAL: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_SPECIAL: Final = {"nan": math.nan, "inf": math.inf, "infinity": math.inf}
_LONGEST_TEXT: Final = 1_000


def double_text(value: float) -> str:
    """Write a double with the fewest digits that read back as it: ``0.1``, ``1e+06``."""
    special = special_text(value)
    if special:
        return special
    _, digits, scale = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(scale, int)  # it is text for the special values only
    exponent = len(digits) + scale - 1 if value else 0
    if -4 <= exponent < _EXPONENT_FROM:
        return fixed_text(value)
    mantissa = "".join(map(str, digits))
    point = "." if len(mantissa) > 1 else ""
    sign = "-" if value < 0 else ""
    return f"{sign}{mantissa[0]}{point}{mantissa[1:]}e{'-' if exponent < 0 else '+'}{abs(exponent):02}"


def fixed_text(value: float) -> str:
    """Write a double without an exponent: ``100000000``, ``0.000001``."""
    return special_text(value) or f"{Decimal(repr(value)):f}".removesuffix(".0")


def special_text(value: float) -> str:
    """Return ``NaN``, ``Infinity`` or ``-Infinity``, and nothing for a finite number."""
    if math.isfinite(value):
        return ""
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def parse_double(text: str) -> float:
    """Read a decimal numeral, ``NaN`` or ``Infinity``. Raises CelError."""
    if len(text) <= _LONGEST_TEXT:
        if _NUMERAL.fullmatch(text):
            return float(text)
        special = _SPECIAL.get(text.lstrip("+-").lower())
        if special is not None and len(text) - len(text.lstrip("+-")) <= 1:
            return -special if text.startswith("-") else special
    raise CelError(BAD_CONVERSION, "the text is not a number")


implements("to_dyn")(lambda value: value)
implements("bool_to_bool", "bytes_to_bytes", "string_to_string")(lambda value: value)
implements("int64_to_int64", "uint64_to_uint64", "double_to_double")(lambda value: value)
implements("timestamp_to_timestamp", "duration_to_duration")(lambda value: value)
implements("string_to_double")(parse_double)
implements("string_to_timestamp")(parse_timestamp)
implements("string_to_duration")(parse_duration)
implements("double_to_string")(double_text)
implements("timestamp_to_string")(timestamp_text)
implements("duration_to_string")(duration_text)
implements("ip_to_string", "cidr_to_string")(str)
