"""Few-shot examples."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.rewrites.making import assistant, changes, chat, prompt, rewritten, system, text, user

DROP: dict[str, Any] = {"drop_examples": {}}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("no examples", "no examples"),
        ("Do it.\n\n<example>1</example>\n\nNow: x", "Do it.\n\nNow: x"),
        ("Do it.\n<example>1</example>\n<example>2</example>\nNow: x", "Do it.\nNow: x"),
        ("Do it.\n\n\n<example>1</example>\n\n\n\n<example>2</example>\n\n\n  Now", "Do it.\n\n  Now"),
        ("a <example>1</example> b", "a b"),
        ("a<example>1</example>b", "ab"),
        ("<example>1</example>\nNow", "Now"),
        ("Do it.\n<example>1</example>\n", "Do it.\n"),
        ("Do it. <example>1</example>", "Do it."),
        ("<example>1</example>", ""),
        ("a <example> open", "a <example> open"),
        ("a </example> b <example>1</example> c", "a </example> b c"),
        ("<example>1<example>2</example> x", "x"),
        ("  keeps   its\n\n\n\nspaces  ", "  keeps   its\n\n\n\nspaces  "),
    ],
)
def test_marked_examples_are_cut_with_their_blank_lines(before: str, after: str) -> None:
    assert rewritten(prompt(before), **DROP).prompt == after


def test_the_first_ones_may_stay() -> None:
    content = rewritten(
        prompt("<example>1</example>\n<example>2</example>\n<example>3</example>\nx"), drop_examples={"keep": 2}
    )
    assert content.prompt == "<example>1</example>\n<example>2</example>\nx"


def test_other_markers() -> None:
    drop = {"drop_examples": {"begin": "###", "end": "###"}}
    assert rewritten(prompt("a\n### 1 ###\nb"), **drop).prompt == "a\nb"


def test_they_are_counted_over_all_texts() -> None:
    content = chat(system("<example>1</example> s"), user("u <example>2</example>"), assistant("<example>3</example>"))
    changed = rewritten(content, drop_examples={"keep": 1})
    assert changed.messages == (system("<example>1</example> s"), user("u"), assistant("<example>3</example>"))
    (change,) = changes(content, drop_examples={"keep": 1})
    assert (change.target, change.detail) == ("messages[1]", "1 examples removed")


def test_examples_by_name() -> None:
    def named(name: str, content: str) -> dict[str, str]:
        return {"role": "system", "name": name, "content": content}

    pairs = [named("example_user", "q1"), named("example_assistant", "a1"), named("example_user", "q2")]
    content = chat(system("s"), *pairs, named("example_assistant", "a2"), named("example_assistant", "b2"), user("u"))
    assert rewritten(content, **DROP).messages == (system("s"), user("u"))
    assert rewritten(content, drop_examples={"keep": 1}).messages == (system("s"), *pairs[:2], user("u"))
    assert changes(content, **DROP)[0].detail == "5 messages of examples removed"


def test_what_held_only_examples_goes_except_the_last_user_message() -> None:
    only = "<example>1</example>"
    content = chat(system(only), user([text(only), text("x")]), user(only))
    assert rewritten(content, **DROP).messages == (user([text("x")]), user(""))


@given(st.lists(st.sampled_from(["<example>", "</example>", "a", " ", "\n", "b\n\n"]), max_size=20).map("".join))
def test_words_outside_examples_stay(value: str) -> None:
    cut = rewritten(prompt(value), **DROP).prompt or ""
    assert cut.replace("<example>", "").count("a") <= value.count("a")
    if "<example>" not in value:
        assert cut == value
