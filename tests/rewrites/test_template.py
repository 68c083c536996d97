"""Placeholders in texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.rewrites.template import parse_template, placeholders


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ a }}{{b}}", [("a", 0, 7), ("b", 7, 12)]),
        ("x {{ a b }} y", [("a b", 2, 11)]),
        ("{{}}", [("", 0, 4)]),
        ("{{ open", []),
        ("{ a } {{{ a }}}", [("a", 7, 14)]),
        ("{{ a\n}}", [("a", 0, 7)]),
    ],
)
def test_places(text: str, expected: list[tuple[str, int, int]]) -> None:
    assert placeholders(text) == expected


@given(st.lists(st.sampled_from(["{{", "}}", "{", "}", "a", " ", "{{ a }}"])).map("".join))
def test_a_placeholder_filled_with_itself_is_the_text(text: str) -> None:
    template = parse_template(text)
    found = {item.name: text[item.start : item.end] for item in placeholders(text)}
    assert "".join(text[item.start : item.end] for item in placeholders(text)).count("{{") == len(template.names)
    if len(found) == len(set(template.names)) == len(template.names):
        assert template.render(found) == text


def test_values_are_not_expanded() -> None:
    assert parse_template("{{ a }}{{ b }}").render({"a": "{{ b }}", "b": "x"}) == "{{ b }}x"
