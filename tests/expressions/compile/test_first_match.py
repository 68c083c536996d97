"""The first condition that holds is found the same way whether it is looked up or tried in a line."""

from __future__ import annotations

import math
import threading
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costlens_policy.expressions import (
    DOUBLE,
    INT,
    STRING,
    Environment,
    Field,
    Record,
    Type,
    TypedExpr,
    analyze,
    list_of,
)
from costlens_policy.expressions.compile import RuleError, compile_first_match, compile_traced
from costlens_policy.expressions.runtime import CelError

_REQUEST: Final = Record(
    "request",
    {
        "team": Field(STRING),
        "task": Field(STRING),
        "model": Field(STRING),
        "tier": Field(STRING, optional=True),
        "tokens": Field(INT),
        "budget": Field(DOUBLE),
        "tags": Field(list_of(STRING)),
        "limit": Field(INT, optional=True),
    },
)
_ENVIRONMENT: Final = Environment({"request": Type("request")}, {"request": _REQUEST})
_PARAMETERS: Final = ("request",)
_REQUESTS: Final = st.fixed_dictionaries(
    {
        "team": st.sampled_from(("red", "blue", "green", "")),
        "task": st.sampled_from(("qa", "sum", "code")),
        "model": st.sampled_from(("gpt-5", "gpt-4o", "claude", "g")),
        "tokens": st.integers(0, 5),
        "budget": st.sampled_from((0.0, 0.5, 1.0, math.nan)),
        "tags": st.lists(st.sampled_from(("a", "b")), max_size=2),
    },
    optional={"tier": st.sampled_from(("gold", "free")), "limit": st.integers(-1, 21)},
)
_OPERANDS: Final = (
    'request.team == "red"',
    '"blue" == request.team',
    'request.team in ["red", "green"]',
    'request.task == "qa"',
    'request.task == "sum" || request.task == "code"',
    'request.model.startsWith("gpt-")',
    'request.model.startsWith("gpt-5")',
    "request.tokens == 3",
    "request.tokens in [1, 2]",
    "request.tokens > 2",
    "10 / request.tokens > 4",
    "request.budget < 0.7",
    '"a" in request.tags',
    "request.tags.exists(t, t == request.team)",
    'has(request.tier) && request.tier == "gold"',
    'request.tier == "gold"',
    'has(request.tier) && request.tier in ["gold", "free"]',
    '!(request.team == "red")',
    'request.team == "red" || request.tokens == 1',
    '(request.team == "red" && request.tokens == 1) || (request.tokens > 2 && request.team == "blue")',
    '(request.team == "red" && 1 / request.tokens > 0) || (request.team == "green" && request.task in ["qa", "sum"])',
    '(has(request.tier) && request.tier == "gold") || (request.tier == "free" && request.tokens == 1)',
)
_CONDITIONS: Final = st.lists(st.sampled_from(_OPERANDS), min_size=1, max_size=3, unique=True).map(" && ".join)


def _bounds(field: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    operators = st.sampled_from(("<", "<=", ">", ">=", "=="))
    comparison = st.builds(lambda value, operator: f"request.{field} {operator} {value!r}", values, operators)
    mirrored = st.builds(lambda value, operator: f"{value!r} {operator} request.{field}", values, operators)
    return st.lists(comparison | mirrored, min_size=1, max_size=2).map(" && ".join)


_LIMITS: Final = _bounds("limit", st.integers(0, 20))
_BOUNDED: Final = {
    "tokens": _bounds("tokens", st.integers(0, 6)),
    "budget": _bounds("budget", st.sampled_from((0.0, 0.25, 0.5, 1.0))),
    "limit": _LIMITS | _LIMITS.map("has(request.limit) && {}".format),
}


def _typed(text: str) -> TypedExpr:
    typed = analyze(text, _ENVIRONMENT).typed
    if typed is None:  # an optional attribute without a guard is an error of the checker, and still has a meaning
        relaxed = {**_REQUEST.fields, "tier": Field(STRING), "limit": Field(INT)}
        environment = Environment({"request": Type("request")}, {"request": Record("request", relaxed)})
        typed = analyze(text, environment).typed
    assert typed is not None, text
    return typed


def _expected(conditions: list[TypedExpr | None], request: dict[str, Any], on_error: str) -> int | str | None:
    """Try conditions in order by their exact form."""
    for index, typed in enumerate(conditions):
        if typed is None:
            return index
        value = compile_traced(typed, _PARAMETERS)(request).value
        if isinstance(value, CelError) and on_error == "raise":
            return f"error in {index}"
        if value is True:
            return index
    return None


@pytest.mark.parametrize("on_error", ["raise", "skip"])
@pytest.mark.parametrize("count", [3, 40])
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_first_match(count: int, on_error: Any, data: st.DataObject) -> None:
    texts = data.draw(st.lists(_CONDITIONS | st.none(), min_size=count, max_size=count), label="conditions")
    conditions = [None if text is None else _typed(text) for text in texts]
    first = compile_first_match(conditions, _PARAMETERS, on_error=on_error)
    for request in data.draw(st.lists(_REQUESTS, min_size=1, max_size=5), label="requests"):
        try:
            found: Any = first(request)
        except RuleError as error:
            found = f"error in {error.index}"
        assert found == _expected(conditions, request, on_error)


@pytest.mark.parametrize("on_error", ["raise", "skip"])
@settings(max_examples=80, deadline=None)
@given(st.data())
def test_ranges(on_error: Any, data: st.DataObject) -> None:
    field = data.draw(st.sampled_from(sorted(_BOUNDED)), label="field")
    further = st.sampled_from(("", "", ' && request.task == "qa"'))
    bounds = st.builds(lambda bound, more: bound + more, _BOUNDED[field], further)
    texts = data.draw(st.lists(bounds, min_size=20, max_size=40), label="ranges")
    conditions = [_typed(text) for text in [*texts, *data.draw(st.lists(_CONDITIONS, max_size=4), label="others")]]
    first = compile_first_match(conditions, _PARAMETERS, on_error=on_error)
    for request in data.draw(st.lists(_REQUESTS, min_size=1, max_size=5), label="requests"):
        try:
            found: Any = first(request)
        except RuleError as error:
            found = f"error in {error.index}"
        assert found == _expected(conditions, request, on_error)


def _rules(count: int) -> list[TypedExpr | None]:
    return [_typed(f'request.team == "team{index}" && request.tokens < 100') for index in range(count)]


def _request(**attributes: Any) -> dict[str, Any]:
    return {"team": "", "task": "", "model": "", "tokens": 0, "budget": 0.0, "tags": [], **attributes}


def test_none_holds() -> None:
    assert compile_first_match(_rules(2), _PARAMETERS)(_request()) is None
    assert compile_first_match(_rules(50), _PARAMETERS)(_request()) is None
    assert compile_first_match([], _PARAMETERS)(_request()) is None


def test_error_policy_of_each_condition() -> None:
    failing, holding = _typed("1 / request.tokens > 0"), _typed("request.budget < 1.0")
    first = compile_first_match([failing, failing, holding], _PARAMETERS, on_error=["skip", "raise", "raise"])
    with pytest.raises(RuleError, match="division by zero") as raised:
        first(_request())
    assert (raised.value.index, raised.value.code) == (1, "CL905")


def test_false_operand_absorbs_an_error_before_it() -> None:
    rules = [_typed('1 / request.tokens > 0 && request.team == "red"'), *_rules(30)]
    assert compile_first_match(rules, _PARAMETERS)(_request(team="team7")) == 8


def test_many_rules_are_not_all_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 2,000 rules that differ in their team, a request compiles, and so tries, only the one of its team."""
    from costlens_policy.expressions.compile.first_match.conditions import Condition

    tried: list[int] = []
    compiled = Condition._compiled
    monkeypatch.setattr(Condition, "_compiled", lambda self: (tried.append(self.index), compiled(self))[1])
    first = compile_first_match(_rules(2_000), _PARAMETERS)
    assert first(_request(team="team1234")) == 1234
    assert first(_request(team="team9999")) is None
    assert tried == [1234]


@pytest.mark.parametrize("shape", ["request.tokens >= {0} && request.tokens < {1}", "request.tokens < {1}"])
def test_of_many_ranges_one_is_tried(monkeypatch: pytest.MonkeyPatch, shape: str) -> None:
    from costlens_policy.expressions.compile.first_match.conditions import Condition

    tried: list[int] = []
    compiled = Condition._compiled
    monkeypatch.setattr(Condition, "_compiled", lambda self: (tried.append(self.index), compiled(self))[1])
    tiers = [_typed(shape.format(10 * index, 10 * index + 10)) for index in range(2_000)]
    first = compile_first_match(tiers, _PARAMETERS)
    assert first(_request(tokens=12_345)) == 1234
    assert first(_request(tokens=20_000)) is None
    assert tried == [1234]


def test_threads_do_not_share_values() -> None:
    first = compile_first_match(_rules(64), _PARAMETERS)
    wrong: list[int] = []

    def decide(index: int) -> None:
        request = _request(team=f"team{index}")
        wrong.extend(index for _ in range(300) if first(request) != index)

    threads = [threading.Thread(target=decide, args=(index,)) for index in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
