"""CL446: a name that is nearly another one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Final

from costlens_policy.assurance.findings.texts import Text, compared_texts
from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.diagnostics.model import Diagnostic, Related

__all__ = ["find_near_names"]

_FOUND: Final = Finding("CL446")
_SHORTEST: Final = 5
_SHORTEST_PLURAL: Final = 5
_LONG: Final = 64


def find_near_names(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of a text that is compared once, where others of the same attribute are the same but for one slip."""
    by_attribute: defaultdict[str, list[Text]] = defaultdict(list)
    for text in compared_texts(subject):
        if text.attribute:
            by_attribute[text.attribute].append(text)
    for attribute, texts in by_attribute.items():
        times = Counter(text.value for text in texts)
        alike = _Alike(texts)
        for text in texts:
            near = next((other for other in alike.to(text) if _is_slip(text.value, other.value)), None)
            if (
                near is not None
                and times[text.value] == 1
                and (times[near.value] > 1 or near.span.start < text.span.start or near.span.file != text.span.file)
            ):
                yield _FOUND.warning(
                    f"`{attribute}` is compared with `{text.value}` here, and with `{near.value}` elsewhere",
                    text.span,
                    "is this a typo?",
                    f"write `{near.value}`, or declare the values of `{attribute}` in the policy set",
                    [Related(near.span, "the other name")],
                )


class _Alike:
    """Texts by what two of them share of which one is a slip of the other."""

    def __init__(self, texts: Sequence[Text]) -> None:
        self._first: dict[str, tuple[int, Text]] = {}
        for at, text in enumerate(texts):
            self._first.setdefault(text.value, (at, text))
        self._by_key: defaultdict[str, list[str]] = defaultdict(list)
        for value in self._first:
            for key in _keys(value):
                self._by_key[key].append(value)

    def to(self, text: Text) -> Iterator[Text]:
        """Yield the texts that may be like one, in their order."""
        values = {value for key in _keys(text.value) for value in self._by_key[key]}
        for _, found in sorted((self._first[value] for value in values), key=itemgetter(0)):
            yield found


def _keys(word: str) -> frozenset[str]:
    """Return a word without what separates its parts, and without each of its letters."""
    missing = (word[:n] + word[n + 1 :] for n in range(len(word))) if word.isalpha() and len(word) < _LONG else ()
    return frozenset((word, _plain(word), *missing))


def _is_slip(one: str, other: str) -> bool:
    """Say whether two words are the same but for a slip.

    That is case, separators, the plural, or one letter that is exchanged, missing, or in the wrong place.
    """
    if one == other or min(len(one), len(other)) < _SHORTEST:
        return False
    if _plain(one) == _plain(other):
        return True
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
    """Return a word without its case, and without what separates its parts."""
    return word.casefold().replace("-", "").replace("_", "").replace(" ", "").replace(".", "")
