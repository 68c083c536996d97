"""Two rules and one target."""

from __future__ import annotations

from typing import Any

import pytest

from costlens_policy.documents.rewrites import Operation
from costlens_policy.rewrites import Content, apply_steps, combine
from tests.rewrites.making import chat, prompt, step, user


def both(merge: Any, first: dict[str, Any], second: dict[str, Any], content: Content | None = None) -> Content:
    rules = ((None, (step(**first),)), (merge, (step(**second),)))
    return apply_steps(content or prompt("x"), combine(rules), ())[0]


def prefix(text: str) -> dict[str, Any]:
    return {"prefix": {"text": text}}


def limit(value: Any) -> dict[str, Any]:
    return {"set_params": {"max_output_tokens": value}}


def clamp(**bounds: int) -> dict[str, Any]:
    return {"clamp_params": {"max_tokens": bounds}}


def test_append_keeps_the_order_of_the_rules() -> None:
    assert both("append", prefix("1 "), prefix("2 ")).prompt == "1 2 x"
    assert both("append", {"suffix": {"text": " 1"}}, {"suffix": {"text": " 2"}}).prompt == "x 1 2"
    for place in ("before", "after", "replace"):
        system = [{"system": {"text": text, "place": place}} for text in "12"]
        assert both("append", *system).system == "1\n\n2"


def test_without_a_merge_both_are_applied_one_after_the_other() -> None:
    assert both(None, prefix("1 "), prefix("2 ")).prompt == "2 1 x"
    assert both(None, limit(5), limit(7)).params == {"max_output_tokens": 7}


def test_set_once_keeps_the_first() -> None:
    assert both("set_once", prefix("1 "), prefix("2 ")).prompt == "1 x"
    assert both("set_once", limit(5), limit(7)).params == {"max_output_tokens": 5}
    mixed = both("set_once", limit(5), {"set_params": {"max_tokens": 7, "n": 1}})
    assert mixed.params == {"max_output_tokens": 5, "n": 1}


@pytest.mark.parametrize(
    ("first", "second", "lower", "higher"),
    [
        (limit(5), limit(7), 5, 7),
        (limit(7), limit(5), 5, 7),
        (limit(7), clamp(max=5), 5, 7),
        (clamp(max=5), limit(7), 5, 7),
        (clamp(min=9), limit(7), 7, 9),
    ],
)
def test_min_and_max_of_the_output_limit(first: Any, second: Any, lower: int, higher: int) -> None:
    assert both("min", first, second).params == {"max_output_tokens": lower}
    assert both("max", first, second).params == {"max_output_tokens": higher}


def test_min_and_max_of_bounds() -> None:
    content = prompt("x", max_tokens=100)
    assert both("min", clamp(max=5), clamp(max=7), content).params == {"max_tokens": 5}
    assert both("max", clamp(max=5), clamp(max=7), content).params == {"max_tokens": 7}
    assert both("min", clamp(max=5), clamp(min=7), content).params == {"max_tokens": 5}


def test_min_and_max_of_the_limits_of_operations() -> None:
    content = chat(user("a " * 50), user("b " * 50), user("c"))
    trim = [{"trim_history": {"max_prompt_tokens": tokens}} for tokens in (20, 90)]
    assert len(both("min", *trim, content).messages or ()) == 1
    assert len(both("max", *trim, content).messages or ()) == 2
    keep = [{"drop_examples": {"keep": number, "begin": "<", "end": ">"}} for number in (0, 1)]
    assert both("min", *keep, prompt("<1> <2>")).prompt == ""
    assert both("max", *keep, prompt("<1> <2>")).prompt == "<1>"


def test_the_earlier_rule_says_it_where_the_later_one_is_silent() -> None:
    rules = [("min", (step(**limit(5)),)), (None, (step(**limit(7)),))]
    assert apply_steps(prompt("x"), combine(rules), ())[0].params == {"max_output_tokens": 5}


def test_one_rule_may_set_a_target_twice() -> None:
    rules = [("set_once", (step(**prefix("1 ")), step(**prefix("2 "))))]
    assert apply_steps(prompt("x"), combine(rules), ())[0].prompt == "2 1 x"


def test_replacements_have_no_target() -> None:
    mail, address = ({"redact": {"kinds": [kind]}} for kind in ("email", "ipv4"))
    assert both("set_once", mail, address, prompt("a@b.org 1.1.1.1")).prompt == "[email] [ipv4]"


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ({"system": {"text": "x"}}, ("system",)),
        ({"prefix": {"text": "x"}}, ("prefix",)),
        ({"suffix": {"text": "x"}}, ("suffix",)),
        ({"template": {"text": "x"}}, ("prompt",)),
        ({"drop_examples": {}}, ("examples",)),
        ({"trim_history": {"max_prompt_tokens": 1}}, ("history",)),
        ({"shorten_tool_output": {"max_tokens": 1}}, ("tool_output",)),
        ({"replace": {"pattern": "x"}}, ()),
        ({"redact": {"kinds": ["email"]}}, ()),
        ({"set_params": {"a": 1, "max_tokens": 2}}, ("params.a", "params.max_output_tokens")),
        ({"clamp_params": {"n": {"max": 1}}}, ("params.n",)),
        ({"remove_params": ["max_tokens", "max_completion_tokens"]}, ("params.max_output_tokens",)),
    ],
)
def test_targets_of_documents_and_of_steps_agree(operation: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert Operation.model_validate(operation).targets == expected
    assert tuple(dict.fromkeys(step(**operation).targets)) == expected
