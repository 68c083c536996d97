"""Literals: their values, and what is said of those that have none."""

from __future__ import annotations

import math

import pytest

from costlens_policy.expressions import ExpressionError, Uint, parse
from costlens_policy.expressions.tree import Literal


def value(text: str) -> object:
    node = parse(text)
    assert isinstance(node, Literal)
    assert (node.extent.start, node.extent.end) == (0, len(text))
    return node.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("-7", -7),
        ("0x1F", 31),
        ("-0x1f", -31),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("-0x8000000000000000", -(2**63)),
        ("007", 7),
        ("12u", Uint(12)),
        ("18446744073709551615U", Uint(2**64 - 1)),
        ("0xffffffffffffffffu", Uint(2**64 - 1)),
        ("1.5", 1.5),
        (".5", 0.5),
        ("-.5e-3", -0.0005),
        ("6.02e+23", 6.02e23),
        ("1E3", 1000.0),
        ("true", True),
        ("false", False),
        ("null", None),
        ("''", ""),
        ('"a\'b"', "a'b"),
        ("'''a\nb''c'''", "a\nb''c"),
        (r'"\a\b\f\n\r\t\v\\\?\"\'\`"', "\a\b\f\n\r\t\v\\?\"'`"),
        (r"'\x41\X42\u0043\U00000044\105'", "ABCDE"),
        (r"'\377'", "ÿ"),
        (r"'\ud83d\ude00'", "😀"),
        (r"r'\d+\'", "\\d+\\"),
        (r'R"""\n"""', "\\n"),
        ("b'ÿ'", b"\xc3\xbf"),
        (r"b'\377\xFF'", b"\xff\xff"),
        (r"br'\x'", b"\\x"),
        (r"bR'\x'", b"\\x"),
        ("'\x00\x7f'", "\x00\x7f"),
    ],
)
def test_literals_have_the_value_and_type_of_the_specification(text: str, expected: object) -> None:
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


def test_zero_keeps_its_sign() -> None:
    assert math.copysign(1, value("-0.0")) == -1  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "blamed", "sentence"),
    [
        ("9223372036854775808", "9223372036854775808", "does not fit in an int"),
        ("-9223372036854775809", "-9223372036854775809", "does not fit in an int"),
        ("1 + " + "9" * 5000, "9" * 5000, "does not fit in an int"),
        ("18446744073709551616u", "18446744073709551616u", "more than 64 bits"),
        ("-1u", "-1u", "is negative"),
        ("1e999", "1e999", "does not fit in a double"),
        (r"'ab\d'", r"\d", "is not an escape sequence"),
        (r"'\400'", r"\4", "begins three octal digits"),
        (r"'\x4'", r"\x", "must be followed by two hexadecimal digits"),
        (r"'\u12'", r"\u", "must be followed by four hexadecimal digits"),
        (r"'\U00110000'", r"\U00110000", "is not a Unicode character"),
        (r"'\ud800'", r"\ud800", "half of a surrogate pair"),
        (r"b'\u0041'", r"\u0041", "is not allowed in bytes"),
        ("1 == 'abc", "'", "unterminated string"),
        ("'abc\n'", "'", "unterminated string"),
        ('"""abc"', '"""', "unterminated string"),
        ("r'abc", "r'", "unterminated string"),
    ],
)
def test_a_literal_without_a_value_is_blamed_at_its_place(text: str, blamed: str, sentence: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    first = caught.value.problems[0]
    assert first.code == "CL306"
    assert sentence in first.message
    assert text[first.extent.start : first.extent.end] == blamed


def test_every_literal_is_looked_at() -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(r"'\d' + '\q' + 1e999")
    assert [problem.code for problem in caught.value.problems] == ["CL306"] * 3
