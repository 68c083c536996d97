"""How an expected value and an actual one differ, down to the value inside that is to blame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from costlens_policy.documents.suite import TextExpectation
from costlens_policy.expressions.runtime.regexes import matcher

__all__ = ["ABSENT", "Difference", "text_differences", "value_differences"]


class _Absent:
    """Stands where there is no value."""

    def __repr__(self) -> str:
        return "absent"


ABSENT: Final = _Absent()


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as expected. ``path`` leads through the decision, as in ``params.temperature``.

    ``relation`` says how the actual value should stand to the expected one, such as ``contains``; empty means that they
    should be equal. ``ABSENT`` is the value of what is not there.
    """

    path: str
    expected: Any
    actual: Any
    relation: str = ""


def value_differences(path: str, expected: Any, actual: Any, *, closed: bool = False) -> Iterator[Difference]:
    """Yield where JSON-like values differ.

    A map needs the expected keys, and no others when ``closed``; null expects a key to be absent. Lists are as long as
    expected. Numbers are equal by value, whatever their type; a boolean is no number.
    """
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        for key, value in expected.items():
            yield from value_differences(f"{path}.{key}", value, actual.get(key, ABSENT), closed=closed)
        if closed:
            yield from (Difference(f"{path}.{key}", ABSENT, actual[key]) for key in actual if key not in expected)
    elif isinstance(expected, list | tuple) and isinstance(actual, list | tuple):
        if len(expected) != len(actual):
            yield Difference(path, list(expected), list(actual))
            return
        for index, (left, right) in enumerate(zip(expected, actual, strict=True)):
            yield from value_differences(f"{path}[{index}]", left, right, closed=closed)
    elif not _equal(expected, actual):
        yield Difference(path, ABSENT if expected is None else expected, actual)


def _equal(expected: Any, actual: Any) -> bool:
    if expected is None:
        return actual is None or actual is ABSENT
    if _is_number(expected) and _is_number(actual):
        return _exact(expected) == _exact(actual)
    return type(expected) is type(actual) and bool(expected == actual)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _exact(number: int | float | Decimal) -> Decimal:
    return Decimal(repr(number)) if isinstance(number, float) else Decimal(number)


def text_differences(path: str, expected: str | TextExpectation, actual: str | None) -> Iterator[Difference]:
    """Yield what does not hold of a text."""
    if isinstance(expected, str):
        expected = TextExpectation(equals=expected)
    if actual is None:
        relation, text, _ = next(_demands(expected))
        yield Difference(path, text, ABSENT, relation)
        return
    for relation, text, holds in _demands(expected, actual):
        if not holds:
            yield Difference(path, text, actual, relation)


def _demands(expected: TextExpectation, actual: str = "") -> Iterator[tuple[str, str, bool]]:
    """Yield each demand on a text: its relation, the expected text, and whether it holds."""
    if expected.equals is not None:
        yield "", expected.equals, actual == expected.equals
    for text in expected.contains:
        yield "contains", text, text in actual
    for text in expected.excludes:
        yield "does not contain", text, text not in actual
    if expected.starts_with is not None:
        yield "starts with", expected.starts_with, actual.startswith(expected.starts_with)
    if expected.ends_with is not None:
        yield "ends with", expected.ends_with, actual.endswith(expected.ends_with)
    if expected.matches is not None:
        yield "matches", expected.matches, matcher(expected.matches)(actual, None)
