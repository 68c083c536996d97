"""Arithmetic on numbers, and concatenation: langdef, "Arithmetic" of the standard definitions.

Integers are 64 bits wide and never wrap: what does not fit is an error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from costlens_policy.expressions.errors import DIVISION_BY_ZERO, NUMBER_OUT_OF_RANGE, CelError
from costlens_policy.expressions.limits import check_size
from costlens_policy.expressions.runtime.functions import implements
from costlens_policy.expressions.values import Uint, Value

__all__ = [
    "INT_MAX", "INT_MIN", "UINT_MAX", "add_bytes", "add_double", "add_list", "add_string", "checked_int",
    "checked_uint", "divide_double", "divide_int", "modulo_int", "overflow",
]  # fmt: skip

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1
UINT_MAX: Final = 2**64 - 1


def overflow() -> CelError:
    return CelError(NUMBER_OUT_OF_RANGE, "the result does not fit in 64 bits")


def checked_int(value: int) -> int:
    """Return the value if it is an int of CEL. Raises CelError."""
    if INT_MIN <= value <= INT_MAX:
        return value
    raise overflow()


def checked_uint(value: int) -> Uint:
    """Return the value as a uint. Raises CelError when it is negative or too large."""
    if 0 <= value <= UINT_MAX:
        return Uint(value)
    raise overflow()


@implements("add_int64")
def add_int(left: int, right: int) -> int:
    return checked_int(left + right)


@implements("subtract_int64")
def subtract_int(left: int, right: int) -> int:
    return checked_int(left - right)


@implements("multiply_int64")
def multiply_int(left: int, right: int) -> int:
    return checked_int(left * right)


@implements("negate_int64")
def negate_int(value: int) -> int:
    return checked_int(-value)


@implements("divide_int64")
def divide_int(left: int, right: int) -> int:
    """Divide and truncate toward zero, where Python would round down."""
    if not right:
        raise _division()
    quotient = abs(left) // abs(right)
    return checked_int(quotient if (left < 0) is (right < 0) else -quotient)


@implements("modulo_int64")
def modulo_int(left: int, right: int) -> int:
    """Return the remainder with the sign of the dividend. The one quotient that overflows has no remainder."""
    if not right:
        raise _division()
    if left == INT_MIN and right == -1:
        raise overflow()
    remainder = abs(left) % abs(right)
    return -remainder if left < 0 else remainder


@implements("add_uint64")
def add_uint(left: int, right: int) -> Uint:
    return checked_uint(int(left) + int(right))


@implements("subtract_uint64")
def subtract_uint(left: int, right: int) -> Uint:
    return checked_uint(int(left) - int(right))


@implements("multiply_uint64")
def multiply_uint(left: int, right: int) -> Uint:
    return checked_uint(int(left) * int(right))


@implements("divide_uint64")
def divide_uint(left: int, right: int) -> Uint:
    if not right:
        raise _division()
    return Uint(int(left) // int(right))


@implements("modulo_uint64")
def modulo_uint(left: int, right: int) -> Uint:
    if not right:
        raise _division()
    return Uint(int(left) % int(right))


@implements("add_double")
def add_double(left: float, right: float) -> float:
    return left + right


@implements("subtract_double")
def subtract_double(left: float, right: float) -> float:
    return left - right


@implements("multiply_double")
def multiply_double(left: float, right: float) -> float:
    return left * right


@implements("negate_double")
def negate_double(value: float) -> float:
    return -value


@implements("divide_double")
def divide_double(left: float, right: float) -> float:
    """Divide as IEEE 754 does: by zero it is an infinity, or not a number."""
    if right:
        return left / right
    if not left or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


@implements("add_string")
def add_string(left: str, right: str) -> str:
    check_size(len(left) + len(right))
    return left + right


@implements("add_bytes")
def add_bytes(left: bytes, right: bytes) -> bytes:
    check_size(len(left) + len(right))
    return left + right


@implements("add_list")
def add_list(left: Sequence[Value], right: Sequence[Value]) -> list[Value]:
    check_size(len(left) + len(right))
    return [*left, *right]


@implements("logical_not")
def logical_not(value: bool) -> bool:
    return not value


def _division() -> CelError:
    return CelError(DIVISION_BY_ZERO, "division by zero")
