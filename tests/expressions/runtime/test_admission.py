"""The border between plain Python values and CEL's."""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

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


class _Level(IntEnum):
    HIGH = 7


class _Loud(str):
    """Equal to nothing, as a careless subclass may be."""

    def __eq__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return 0

    def __str__(self) -> str:
        return "loud"


class _Share(float):
    def __float__(self) -> float:
        return 9.0


class _Pair(NamedTuple):
    one: Any
    other: Any


class _Message(BaseModel):
    role: str
    content: str | None = None
    name: str | None = None


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
        ("string", _Loud("quiet"), "quiet"),
        ("dyn", _Loud("quiet"), "quiet"),
        ("int", _Level.HIGH, 7),
        ("dyn", _Level.HIGH, 7),
        ("double", _Level.HIGH, 7.0),
        ("double", _Share(0.5), 0.5),
        ("dyn", _Share(0.5), 0.5),
        ("list(string)", _Pair(_Tier.GOLD, _Loud("quiet")), ["gold", "quiet"]),
        ("dyn", MappingProxyType({_Tier.GOLD: _Pair(_Level.HIGH, None)}), {"gold": [7, None]}),
        ("map(string, dyn)", {_Loud("quiet"): _Tier.GOLD}, {"quiet": "gold"}),
        ("dyn", [_Message(role="user", content=_Tier.GOLD)], [{"role": "user", "content": "gold"}]),
        ("map(string, dyn)", _Message(role="user"), {"role": "user"}),
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
        ("bool", 1, "must be true or false, got an integer"),
        ("int", True, "must be an integer, got true or false"),
        ("int", 5.0, "must be an integer, got a number"),
        ("int", 2**63, "is an integer that does not fit in 64 bits"),
        ("uint", -1, "must not be negative"),
        ("double", "1", "must be a number, got a string"),
        ("double", float("nan"), "is not a finite number"),
        ("double", 10**400, "is too large for a double"),
        ("string", 1, "must be a string, got an integer"),
        ("timestamp", datetime(1970, 1, 1), "is a time without a time zone"),
        ("timestamp", "yesterday", "is refused: the text is not an RFC 3339 timestamp"),
        ("duration", 5, "must be a duration, got an integer"),
        ("list(string)", "abc", "must be a list, got a string"),
        ("list(string)", ["a", 1], "[1] must be a string, got an integer"),
        ("map(string, list(int))", {"a": [1, "b"]}, ".a[1] must be an integer, got a string"),
        ("map(string, int)", {1: 1}, " has a key that must be a string"),
        ("session", {}, "lacks its field `id`"),
        ("session", {"id": "x", "turn": []}, "has no field `turn`"),
        ("session", {"id": 1}, ".id must be a string, got an integer"),
        ("dyn", {1.5: 1}, "holds a map in which a map key must be"),
        ("dyn", object(), "is a Python object"),
        ("dyn", {1, 2}, "is a Python set"),
        ("dyn", {"a": [1, {"b": {1, 2}}]}, ".a[1].b is a Python set"),
        ("dyn", [object()], "[0] is a Python object"),
        ("dyn", Decimal("sNaN"), "is not a finite number"),
        ("double", Decimal("sNaN"), "is not a finite number"),
        ("dyn", (element for element in "ab"), "is a Python generator"),
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


def test_what_multiplies_without_end_is_bounded() -> None:
    twice: list[Any] = []
    twice.extend((twice, twice))
    shared: list[Any] = [1]
    for _ in range(60):
        shared = [shared, shared]
    for value in (twice, shared):
        with pytest.raises(AdmissionError, match=r"holds more than 1,000,000 values|nests deeper"):
            from_python(value)


def test_numpy_values_are_plain() -> None:
    numpy = pytest.importorskip("numpy")
    row = {"n": numpy.int64(3), "share": numpy.float32(0.5), "text": numpy.str_("a"), "is": numpy.bool_(True)}
    for value in (row, {**row, "list": numpy.array([1, 2])}):
        for name, admitted in from_python(value).items():
            assert type(admitted) in (int, float, str, bool, list), name
    assert admit(numpy.int64(3), parse_type("int")) == 3
    assert admit(numpy.bool_(True), parse_type("bool")) is True
    with pytest.raises(AdmissionError, match="must be an integer, got a number"):
        admit(numpy.float64(3), parse_type("int"))


_PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
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


class _Number(int):
    """A number whose text and hash are its own."""

    def __hash__(self) -> int:
        return 7

    def __int__(self) -> int:
        return 9


class _Entries(dict[Any, Any]):
    def __missing__(self, key: Any) -> Any:
        return "anything"


class _Items(list[Any]):
    def __contains__(self, item: object) -> bool:
        return True


def _disguised(value: Any) -> Any:
    """Return the value in classes that extend its own, at every depth."""
    match value:
        case bool() | None:
            return value
        case str():
            return _Loud(value)
        case int():
            return _Number(value)
        case float():
            return _Share(value)
        case list():
            return _Items(map(_disguised, value))
        case dict():
            return _Entries((key, _disguised(item)) for key, item in value.items())
    return value


def _exactly(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_exactly, one, other))
    if isinstance(one, dict):
        return list(map(type, one)) == list(map(type, other)) and all(_exactly(one[key], other[key]) for key in other)
    return bool(one == other)


@given(_PLAIN)
def test_no_class_shows_behind_the_border(value: Any) -> None:
    """Then both forms of an expression, which trust exact classes, see what they see of the plain value."""
    assert _exactly(from_python(_disguised(value)), from_python(value))


class Message(BaseModel):
    """A message whose texts stand in its defaults, as the kind of LangChain's messages does."""

    content: str
    type: str = "human"
    note: str | None = None
    tags: list[str] = []
    inner: Message | None = None


def test_defaults_of_models_are_there() -> None:
    message = Message(content="x", inner=Message(content="y", note=None))
    inner = {"content": "y", "type": "human", "note": None}
    assert from_python(message) == {"content": "x", "type": "human", "inner": inner}
