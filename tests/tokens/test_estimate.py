"""The built-in estimate: near a real tokenizer, steady, and safe with any text."""

from __future__ import annotations

import random

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


ALPHABETS = {
    "small letters": "abcdefghijklmnopqrstuvwxyz",
    "capitals": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "one letter": "x",
    "rare": "qz",
    "syllables": "la",
    "signs": "!#$%&()*+,-./:;<=>?@[]^_{|}~",
    "accents": "\u00e0\u00e9\u00ee\u00f5\u00fc\u00df\u00e7\u00f1\u00f8\u00e5",
    "Cyrillic": "\u0436\u0449\u0444\u044a\u044d\u044e",
    "Greek": "\u03bb\u03be\u03c8\u03c9",
    "Arabic": "\u0636\u0638\u063a\u062b",
    "Thai": "\u0e01\u0e02\u0e04\u0e06",
    "Han": "\u9f98\u9750\u9f49",
    "Hangul": "\ubdc1\ucb4b\ub239",
    "combining": "\u0301\u0308\u0327",
    "phonetic": "\u02c8\u0278\u0298\u01c2",
    "private use": "\ue000\uf8ff",
    "letters of mathematics": "\U0001d538\U0001d539",
    "ancient scripts": "\U00013000\U0001242b\U00010330",
    "tags": "\U000e0041\U000e0042",
    "flags": "\U0001f1e9\U0001f1ea",
    "Yi": "\ua000\ua001\ua66e",
    "invisible": "\u200b\u200d\u2060\ufeff\u00ad",
}


@pytest.mark.parametrize("kind", ALPHABETS)
def test_what_no_prose_has_is_not_a_few_tokens(kind: str, real: BpeOpenai) -> None:
    randomness = random.Random(kind)
    text = "".join(randomness.choices(ALPHABETS[kind], k=4000))
    assert ESTIMATE.count(text) >= real.count(text) / 5
    assert ESTIMATE.count(text) >= 4000 / 8


@pytest.mark.parametrize("space", [" ", "\t", "\n", "\r\n", "\u3000"])
def test_spaces_alone_count_as_many_tokens(space: str) -> None:
    assert ESTIMATE.count(space * 4000) >= 100
