"""What is told of conditions holds for every request: verdicts against evaluation."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costlens_policy.checker.condition import Condition, Cover, condition_of
from costlens_policy.expressions import BOOL, DYN, INT, STRING, Environment, Field, Record, Type, TypedExpr, analyze
from costlens_policy.expressions.compile import compile_expression
from costlens_policy.expressions.runtime import CelError

REQUEST = Record(
    "request",
    {
        "team": Field(STRING),
        "tokens": Field(INT),
        "stream": Field(BOOL),
        "any": Field(DYN),
        "tier": Field(STRING, values=("x", "Y")),
        "plan": Field(STRING, optional=True, values=("x", "Y")),
        "prompt_tokens": Field(INT, optional=True),
    },
)
ENVIRONMENT = Environment({"request": Type("request")}, {"request": REQUEST})
REQUESTS = [
    {"team": team, "tokens": tokens, "stream": stream, "any": anything, "tier": tier} | more
    for team, tokens, stream, anything, tier, more in product(
        ("a", "b", "c"), (0, 1, 2, 3, 4), (True, False), (1, "a", None), ("x", "Y"),
        ({}, {"plan": "x"}, {"plan": "Y", "prompt_tokens": 0}),
    )
]  # fmt: skip


def typed(text: str) -> TypedExpr:
    analyzed = analyze(text, ENVIRONMENT, BOOL)
    assert analyzed.typed is not None, analyzed.problems
    return analyzed.typed


def condition(text: str) -> Condition:
    return condition_of(typed(text), {})


def outcomes(text: str) -> list[Any]:
    evaluate = compile_expression(typed(text), ("request",))

    def outcome(request: dict[str, Any]) -> Any:
        try:
            return evaluate(request)
        except CelError:
            return None

    return [outcome(request) for request in REQUESTS]


ATOMS = st.sampled_from([
    'request.team == "a"', '"b" == request.team', 'request.team != "a"', 'request.team in ["a", "b"]',
    'request.team in ["b", "c"]', "request.tokens < 2", "request.tokens <= 2", "3 > request.tokens",
    "request.tokens >= 2", "request.tokens == 2", "request.tokens > 4", "request.tokens != 3", "request.stream",
    "request.stream == true", "request.any == 1", 'request.any == "a"', "request.any < 2", "true", "false",
    'request.team.startsWith("a")', "request.tokens % 2 == 0", "4 / request.tokens == 2",
    'request.team != "b"', "request.tokens > 2.5", "request.tokens < 2.5", "request.tokens > 1", "request.tokens < 3",
    'request.tier == "x"', 'request.tier != "x"', 'request.tier in ["x", "Y"]', 'request.tier == "z"',
    'request.plan == "x"', 'request.plan != "x"', 'request.plan in ["x", "Y"]', 'request.?plan.orValue("z") != "x"',
    'request.?plan.orValue("z") in ["x", "Y", "z"]', 'request.?plan.orValue("Y") == "z"',
    "request.?prompt_tokens.orValue(1) < 0", "request.?prompt_tokens.orValue(-1) < 0", "request.prompt_tokens >= 0",
    'request.tier.lowerAscii() == "Y"', 'request.tier.lowerAscii() == "y"', "size(request.team) >= 0",
])  # fmt: skip
CONDITIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: "(" + " && ".join(parts) + ")"),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: "(" + " || ".join(parts) + ")"),
        inner.map(lambda part: f"!({part})"),
    ),
    max_leaves=6,
)


NEVER = [
    "request.tokens > 2 && request.tokens < 3", "request.prompt_tokens < 0", "request.?prompt_tokens.orValue(0) < 0",
    'request.tier == "z"', 'request.tier != "x" && request.tier != "Y"', 'request.?plan.orValue("none") == "z"',
    'request.team.lowerAscii() == "A"', 'request.team.upperAscii() in ["a", "bC"]', "size(request.team) < 0",
    'timestamp("2026-01-01T00:00:00Z").getMonth() == 12', 'timestamp("2026-01-01T00:00:00Z").getHours("UTC") > 23',
    'timestamp("2026-01-01T00:00:00Z").getDayOfWeek() == 7', 'timestamp("2026-01-01T00:00:00Z").getDate() < 1',
]  # fmt: skip
ALWAYS_HOLD = [
    'request.team != "a" || request.team != "b"', 'request.tier in ["x", "Y"]',
    'request.tier == "x" || request.tier == "Y"',
]  # fmt: skip


@pytest.mark.parametrize("text", NEVER)
def test_what_a_part_cannot_be_never_holds(text: str) -> None:
    assert condition(text).never
    assert True not in outcomes(text)


@pytest.mark.parametrize("text", ALWAYS_HOLD)
def test_all_that_a_part_can_be_always_holds(text: str) -> None:
    assert condition(text).always
    assert set(outcomes(text)) == {True}


@pytest.mark.parametrize(
    "text",
    [
        'request.plan in ["x", "Y"]', 'request.plan != "x" || request.plan != "Y"', "request.prompt_tokens >= 0",
        'duration("40h").getHours() == 40', "request.?prompt_tokens.orValue(-1) < 0", "request.tokens > 2.5",
    ],
)  # fmt: skip
def test_what_may_fail_or_hold_is_left_open(text: str) -> None:
    found = condition(text)
    assert not found.never
    assert not found.always


@settings(max_examples=300)
@given(CONDITIONS, CONDITIONS)
def test_exclusion_and_implication_hold_for_every_request(one: str, other: str) -> None:
    first, second = condition(one), condition(other)
    pairs = list(zip(outcomes(one), outcomes(other), strict=True))
    if first.excludes(second):
        assert not [pair for pair in pairs if pair == (True, True)]
    if first.implies(second):
        assert all(right is True for left, right in pairs if left is True)


@settings(max_examples=200)
@given(CONDITIONS)
def test_constant_conditions_are_constant(text: str) -> None:
    found = condition(text)
    values = outcomes(text)
    if found.never:
        assert True not in values
    if found.always:
        assert set(values) == {True}


@settings(max_examples=100)
@given(st.lists(CONDITIONS, max_size=8), CONDITIONS)
def test_the_index_finds_what_trying_all_finds(texts: list[str], text: str) -> None:
    cover: Cover[int] = Cover()
    conditions = [condition(item) for item in texts]
    for number, item in enumerate(conditions):
        cover.add(item, number)
    wanted = condition(text)
    if wanted.never:
        return
    slow = next((number for number, item in enumerate(conditions) if wanted.implies(item)), None)
    assert cover.first(wanted) == slow


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('request.team == "a"', 'request.team == "b"'),
        ('request.team == "a"', 'request.team != "a"'),
        ('request.team in ["a"]', '!(request.team in ["a", "c"])'),
        ("request.tokens > 3", "request.tokens <= 3"),
        ("request.stream", "!request.stream"),
        ('request.team == "a" && request.stream', 'request.tokens > 1 && request.team == "b"'),
    ],
)
def test_conditions_that_exclude_each_other(one: str, other: str) -> None:
    assert condition(one).excludes(condition(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("request.tokens > 5", "request.tokens > 3"),
        ('request.team == "a"', 'request.team in ["a", "b"]'),
        ('request.team == "a" || request.team == "b"', 'request.team in ["a", "b", "c"]'),
        ('request.team == "a" && request.stream', "request.stream"),
        ("size(request.team) > 3", "size(request.team) > 3"),
        ("request.stream", "true"),
    ],
)
def test_conditions_that_imply_each_other(one: str, other: str) -> None:
    assert condition(one).implies(condition(other))


def test_variables_are_read_through() -> None:
    record = Record("variables", {"short": Field(BOOL)})
    environment = Environment(
        {"request": Type("request"), "variables": Type("variables")}, {"request": REQUEST, "variables": record}
    )
    reading = analyze("variables.short", environment, BOOL).typed
    assert reading is not None
    found = condition_of(reading, {"short": typed("request.tokens < 2")})
    assert found.excludes(condition("request.tokens > 2"))
