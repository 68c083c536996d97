"""The mutants of expressions, as texts."""

from __future__ import annotations

import pytest

from costlens_policy.expressions import BOOL, DYN, Environment, analyze
from costlens_policy.expressions.types import ANY_LIST, DOUBLE, INT, STRING
from costlens_policy.testing.mutation.conditions import moved, mutants_of_expression
from costlens_policy.testing.mutation.mutant import edited

ENVIRONMENT = Environment(
    {"a": BOOL, "b": BOOL, "c": BOOL, "n": INT, "x": DOUBLE, "s": STRING, "l": ANY_LIST, "d": DYN}, {}
)


def texts(source: str) -> list[str]:
    typed = analyze(source, ENVIRONMENT).typed
    assert typed is not None
    return [edited(source, item.edits) for item in mutants_of_expression(typed)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a", ["!a"]),
        ("!a", ["a"]),
        ("!(a)", ["(a)"]),
        ('s == "x"', ['s != "x"']),
        ("!(n == 1)", ["(n == 1)"]),
        ("n > 10", ["n <= 10", "n >= 10", "n > 11"]),
        ("n >= 10", ["n < 10", "n > 10", "n >= 9"]),
        ("10 > n", ["10 <= n", "10 >= n", "9 > n"]),
        ("x < 0.50", ["x >= 0.50", "x <= 0.50", "x < 0.49"]),
        ("a && b", ["!(a && b)", "a || b", "b", "a", "!a && b", "a && !b"]),
        (
            "(a || b) && ( c )",
            [
                "!((a || b) && ( c ))", "(a || b) || ( c )", "( c )", "(a || b)", "(a && b) && ( c )", "(b) && ( c )",
                "(a) && ( c )", "(!a || b) && ( c )", "(a || !b) && ( c )", "(a || b) && ( !c )",
            ],
        ),
        ('s in ["x", "y"]', ['!(s in ["x", "y"])', 's in ["y"]', 's in ["x"]']),
        ('s in ["x"]', ['!(s in ["x"])']),
        (
            "a ? 1.5 : 2.0",
            ["1.5", "2.0", "!a ? 1.5 : 2.0", "a ? 1.6 : 2.0", "a ? 1.4 : 2.0", "a ? 1.5 : 2.1", "a ? 1.5 : 1.9"],
        ),
        ("l.exists(i, i == 1)", ["l.all(i, i == 1)", "!l.exists(i, i == 1)", "l.exists(i, i != 1)"]),
        ("true", ["false"]),
    ],
)  # fmt: skip
def test_changes(source: str, expected: list[str]):
    assert texts(source) == expected


def test_all_mutants_differ():
    source = 'a && (b || s in ["x", "y", "z"]) && !(n > 5 && x <= 1.5) || c && s != "q"'
    found = texts(source)
    assert len(set(found)) == len(found)
    assert source not in found


@pytest.mark.parametrize(
    ("number", "steps", "expected"),
    [("1", 1, "2"), ("0.50", 1, "0.51"), ("0.50", -1, "0.49"), ("100000", -1, "99999"), ("0.0", -1, "-0.1"),
     ("-5", 1, "-4"), ("1e3", 1, None), ("x", 1, None), ("5u", 1, "6u"), ("1_000", 1, "1001")],
)  # fmt: skip
def test_a_number_moves_by_its_last_digit(number: str, steps: int, expected: str | None):
    assert moved(number, steps) == expected
