"""CL446: a name that is nearly another one."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.findings.texts import Text, catalogue_words, compared_texts, read_keys, tested_texts
from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.diagnostics.model import Diagnostic, Related

__all__ = ["find_near_names"]

_FOUND: Final = Finding("CL446")
_SHORTEST: Final = 5
_SHORTEST_ALIKE: Final = 2
_ALIKE: Final = str.maketrans("аеорсухіјѕԁοαν", "aeopcyxijsdoav")  # noqa: RUF001
"""Letters of Cyrillic and Greek that look like Latin ones."""
_DIGITS: Final = re.compile(r"(?<=[a-z])[015](?=[a-z])")
_LETTERS: Final = {"0": "o", "1": "l", "5": "s"}
_SHORTEST_PLURAL: Final = 5
_LONG: Final = 64


def find_near_names(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of a name that is there once, where others of its kind are the same but for one slip."""
    by_kind: defaultdict[str, list[Text]] = defaultdict(list)
    for text in (*compared_texts(subject), *tested_texts(subject), *read_keys(subject), *catalogue_words(subject)):
        if text.attribute:
            by_kind[text.attribute].append(text)
    for kind, texts in by_kind.items():
        times = Counter(text.value for text in texts)
        keys = {value: _keys(value) for value in times}
        by_key: defaultdict[str, list[int]] = defaultdict(list)
        for at, text in enumerate(texts):
            for key in keys[text.value]:
                by_key[key].append(at)
        for text in texts:
            if times[text.value] > 1:
                continue
            alike = sorted({at for key in keys[text.value] for at in by_key[key]})
            near = next((texts[at] for at in alike if _is_near(text, texts[at])), None)
            if near is not None and (
                times[near.value] > 1 or near.span.start < text.span.start or near.span.file != text.span.file
            ):
                yield _FOUND.warning(
                    f"`{kind}` is compared with `{text.value}` here, and with `{near.value}` elsewhere"
                    if text.is_compared
                    else f"{kind} is `{text.value}` here, and `{near.value}` elsewhere",
                    text.span,
                    "is this a typo?",
                    f"write `{near.value}`"
                    + (f", or declare the values of `{kind}` in the policy set" if text.is_compared else ""),
                    [Related(near.span, "the other name")],
                )


def _keys(word: str) -> frozenset[str]:
    """Return what two words have in common of which one may be a slip for the other."""
    shorter = (word[:n] + word[n + 1 :] for n in range(len(word) if len(word) <= _LONG else 0))
    return frozenset({f"plain {_plain(word)}", f"letters {''.join(sorted(word))}", word, *shorter})


def _is_near(text: Text, other: Text) -> bool:
    """Say whether one text is a slip for another: not where one expression takes a word in several cases on purpose."""
    if text.within is not None and text.within == other.within and text.value.lower() == other.value.lower():
        return False
    return _is_slip(text.value, other.value)


def _is_slip(one: str, other: str) -> bool:
    """Say whether two words are the same but for a slip.

    That is case, separators, the plural, or one letter that is exchanged, missing, or in the wrong place.
    """
    if one == other or min(len(one), len(other)) < _SHORTEST_ALIKE:
        return False
    if _plain(one) == _plain(other):
        return True
    if min(len(one), len(other)) < _SHORTEST:
        return False
    if not (one.isalpha() and other.isalpha()):
        return False  # `gpt-4` and `gpt-5`, `team1` and `team2` are meant
    short, long = sorted((one, other), key=len)
    if long == f"{short}s" and len(short) >= _SHORTEST_PLURAL:
        return True
    if len(short) == len(long):
        differ = [n for n, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
        swapped = len(differ) == 2 and differ[1] == differ[0] + 1 and one[differ[0]] == other[differ[1]]
        return swapped and one[differ[1]] == other[differ[0]]
    missing = any(long[:n] + long[n + 1 :] == short for n in range(1, len(long) - 1))
    return len(long) == len(short) + 1 and missing and not long.startswith(short)


def _plain(word: str) -> str:
    """Return a word without its case, without what separates its parts, and in the letters that it looks like."""
    latin = unicodedata.normalize("NFKC", word).casefold().translate(_ALIKE)
    alike = _DIGITS.sub(lambda digit: _LETTERS[digit[0]], latin)
    return alike.replace("-", "").replace("_", "").replace(" ", "").replace(".", "")
