"""Choosing a tokenizer, and counting with a real one."""

from __future__ import annotations

import importlib

import pytest

from costlens_policy.errors import InputError
from costlens_policy.tokens import ESTIMATE, BpeOpenai, TokenCount, count, tokenizer_named


def test_by_name() -> None:
    assert tokenizer_named("estimate") is ESTIMATE
    with pytest.raises(InputError, match="unknown tokenizer `gpt`; known are `estimate` and `o200k`"):
        tokenizer_named("gpt")


def test_none_takes_the_place_of_a_missing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(InputError, match=r"costlens-policy\[tokenizer\]"):
        tokenizer_named("o200k")


def test_a_count_says_where_it_comes_from() -> None:
    assert count("hello world", ESTIMATE) == TokenCount(2, "estimate")


def test_o200k() -> None:
    pytest.importorskip("bpe_openai", reason="the extra `tokenizer` is not installed")
    real = tokenizer_named("o200k")
    assert count("hello world", real) == TokenCount(2, "o200k")
    assert real.count("") == 0
    assert real.count("<|endoftext|>") > 1
    assert real.count("a\ud800b") > 0


def test_texts_longer_than_the_package_takes() -> None:
    pytest.importorskip("bpe_openai", reason="the extra `tokenizer` is not installed")
    real = BpeOpenai()
    assert real.count("hello " * 200_000) == pytest.approx(200_000, abs=10)
