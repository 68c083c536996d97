"""Parameters: set, clamped, removed."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from costlens_policy.rewrites import RewriteError
from tests.rewrites.making import changes, prompt, rewritten, step


def params(given: dict[str, Any], **operation: Any) -> Any:
    return rewritten(prompt("x", **given), **operation).params


@pytest.mark.parametrize(
    ("given", "wanted", "after"),
    [
        ({}, {"temperature": Decimal("0.2")}, {"temperature": 0.2}),
        ({"temperature": 1}, {"temperature": 0}, {"temperature": 0}),
        ({"a": 1}, {"b": True, "c": "x"}, {"a": 1, "b": True, "c": "x"}),
        ({"max_tokens": 9}, {"max_output_tokens": 5}, {"max_tokens": 5}),
        (
            {"max_output_tokens": 9, "max_completion_tokens": 9},
            {"max_tokens": 5},
            {"max_output_tokens": 5, "max_completion_tokens": 5},
        ),
        ({}, {"max_tokens": 5}, {"max_output_tokens": 5}),
    ],
)
def test_set(given: dict[str, Any], wanted: dict[str, Any], after: dict[str, Any]) -> None:
    assert params(given, set_params=wanted) == after


def test_values_are_plain_json_and_nobody_elses() -> None:
    wanted = {"response_format": {"type": "json", "limits": [Decimal("1.5"), Decimal("2")]}}
    set_params = step(set_params=wanted)
    first = set_params.apply(prompt("x"), ())[0].params
    assert json.dumps(first) == '{"response_format": {"type": "json", "limits": [1.5, 2]}}'
    first["response_format"]["type"] = "changed"
    assert set_params.apply(prompt("x"), ())[0].params["response_format"]["type"] == "json"


def test_true_is_not_one() -> None:
    assert params({"n": True}, set_params={"n": 1}) == {"n": 1}
    assert params({"n": True}, set_params={"n": 1})["n"] is not True


@pytest.mark.parametrize(
    ("value", "bounds", "after"),
    [
        (0.9, {"max": Decimal("0.7")}, 0.7),
        (0.7, {"max": Decimal("0.7")}, 0.7),
        (0.7, {"min": Decimal("0.7")}, 0.7),
        (1, {"min": 2}, 2),
        (5, {"min": 2, "max": 4}, 4),
        (3, {"min": 2, "max": 4}, 3),
        (float("inf"), {"max": 4}, 4),
        (10**400, {"max": 4}, 4),
        (None, {"max": 4}, None),
    ],
)
def test_clamp(value: Any, bounds: dict[str, Any], after: Any) -> None:
    content = prompt("x", n=value)
    changed = rewritten(content, clamp_params={"n": bounds})
    assert changed.params["n"] == after
    assert (changed is content) == (after == value)


def test_clamp_leaves_what_is_absent_and_knows_every_name_of_the_output_limit() -> None:
    assert params({}, clamp_params={"n": {"max": 1}}) == {}
    given = {"max_tokens": 100, "max_output_tokens": 5}
    assert params(given, clamp_params={"max_completion_tokens": {"max": 10}}) == {
        "max_tokens": 10,
        "max_output_tokens": 5,
    }
    (change,) = changes(prompt("x", **given), clamp_params={"max_output_tokens": {"max": 10}})
    assert (change.target, change.detail) == ("params.max_tokens", "lowered to 10")


@pytest.mark.parametrize("value", [True, "5", [5], {}, float("nan")])
def test_clamping_what_is_no_number_is_an_error(value: Any) -> None:
    with pytest.raises(RewriteError, match="the parameter `n` must be a number") as caught:
        params({"n": value}, clamp_params={"n": {"max": 1}})
    assert caught.value.code == "CL951"


def test_remove() -> None:
    assert params({"a": 1, "b": 2}, remove_params=["a", "c"]) == {"b": 2}
    assert params({"max_tokens": 1, "max_completion_tokens": 2}, remove_params=["max_output_tokens"]) == {}


def test_what_changes_nothing_gives_the_same_object() -> None:
    content = prompt("x", n=1)
    for operation in ({"set_params": {"n": 1}}, {"clamp_params": {"n": {"max": 1}}}, {"remove_params": ["a"]}):
        assert step(**operation).apply(content, ()) == (content, ())


def test_changes() -> None:
    content = prompt("x", a=1, b=2)
    made = changes(content, set_params={"a": "x", "c": "y" * 100})
    assert [(change.target, change.detail) for change in made] == [("params.a", 'set to "x"'), ("params.c", "set")]
    assert changes(content, remove_params=["b"])[0].detail == "removed"
