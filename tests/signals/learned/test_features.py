"""Features of texts: the families, bounds, and that quick ways are the same as the plain one."""

from __future__ import annotations

import os
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.signals.learned import features
from costlens_policy.signals.learned.features import FAMILIES, HEAD, TAIL, Features, features_of

_TEXTS = st.text(
    st.one_of(st.sampled_from(" \n\r\t.?!aAbBzZ019_-$()é天气Ⅷ\uff46\x1c\ud800"), st.characters()), max_size=60
)


def _by_family(text: str) -> dict[str, set[str]]:
    return {family: set(found) for family, found in features_of(text).by_family()}


def test_families_of_a_text() -> None:
    found = _by_family("Write a def f_1(x):\n\nreturn 42?")
    assert {"write", "a", "def", "f", "_", "0", "(", "\n\n", "return", "00", "?"} <= found["words"]
    assert {"write a", ": \n\n", "00 ?"} <= found["pairs"]
    assert "writ" in found["beginnings"]
    assert "ite" in found["endings"]
    assert found["first"] == {"write", "a", "def", "write a"}
    assert found["last"] == {"return", "00", "?"}
    assert {"begins upper", "questions 1", "digits 2", "capitals 1", "lines 2"} <= found["form"]


def test_scripts_without_spaces_are_read_by_character() -> None:
    found = _by_family("今天天气如何")
    assert {"今", "天", "气"} <= found["words"]
    assert "天 气" in found["pairs"]


def test_letters_are_normalized() -> None:
    assert _by_family("\uff24\uff25\uff26 ①")["words"] == {"def", "0"}


def test_choices_are_a_form() -> None:
    assert "choices B." in _by_family("Which?\nA. this\nB. that")["form"]
    assert "choices None" in _by_family("Which? A or B.")["form"]


def test_an_empty_text_has_a_size() -> None:
    assert features_of("").size >= 1
    assert Features(set(), set(), set(), set(), set()).size == 1


def test_the_size_counts_every_feature() -> None:
    found = features_of("Write a def f_1(x):")
    assert found.size == sum(len(list(present)) for _, present in found.by_family())


def test_the_middle_of_a_long_text_is_not_read() -> None:
    head, tail = "a " * (HEAD // 2), " z" * (TAIL // 2)
    assert features_of(head + "middle " * 200 + tail) == features_of(head + "nothing" * 200 + tail)


@given(_TEXTS)
def test_plain_texts_have_the_features_that_the_general_way_gives(text: str) -> None:
    plain = text.encode("ascii", "ignore").decode()
    assert features_of(plain) == _generally(plain)


def _generally(text: str) -> Features:
    quick = features._TOKEN_OF_ASCII
    try:
        features._TOKEN_OF_ASCII = features._TOKEN  # type: ignore[misc]
        return features_of(text)
    finally:
        features._TOKEN_OF_ASCII = quick  # type: ignore[misc]


@given(_TEXTS)
def test_every_text_has_features(text: str) -> None:
    found = features_of(text)
    assert [family for family, _ in found.by_family()] == list(FAMILIES)
    assert not any("" in present for family, present in found.by_family() if family not in ("first", "last"))


def test_features_do_not_depend_on_the_process() -> None:
    """Sets are walked in another order under another seed of hashes; what is in them is the same."""
    read = "[sorted(found) for _, found in features_of('Añb 天 1?').by_family()]"
    code = f"from {features.__name__} import features_of; print({read})"
    runs = {_printed(code, seed) for seed in ("1", "2")}
    assert len(runs) == 1


def _printed(code: str, seed: str) -> str:
    command = [sys.executable, "-X", "utf8", "-c", code]
    run = subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True)
    return run.stdout.decode()
