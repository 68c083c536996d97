from __future__ import annotations

from decimal import Decimal

import pytest

from costlens_policy.documents.suite import TextExpectation
from costlens_policy.testing.compare import ABSENT, Difference, text_differences, value_differences


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        (1, 1.0),
        (Decimal("0.2"), 0.2),
        (True, True),
        (None, None),
        ({"a": None}, {}),
        ({"a": 1}, {"a": 1, "b": 2}),
        (({"role": "user"},), [{"role": "user", "content": "hello"}]),
        ([], ()),
    ],
)
def test_values_that_are_as_expected(expected: object, actual: object) -> None:
    assert list(value_differences("x", expected, actual)) == []


@pytest.mark.parametrize(
    ("expected", "actual", "difference"),
    [
        (1, True, Difference("x", 1, True)),
        ("1", 1, Difference("x", "1", 1)),
        (Decimal("0.1"), 0.2, Difference("x", Decimal("0.1"), 0.2)),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, Difference("x.a.b", 1, 2)),
        ({"a": 1}, {}, Difference("x.a", 1, ABSENT)),
        ({"a": None}, {"a": 1}, Difference("x.a", ABSENT, 1)),
        ([1, [2]], [1, [3]], Difference("x[1][0]", 2, 3)),
        ([1, 2], [1], Difference("x", [1, 2], [1])),
        ({"a": 1}, "text", Difference("x", {"a": 1}, "text")),
        ([1], ABSENT, Difference("x", [1], ABSENT)),
    ],
)
def test_a_difference_names_the_value_to_blame(expected: object, actual: object, difference: Difference) -> None:
    assert list(value_differences("x", expected, actual)) == [difference]


def test_a_closed_map_has_no_further_keys() -> None:
    assert list(value_differences("x", {"a": 1}, {"a": 1, "b": 2}, closed=True)) == [Difference("x.b", ABSENT, 2)]


def test_every_demand_on_a_text_has_to_hold() -> None:
    wanted = TextExpectation(
        contains=("one", "four"), excludes=("two",), starts_with="three", ends_with="two", matches="t.o$"
    )
    found = list(text_differences("prompt", wanted, "one two"))
    assert [(item.relation, item.expected) for item in found] == [
        ("contains", "four"),
        ("does not contain", "two"),
        ("starts with", "three"),
    ]


def test_a_text_that_is_not_there_is_one_difference() -> None:
    assert list(text_differences("prompt", TextExpectation(contains=("a", "b")), None)) == [
        Difference("prompt", "a", ABSENT, "contains")
    ]
