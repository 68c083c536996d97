"""Replacement by patterns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.rewrites.replacement import group_references
from tests.rewrites.making import assistant, changes, chat, prompt, rewritten, step, system, text, user


@pytest.mark.parametrize(
    ("pattern", "by", "before", "after"),
    [
        ("Project (X+)", r"[\1]", "Project XX and Project X", "[XX] and [X]"),
        ("(a)|(b)", r"<\1\2\0>", "ab", "<aa><bb>"),
        ("secret", "", "a secret b", "a  b"),
        (r"\d+", r"\\1 \n", "7", r"\1 \n"),
        ("x*", "-", "axb", "-a-b-"),
        ("(?i)É", "e", "éÉ", "ee"),
        ("b", "x", "\ud800b中b", "\ud800x中x"),
        ("y", "x", "abc", "abc"),
    ],
)
def test_replacement(pattern: str, by: str, before: str, after: str) -> None:
    assert rewritten(prompt(before), replace={"pattern": pattern, "text": by}).prompt == after


def test_only_in_some_roles() -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": "x"}
    content = chat(system("x"), user([text("x"), result]), assistant("x"), {"role": "tool", "content": "x"}, system="x")

    def where(*roles: str) -> list[str]:
        return [change.target for change in changes(content, replace={"pattern": "x", "roles": roles})]

    assert where("system") == ["params.system", "messages[0]"]
    assert where("user") == ["messages[1]"]
    assert where("assistant") == ["messages[2]"]
    assert where("tool") == ["messages[1]", "messages[3]"]
    assert len(where()) == 5
    replaced = rewritten(content, replace={"pattern": "x", "text": "y", "roles": ["tool"]})
    assert (replaced.messages or ())[1] == user([text("x"), {**result, "content": "y"}])


def test_numbers_in_tool_calls_are_not_texts() -> None:
    use = {"type": "tool_use", "id": "t", "name": "f", "input": {"n": 12, "s": "12"}}
    (message,) = rewritten(chat(assistant([use])), replace={"pattern": "1", "text": "0"}).messages or ()
    assert message["content"][0]["input"] == {"n": 12, "s": "02"}


def test_arguments_stay_json() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": "say \\"x\\""}'}}
    (message,) = (
        rewritten(chat(assistant(None, tool_calls=[call])), replace={"pattern": "^say", "text": '"'}).messages or ()
    )
    assert message["tool_calls"][0]["function"]["arguments"] == '{"a": "\\" \\"x\\""}'


def test_the_change_does_not_tell_what_was_there() -> None:
    (change,) = changes(prompt("Project X"), replace={"pattern": "Project X", "text": "it"})
    assert "Project" not in repr(change)


def test_references_with_their_places() -> None:
    assert group_references(r"a\1\\2\3") == [(1, 1, 3), (3, 6, 8)]


def test_what_the_checker_refuses_does_not_compile() -> None:
    with pytest.raises(ValueError, match="is not a valid RE2"):
        step(replace={"pattern": "(?=x)"})
    with pytest.raises(ValueError, match="the pattern has no group 2"):
        step(replace={"pattern": "(x)", "text": r"\2"})


@given(st.text())
def test_an_empty_match_everywhere_keeps_the_text(value: str) -> None:
    assert rewritten(prompt(value), replace={"pattern": "()", "text": r"\1"}).prompt == value
