"""Suites that programs write: what was written is what is read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from costlens_policy.source.compose import compose
from costlens_policy.source.read import source_of
from costlens_policy.testing.written import WrittenCase, written_suite

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)


def read(case: WrittenCase) -> Any:
    found = compose(source_of(written_suite("t", "set.yaml", None, [case]), "t.yaml"))
    assert not [item for item in found.diagnostics if item.code == "CL005" or item.is_error]
    return found.documents[0].root.to_plain()["cases"][0]


@settings(max_examples=40)
@given(TEXTS, TEXTS)
@example("\U0001f600\n", "\U0001f600")
@example("\0\x7f\x85", "\u2028\ufeff\u200b")
@example('\\U0001f600 "\\n"', "on")
@example("\U000e0001", "a: b # c")
def test_any_text_is_read_as_it_was(prompt: str, word: str):
    case = WrittenCase("c", {"prompt": prompt, "metadata": {word: [prompt]}}, {"prompt": prompt}, {})
    found = read(case)
    assert found["request"] == {"prompt": prompt, "metadata": {word: [prompt]}}
    assert found["expect"] == {"prompt": prompt}


@pytest.mark.parametrize("character", ["\0", "\x1b", "\u2028", "\U000e0001", "\r", "\ufeff", "\x85"])
def test_a_comment_stays_on_its_line(character: str):
    assert read(WrittenCase("c", {}, {}, {}, comments=(f"kills: `a{character}b`",)))["name"] == "c"
