"""What is written reads back as the same value."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.catalogue.yaml_text import comment, yaml_lines
from costlens_policy.source.compose import compose
from costlens_policy.source.read import source_of

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = (
    TEXT
    | st.integers(-(10**15), 10**15)
    | st.booleans()
    | st.decimals(0, 10**9, places=9).map(lambda number: number.normalize())
    | st.dates(date(1970, 1, 1))
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))


@given(st.dictionaries(TEXT, VALUES, min_size=1, max_size=4))
def test_any_value_reads_back(value: dict[str, Any]) -> None:
    composed = compose(source_of("\n".join(yaml_lines(value)) + "\n"))
    assert composed.diagnostics == ()
    assert composed.documents[0].root.to_plain() == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": {"b": 1, "c": Decimal("0.50")}}, "a: {b: 1, c: 0.5}"),
        ({"a": []}, "a: []"),
        ({"a": ["yes", "no-thing", "1.10", "x y", "Ünï"]}, 'a: ["yes", no-thing, "1.10", "x y", "Ünï"]'),
        ({"a": [{"b": {"c": True}}, {}]}, "a:\n  - b: {c: true}\n  - {}"),
        ({"day": date(2026, 1, 2), "n": "on"}, 'day: 2026-01-02\n"n": "on"'),
        ({"a": {"b": {"c": "x" * 130}}}, f"a:\n  b:\n    c: {'x' * 130}"),
    ],
)
def test_texts_are_plain_where_that_is_safe(value: dict[str, Any], text: str) -> None:
    assert "\n".join(yaml_lines(value)) == text


def test_a_comment_stays_on_its_line() -> None:
    assert comment("a\nb: c\u2028d", 2) == "  # a b: c d"
