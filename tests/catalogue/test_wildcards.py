"""Patterns mean what they say, and take linear time."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.catalogue.wildcards import matches

TEXTS = st.text(alphabet="ab/", max_size=12)


@given(st.text(alphabet="ab/*", max_size=8), TEXTS)
def test_a_pattern_agrees_with_its_regular_expression(pattern: str, text: str) -> None:
    expected = re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), text) is not None
    assert matches(pattern, text) is expected


@given(TEXTS)
def test_a_text_fits_itself(text: str) -> None:
    assert matches(text, text)
    assert matches("*", text)


def test_many_stars_stay_cheap() -> None:
    assert not matches("*a" * 5_000 + "b", "a" * 10_000)
