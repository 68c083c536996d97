"""Equality and order: langdef, "Equality" and "Ordering"."""

from __future__ import annotations

import math
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.cli.commands.cel.answer import literal
from costlens_policy.expressions import Duration, Timestamp, Uint
from costlens_policy.expressions.errors import CelError
from costlens_policy.expressions.runtime import equals
from costlens_policy.expressions.runtime.equality import contains, greater, greater_equals, key_of, less, less_equals
from costlens_policy.expressions.values import NO_VALUE, BoolKey, OptionalValue
from tests.expressions.runtime.evaluating import evaluate

NAN = float("nan")
BIG = 2**63 - 1

_SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-2, 2, width=16) | st.just("1") | st.just(b"1")
_MIXED = st.recursive(
    _SCALARS | st.integers(0, 2).map(Uint) | st.just(NAN) | st.just(Timestamp(1)) | st.just(NO_VALUE),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(("a", 1, BoolKey(True))), inner, max_size=2)
        | inner.map(OptionalValue)
    ),
    max_leaves=4,
)

EQUAL = [
    (1, 1.0),
    (1, Uint(1)),
    (Uint(1), 1.0),
    (0.0, -0.0),
    (BIG, 2.0**63),
    ("a", "a"),
    (b"a", b"a"),
    (None, None),
    ([1, 2.0], [1.0, 2]),
    ([1], (1,)),
    ({1: "a"}, {Uint(1): "a"}),
    ({BoolKey(True): [1]}, {BoolKey(True): [1.0]}),
    (Timestamp(5), Timestamp(5)),
    (OptionalValue(1), OptionalValue(1.0)),
    (NO_VALUE, NO_VALUE),
    (ip_address("::ffff:7f00:1"), ip_address("127.0.0.1")),
]
UNEQUAL = [
    (True, 1),
    (False, 0.0),
    ("1", 1),
    (b"a", "a"),
    (None, False),
    (None, 0),
    (NAN, NAN),
    ([NAN], [NAN]),
    ([True], [1]),
    ([1], [1, 2]),
    ({1: "a"}, {BoolKey(True): "a"}),
    ({"a": 1}, {"a": 1, "b": 2}),
    ({"a": True}, {"a": 1}),
    (Timestamp(5), Duration(5)),
    (OptionalValue(None), NO_VALUE),
    (OptionalValue(1), 1),
    ([], {}),
]


@pytest.mark.parametrize(("left", "right"), EQUAL)
def test_equal(left: Any, right: Any) -> None:
    assert equals(left, right)
    assert equals(right, left)


@pytest.mark.parametrize(("left", "right"), UNEQUAL)
def test_unequal(left: Any, right: Any) -> None:
    assert not equals(left, right)
    assert not equals(right, left)


@given(_MIXED, _MIXED)
def test_keys_are_equal_when_the_values_are(left: Any, right: Any) -> None:
    assert (key_of(left) == key_of(right)) == equals(left, right)
    assert key_of(left) == key_of(left) or not equals(left, left)


@pytest.mark.parametrize("large", [2**53 + 1, -(2.0**60), [1, {"a": 2**60}]])
def test_large_numbers_have_no_key(large: Any) -> None:
    with pytest.raises(ValueError, match=r"^$"):
        key_of(large)


@pytest.mark.parametrize(
    ("element", "elements", "found"),
    [
        (1, [True], False),
        (1, [True, 1.0], True),
        (1.0, [Uint(1)], True),
        (NAN, [NAN], False),
        (BIG, [2.0**63], True),
        (2.0**63, [BIG], True),
        ([1], [[1.0]], True),
        ("a", ["b", "a"], True),
        (True, [1], False),
        (None, [False, None], True),
    ],
)
def test_contains(element: Any, elements: list[Any], found: bool) -> None:
    assert contains(element, elements) is found


_NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 2**64 - 1).map(Uint) | st.floats()


@given(_NUMBERS, _NUMBERS)
def test_one_line_of_numbers(left: Any, right: Any) -> None:
    """Exactly one of less, equal, greater holds, unless a NaN is involved; then none does."""
    nan = left != left or right != right
    assert less(left, right) + equals(left, right) + greater(left, right) == (0 if nan else 1)
    assert less_equals(left, right) == (less(left, right) or equals(left, right))
    assert greater_equals(left, right) == less_equals(right, left)


@given(_NUMBERS, _NUMBERS)
def test_equality_is_symmetric(left: Any, right: Any) -> None:
    assert equals(left, right) == equals(right, left)


@pytest.mark.parametrize(
    ("left", "right"), [("a", b"a"), (True, 1), (None, None), ([1], [2]), ({}, {}), (Timestamp(1), Duration(2))]
)
def test_no_order(left: Any, right: Any) -> None:
    with pytest.raises(CelError, match="no matching overload"):
        less(left, right)


def test_a_dict_that_finds_its_entries_is_a_map() -> None:
    class Lazy(dict[str, int]):
        pass

    assert equals(Lazy(a=1), {"a": 1.0})
    assert not equals(Lazy(a=1), [])


_BORDERS = st.sampled_from((0, 2**52, 2**53, -(2**53), 2**54, 2**62, 2**63 - 1, 2**63))
_NEAR = st.builds(int.__add__, _BORDERS, st.integers(-3, 3))
_NUMBERS = (
    _NEAR.filter(lambda number: -(2**63) <= number < 2**63)
    | _NEAR.filter(lambda number: 0 <= number < 2**64).map(Uint)
    | _NEAR.map(float)
    | st.floats(allow_nan=False, allow_infinity=False)
)
_EQUALITY = {
    "a == b",
    "b == a",
    "!(a != b)",
    "a in [b]",
    "b in [a]",
    "a in [b, 'x', true, null, [a]]",
    "[a] == [b]",
    "{'k': a} == {'k': b}",
    "[a].exists(x, x == b)",
    "!sets.contains([a], [b]) ? false : true",
    "sets.contains([b, 'x'], [a])",
    "sets.equivalent([a], [b])",
    "sets.intersects([a], [b])",
    "sets.intersects(['x', b], [a])",
    "[a, b].distinct().size() == 1",
    "optional.of(a) == optional.of(b)",
}


def _longhand(left: Any, right: Any) -> bool:
    """Integers are equal exactly; where a double takes part, both are compared as doubles."""
    if isinstance(left, float) or isinstance(right, float):
        return float(left) == float(right)
    return int(left) == int(right)


@given(_NUMBERS, _NUMBERS)
def test_all_that_asks_for_equality_agrees(left: Any, right: Any) -> None:
    right_answer = _longhand(left, right)
    assert equals(left, right) is right_answer
    for text in _EQUALITY:
        assert evaluate(text, a=left, b=right) is right_answer, text


@given(_NUMBERS, _NUMBERS)
def test_equality_of_what_is_written_out(left: Any, right: Any) -> None:
    texts = [literal(number) for number in (left, right) if math.isfinite(number)]
    if len(texts) == 2:
        for text in (
            "dyn({0}) == {1}",
            "{0} in [dyn({1})]",
            "dyn({0}) in [dyn({1})]",
            "sets.contains([dyn({0})], [dyn({1})])",
        ):
            assert evaluate(text.format(*texts)) is _longhand(left, right), text.format(*texts)


@given(_NUMBERS.filter(lambda number: not isinstance(number, float)), _NUMBERS)
def test_keys_of_maps_are_integers_and_compared_as_such(key: Any, asked: Any) -> None:
    """A double finds the key that has exactly its value, and no other."""
    assert evaluate("b in {a: 1}", a=key, b=asked) is bool(key == asked)
