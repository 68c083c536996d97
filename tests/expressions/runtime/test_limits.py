"""No expression runs long or makes much, whatever the values are."""

from __future__ import annotations

import pytest

from costlens_policy.expressions import DYN, INT, STRING, Environment, list_of, parse, unchecked
from costlens_policy.expressions.compile import compile_expression, compile_traced
from costlens_policy.expressions.limits import DEFAULT_RUN_LIMITS, SIZE, RunLimits
from costlens_policy.expressions.runtime import CelError

_ENVIRONMENT = Environment({"l": list_of(INT), "s": STRING, "x": DYN})
_PARAMETERS = ("l", "s", "x")


def _failure(text: str, length: int, limits: RunLimits = DEFAULT_RUN_LIMITS) -> str:
    """Return the code in which both forms of an expression end, given a list and a text of that length."""
    typed = unchecked(text, parse(text), _ENVIRONMENT)
    values = (list(range(length)), "ab" * length, ["ab"] * length)
    traced = compile_traced(typed, _PARAMETERS, limits=limits)(*values).value
    with pytest.raises(CelError) as raised:
        compile_expression(typed, _PARAMETERS, limits=limits)(*values)
    assert isinstance(traced, CelError)
    assert raised.value.code == traced.code
    return traced.code


@pytest.mark.parametrize(
    "text",
    [
        "l.all(a, l.all(b, l.all(c, a + b + c >= 0)))",
        "l.map(a, l.map(b, l.map(c, c)))",
        "l.exists(a, l.exists(b, a == -1 && b == -1))",
        "l.all(a, l.exists_one(b, a == b)) || true",
        "l.filter(a, l.filter(b, b == a).size() == 1) == []",
        "x.all(a, x.all(b, a == b))",
        "l.transformMap(i, v, l.transformList(j, w, v)) == {}",
        "l.sortBy(a, l.filter(b, b > a).size()) == []",
        "cel.bind(k, l.map(a, l.map(b, b)), size(k) > 0)",
    ],
)
def test_nested_comprehensions(text: str) -> None:
    assert _failure(text, 2_000) == "CL914"


@pytest.mark.parametrize(
    "text",
    [
        "l.all(a, a in l)",
        "l.all(a, l.map(b, b) == l) || l.all(a, x == x)",
        "x.all(a, s.contains(a))",
        "x.all(a, s.matches('(ab)*c') || true)",
        "x.map(a, s + a).size() > 0",
        "l.exists(a, sets.contains(l, [a + 1]) == false)",
        "cel.bind(k, s, x.all(a, k.contains(a)))",
        "l.map(a, x.distinct()).size() == 0",
    ],
)
def test_long_reads_within_a_comprehension(text: str) -> None:
    assert _failure(text, 60_000) == "CL914"


def test_short_reads_are_free() -> None:
    text = "l.all(a, a in [1, 2, 3] || s.contains('ab'))"
    typed = unchecked(text, parse(text), _ENVIRONMENT)
    assert compile_expression(typed, _PARAMETERS)(list(range(100_000)), "abc", None) is True


def test_one_long_list() -> None:
    assert _failure("l.all(a, a >= 0)", 100_001) == "CL914"
    assert _failure("l.all(a, a >= 0)", 11, RunLimits(iterations=10)) == "CL914"


def test_nothing_absorbs_a_limit() -> None:
    assert _failure("l.all(a, l.all(b, a + b >= 0)) || true", 2_000) == "CL914"
    assert _failure("[1, 2].exists(a, l.all(b, l.all(c, a + b >= c - c)) || true)", 2_000) == "CL914"
    assert _failure("s.replace('', s) == s || true", 7_000) == "CL915"


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("s.replace('', s)", 7_000),
        ("s.split('').join(s)", 7_000),
        ("regex.replace(s, 'a', s)", 7_000),
        ("bytes(s + s + s) + bytes(s + s + s) == b''", 1_000_000),
        ("'%s%s%s%s%s%s'.format([s, s, s, s, s, s])", 1_000_000),
        ("cel.bind(a, s + s, cel.bind(b, a + a, cel.bind(c, b + b, cel.bind(d, c + c, d + d))))", 200_000),
        ("cel.bind(a, l + l, cel.bind(b, a + a, cel.bind(c, b + b, cel.bind(d, c + c, d + d))))", 400_000),
        ("[[l, l, l], [l, l, l], [l, l, l]].map(a, [a, a, a, a, a, a, a, a]).flatten(3)", 150_000),
        ("lists.range(10000001)", 1),
        ("l.map(a, [9007199254740993, a]).distinct() == []", 5_000),
        ("sets.contains(l.map(a, [9007199254740993, a]), l.map(a, [a]))", 5_000),
    ],
)
def test_large_results(text: str, length: int) -> None:
    assert _failure(text, length) == "CL915"


def test_the_limit_is_beyond_what_policies_make() -> None:
    assert SIZE >= 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        "s + s",
        "[s].join('-') + '!'",
        "s.replace('a', 'aa')",
        "l + l",
        "dyn(l) + dyn(l)",
        "'%s'.format([s])",
        "l.slice(0, 11)",
    ],
)
def test_a_set_may_ask_for_smaller_values(text: str) -> None:
    assert _failure(f"size({text}) > 0", 11, RunLimits(size=10)) == "CL915"
    typed = unchecked(text, parse(text), _ENVIRONMENT)
    assert compile_expression(typed, _PARAMETERS, limits=RunLimits(size=100))(list(range(11)), "ab" * 11, None)


def test_what_a_request_brings_may_be_larger() -> None:
    text = "s.startsWith('ab') && l.all(a, a >= 0) && size(l) == 11"
    typed = unchecked(text, parse(text), _ENVIRONMENT)
    assert compile_expression(typed, _PARAMETERS, limits=RunLimits(size=1))(list(range(11)), "ab" * 11, None) is True
