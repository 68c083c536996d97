"""Arithmetic and the conversions between numbers and text."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.expressions.runtime.conversions import double_text, fixed_text, parse_double
from costlens_policy.expressions.runtime.operators import divide_double, divide_int, modulo_int
from tests.expressions.runtime.evaluating import evaluate, failure

MAX, MIN = 2**63 - 1, -(2**63)
_INTS = st.integers(MIN, MAX)


@given(_INTS, _INTS.filter(bool))
def test_division_is_cut_towards_zero(left: int, right: int) -> None:
    if (left, right) == (MIN, -1):
        return
    quotient, remainder = divide_int(left, right), modulo_int(left, right)
    assert quotient * right + remainder == left
    assert abs(remainder) < abs(right)
    assert remainder == 0 or (remainder < 0) == (left < 0)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("x + 1", "CL904"),
        ("-1 * y", "CL904"),
        ("-y", "CL904"),
        ("y - 1", "CL904"),
        ("y / -1", "CL904"),
        ("y % -1", "CL904"),
        ("1 / 0", "CL905"),
        ("1u % 0u", "CL905"),
        ("0u - 1u", "CL904"),
        ("uint(-1)", "CL904"),
        ("int(18446744073709551615u)", "CL904"),
        ("int(9223372036854775807.0)", "CL904"),
        ("int(double('NaN'))", "CL904"),
        ("int(duration('9223372037s'))", "CL904"),
        ("int('x' + 'y')", "CL906"),
        ("int('9' + '223372036854775808')", "CL904"),
        ("uint('-' + '0')", "CL906"),
        ("double('1_' + '0')", "CL906"),
        ("double(' ' + '1')", "CL906"),
        ("dyn(1) + 1.0", "CL901"),
        ("-dyn(1u)", "CL901"),
        ("!dyn(1)", "CL901"),
    ],
)
def test_errors(text: str, code: str) -> None:
    assert failure(text, x=MAX, y=MIN) == code


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("int(' 1'.trim())", 1),
        ("int('+7') + int('-0')", 7),
        ("int(-7.9)", -7),
        ("uint(3.99)", 3),
        ("double('1e3')", 1000.0),
        ("double('-infinity')", -math.inf),
        ("double(18446744073709551615u)", 2.0**64),
        ("x + 0.0", 0.0),
        ("1.0 / x", -math.inf),
        ("string(1e6)", "1e+06"),
        ("string(123456.7)", "123456.7"),
        ("string(0.0001)", "0.0001"),
        ("string(0.00001)", "1e-05"),
        ("string(-0.0)", "-0"),
        ("string(double('NaN'))", "NaN"),
        ("string(true) + string(-5) + string(7u)", "true-57"),
        ("bool('T' + 'RUE')", True),
    ],
)
def test_values(text: str, expected: Any) -> None:
    assert evaluate(text, x=-0.0) == expected


@given(st.floats(allow_nan=False))
def test_double_text_reads_back(value: float) -> None:
    assert parse_double(double_text(value)) == value
    assert float(fixed_text(value).replace("Infinity", "inf")) == value
    assert "e" not in fixed_text(value)


@given(st.floats(), st.floats())
def test_doubles_divide_as_ieee_754(left: float, right: float) -> None:
    quotient = divide_double(left, right)
    if right == 0.0:
        assert math.isnan(quotient) if left == 0.0 or math.isnan(left) else math.isinf(quotient)
    else:
        assert quotient == left / right or math.isnan(quotient)
