"""The border between plain Python values and CEL's."""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.expressions import Duration, Field, Record, Timestamp, Type, Uint, parse_type
from costlens_policy.expressions.runtime import AdmissionError, admit, from_python, to_python
from costlens_policy.expressions.values import BoolKey

_RECORDS = {
    "session": Record(
        "session", {"id": Field(parse_type("string")), "turns": Field(parse_type("list(int)"), optional=True)}
    )
}


class _Tier(StrEnum):
    GOLD = "gold"


@pytest.mark.parametrize(
    ("declared", "value", "expected"),
    [
        ("bool", True, True),
        ("int", 2**63 - 1, 2**63 - 1),
        ("uint", 5, Uint(5)),
        ("double", 1, 1.0),
        ("double", Decimal("0.01"), 0.01),
        ("string", "a", "a"),
        ("string", _Tier.GOLD, "gold"),
        ("bytes", bytearray(b"a"), b"a"),
        ("null_type", None, None),
        ("timestamp", datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), Timestamp(0)),
        ("timestamp", "1970-01-01T00:00:01Z", Timestamp(10**9)),
        ("duration", timedelta(seconds=1), Duration(10**9)),
        ("duration", "1.5s", Duration(15 * 10**8)),
        ("list(double)", (1, 2.5), [1.0, 2.5]),
        ("map(string, list(int))", OrderedDict(a=[1]), {"a": [1]}),
        ("map(bool, int)", {True: 1}, {BoolKey(True): 1}),
        ("dyn", {"a": [1, None, {"b": 1.5}]}, {"a": [1, None, {"b": 1.5}]}),
        ("session", {"id": "x", "turns": [1]}, {"id": "x", "turns": [1]}),
    ],
)
def test_admitted(declared: str, value: Any, expected: Any) -> None:
    admitted = admit(value, parse_type(declared), _RECORDS)
    assert admitted == expected
    assert type(admitted) is type(expected)


@pytest.mark.parametrize(
    ("declared", "value", "problem"),
    [
        ("bool", 1, "must be true or false, not an integer"),
        ("int", True, "must be an integer, not true or false"),
        ("int", 5.0, "must be an integer, not a number"),
        ("int", 2**63, "is an integer that does not fit in 64 bits"),
        ("uint", -1, "must not be negative"),
        ("double", "1", "must be a number, not a string"),
        ("double", float("nan"), "is not a finite number"),
        ("double", 10**400, "is too large for a double"),
        ("string", 1, "must be a string, not an integer"),
        ("timestamp", datetime(1970, 1, 1), "is a time without a time zone"),
        ("timestamp", "yesterday", "is refused: the text is not an RFC 3339 timestamp"),
        ("duration", 5, "must be a duration, not an integer"),
        ("list(string)", "abc", "must be a list, not a string"),
        ("list(string)", ["a", 1], "[1] must be a string, not an integer"),
        ("map(string, list(int))", {"a": [1, "b"]}, ".a[1] must be an integer, not a string"),
        ("map(string, int)", {1: 1}, " has a key that must be a string"),
        ("session", {}, "lacks its field `id`"),
        ("session", {"id": "x", "turn": []}, "has no field `turn`"),
        ("session", {"id": 1}, ".id must be a string, not an integer"),
        ("dyn", {1.5: 1}, "holds a map in which a map key is"),
        ("dyn", object(), "is a Python object"),
        ("dyn", {1, 2}, "is a Python set"),
    ],
)
def test_refused(declared: str, value: Any, problem: str) -> None:
    with pytest.raises(AdmissionError) as raised:
        admit(value, parse_type(declared), _RECORDS)
    assert str(raised.value).startswith(problem)


def test_depth_is_bounded() -> None:
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    cyclic: dict[str, Any] = {}
    cyclic["self"] = cyclic
    for value in (deep, cyclic):
        with pytest.raises(AdmissionError, match="nests deeper than 64 levels"):
            from_python(value)


_PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.datetimes(timezones=st.just(UTC))
    | st.timedeltas(timedelta(days=-100_000), timedelta(days=100_000)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.booleans(), inner, max_size=3),
    max_leaves=8,
)


@given(_PLAIN)
def test_there_and_back(value: Any) -> None:
    assert to_python(from_python(value)) == value


def test_unknown_types_are_taken_as_they_are() -> None:
    assert admit([1, "a"], Type("somewhere.Else")) == [1, "a"]
