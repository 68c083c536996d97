"""The built-in estimate: near a real tokenizer, steady, and safe with any text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.token_texts import TEXTS
from benchmarks.tokens import samples
from costlens_policy.tokens import ESTIMATE, BpeOpenai

SAMPLES = samples()
texts = st.one_of(st.text(), st.text(alphabet="abAB01 .,\n-éжя中한😀"), st.text(st.characters(codec="ascii")))


@pytest.fixture(scope="module")
def real() -> BpeOpenai:
    pytest.importorskip("bpe_openai", reason="the extra `tokenizer` is not installed")
    return BpeOpenai()


@pytest.mark.parametrize("kind", SAMPLES)
def test_within_fifteen_percent_of_o200k(kind: str, real: BpeOpenai) -> None:
    measured = SAMPLES[kind]
    assert sum(map(ESTIMATE.count, measured)) == pytest.approx(sum(map(real.count, measured)), rel=0.15)


@pytest.mark.parametrize("language", TEXTS)
def test_better_than_a_quarter_of_the_characters_where_that_is_bad(language: str, real: BpeOpenai) -> None:
    text = TEXTS[language]
    tokens = real.count(text)
    assert abs(ESTIMATE.count(text) - tokens) <= max(0.15 * tokens, abs(len(text) / 4 - tokens))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("a", 1), ("\ud800", 1), (" ", 1), ("\n", 1), ("hello world", 2), ("Why is the sky blue?", 6)],
)
def test_short_texts(text: str, tokens: int) -> None:
    assert ESTIMATE.count(text) == tokens


@given(texts)
def test_only_the_empty_text_has_none(text: str) -> None:
    assert (ESTIMATE.count(text) == 0) == (text == "")
    assert ESTIMATE.count(text) <= 4 * len(text)


@given(texts, texts)
def test_a_longer_text_has_hardly_fewer_and_two_together_hardly_more(one: str, other: str) -> None:
    together = ESTIMATE.count(one + other)
    assert together >= max(ESTIMATE.count(one), ESTIMATE.count(other)) - 4
    assert together <= ESTIMATE.count(one) + ESTIMATE.count(other) + 4 + 2 * min(len(one), len(other))


@given(texts)
def test_it_grows_with_repetition(text: str) -> None:
    assert ESTIMATE.count(text * 40) >= 10 * ESTIMATE.count(text) - 10
