"""The math extension."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from costlens_policy.expressions.errors import BAD_ARGUMENT, NO_OVERLOAD, CelError
from costlens_policy.expressions.runtime.equality import NUMBERS, check_ordered, greater
from costlens_policy.expressions.runtime.functions import implements
from costlens_policy.expressions.runtime.operators import INT_MAX, UINT_MAX, checked_int
from costlens_policy.expressions.values import Uint, Value

__all__: list[str] = []

_KINDS: Final = ("int", "uint", "double")
_PAIRS: Final = tuple(f"{left}_{right}" for left in _KINDS for right in _KINDS)
_BITS: Final = 64


@implements(*(f"math_greatest_{kinds}" for kinds in (*_KINDS, *_PAIRS)))
def greatest(*numbers: Value) -> Value:
    """Return the greatest number, the first of several that are equal. Raises CelError for NaN."""
    check_ordered(numbers)
    found = numbers[0]
    for number in numbers[1:]:
        if greater(number, found):
            found = number
    return found


@implements(*(f"math_least_{kinds}" for kinds in (*_KINDS, *_PAIRS)))
def least(*numbers: Value) -> Value:
    """Return the least number, the first of several that are equal. Raises CelError for NaN."""
    check_ordered(numbers)
    found = numbers[0]
    for number in numbers[1:]:
        if greater(found, number):
            found = number
    return found


@implements(*(f"math_greatest_list_{kind}" for kind in _KINDS))
def greatest_of(numbers: Sequence[Value]) -> Value:
    return greatest(*_numbers(numbers))


@implements(*(f"math_least_list_{kind}" for kind in _KINDS))
def least_of(numbers: Sequence[Value]) -> Value:
    return least(*_numbers(numbers))


def _numbers(values: Sequence[Value]) -> Sequence[Value]:
    if not values:
        raise CelError(BAD_ARGUMENT, "an empty list has neither a greatest nor a least element")
    if not NUMBERS.issuperset(map(type, values)):
        raise CelError(NO_OVERLOAD, "the elements of the list must be numbers")
    return values


@implements("math_ceil_double")
def ceil(value: float) -> float:
    return _whole(value, math.ceil(value)) if math.isfinite(value) else value


@implements("math_floor_double")
def floor(value: float) -> float:
    return _whole(value, math.floor(value)) if math.isfinite(value) else value


@implements("math_trunc_double")
def trunc(value: float) -> float:
    return _whole(value, math.trunc(value)) if math.isfinite(value) else value


@implements("math_round_double")
def round_half_away(value: float) -> float:
    if not math.isfinite(value):
        return value
    whole = math.trunc(value)
    away = 1 if abs(value - whole) >= 0.5 else 0
    return _whole(value, whole + (-away if value < 0 else away))


def _whole(value: float, rounded: int) -> float:
    """Return a rounded number as a double that keeps the sign of a zero."""
    return math.copysign(float(rounded), value) if rounded == 0 else float(rounded)


implements("math_isNaN_double")(math.isnan)
implements("math_isInf_double")(math.isinf)
implements("math_isFinite_double")(math.isfinite)


@implements("math_abs_int")
def abs_int(value: int) -> int:
    return checked_int(abs(value))


@implements("math_abs_uint", "math_abs_double")
def abs_other(value: Value) -> Value:
    return abs(value) if type(value) is float else value


@implements("math_sign_int")
def sign_int(value: int) -> int:
    return (value > 0) - (value < 0)


@implements("math_sign_uint")
def sign_uint(value: int) -> Uint:
    return Uint(value > 0)


@implements("math_sign_double")
def sign_double(value: float) -> float:
    return value if math.isnan(value) else float((value > 0) - (value < 0))


@implements("math_sqrt_int", "math_sqrt_uint", "math_sqrt_double")
def sqrt(value: float) -> float:
    return math.sqrt(value) if value >= 0 else math.nan


@implements("math_bitAnd_int_int")
def and_int(left: int, right: int) -> int:
    return left & right


@implements("math_bitOr_int_int")
def or_int(left: int, right: int) -> int:
    return left | right


@implements("math_bitXor_int_int")
def xor_int(left: int, right: int) -> int:
    return left ^ right


@implements("math_bitNot_int")
def not_int(value: int) -> int:
    return ~value


@implements("math_bitAnd_uint_uint")
def and_uint(left: int, right: int) -> Uint:
    return Uint(left & right)


@implements("math_bitOr_uint_uint")
def or_uint(left: int, right: int) -> Uint:
    return Uint(left | right)


@implements("math_bitXor_uint_uint")
def xor_uint(left: int, right: int) -> Uint:
    return Uint(left ^ right)


@implements("math_bitNot_uint")
def not_uint(value: int) -> Uint:
    return Uint(value ^ UINT_MAX)


@implements("math_bitShiftLeft_int_int")
def shift_left_int(value: int, bits: int) -> int:
    return _signed(_shift_left(value, bits))


@implements("math_bitShiftLeft_uint_int")
def shift_left_uint(value: int, bits: int) -> Uint:
    return Uint(_shift_left(value, bits))


@implements("math_bitShiftRight_int_int")
def shift_right_int(value: int, bits: int) -> int:
    """Shift as if the number had no sign: zeros come in from above."""
    return _signed(_shift_right(value, bits))


@implements("math_bitShiftRight_uint_int")
def shift_right_uint(value: int, bits: int) -> Uint:
    return Uint(_shift_right(value, bits))


def _shift_left(value: int, bits: int) -> int:
    return (value << min(_shift(bits), _BITS)) & UINT_MAX


def _shift_right(value: int, bits: int) -> int:
    return (value & UINT_MAX) >> min(_shift(bits), _BITS)


def _shift(bits: int) -> int:
    if bits < 0:
        raise CelError(BAD_ARGUMENT, "the number of places to shift must not be negative")
    return bits


def _signed(bits: int) -> int:
    return bits - 2**_BITS if bits > INT_MAX else bits
