"""How much a text is like examples: the cosine of the sets of their words, and of the beginnings and endings of these.

Words in other forms share their beginning, so that `refunds` is like `refunded`. Scripts without spaces count by pairs
of characters. Nothing is learned and nothing downloaded; what means the same in other words is not found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from math import sqrt
from typing import Final, TypeAlias

from costlens_policy.frozen import frozen
from costlens_policy.signals.terms import MOST_WORDS
from costlens_policy.signals.weighed import ABSENT, Weighed
from costlens_policy.signals.words import folded, has_no_spaces, words_of

__all__ = ["Likeness", "Nearest"]

_Parts: TypeAlias = frozenset[str]
_NONE: Final[_Parts] = frozenset()
_BEGINNING: Final = 4
_ENDING: Final = 3
"""Letters of a word that count as its beginning and its ending, if it is longer."""


@frozen
class Nearest:
    """The label of the example that is most alike, of equal ones the first by name; its confidence is the cosine."""

    examples: Mapping[str, tuple[str, ...]]

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.examples)

    def prepared(self) -> Callable[[str], Weighed]:
        """Return what weighs a text."""
        known = [(label, parts) for label, texts in sorted(self.examples.items()) for parts in map(_parts_of, texts)]

        def weigh(text: str) -> Weighed:
            parts = _parts_of(text)
            best, label, shared = 0.0, None, frozenset[str]()
            for name, example in known:
                if (cosine := _cosine(parts, example)) > best:
                    best, label, shared = cosine, name, example
            return ABSENT if label is None else Weighed(label, best, _shared(parts, shared))

        return weigh


@frozen
class Likeness:
    """The cosine of the text and the example that is most alike, from 0 to 1."""

    examples: tuple[str, ...]

    @property
    def range(self) -> tuple[float, float]:
        return 0.0, 1.0

    def prepared(self) -> Callable[[str], Weighed]:
        """Return what weighs a text."""
        known = list(map(_parts_of, self.examples))

        def weigh(text: str) -> Weighed:
            parts = _parts_of(text)
            best = max(known, key=lambda example: _cosine(parts, example))
            return Weighed(_cosine(parts, best), 1.0, _shared(parts, best))

        return weigh


def _cosine(one: _Parts, other: _Parts) -> float:
    return len(one & other) / sqrt(len(one) * len(other)) if one and other else 0.0


def _shared(one: _Parts, other: _Parts) -> tuple[tuple[str, float], ...]:
    """Return the longest words that two have in common; each counts as much as any other."""
    words: Iterable[str] = sorted((part for part in one & other if part[0] != " "), key=lambda word: (-len(word), word))
    return tuple((word, 1.0) for word in list(words)[:MOST_WORDS])


def _parts_of(text: str) -> _Parts:
    words = frozenset(words_of(folded(text)))
    return words.union(*map(_parts_of_word, words))


@lru_cache(65_536)
def _parts_of_word(word: str) -> _Parts:
    """Return the parts of a word, marked by a space so that none is taken for a word."""
    if has_no_spaces(word):
        return frozenset([f" {word[at : at + 2]}" for at in range(len(word) - 1)])
    return frozenset((f" {word[:_BEGINNING]}-", f" -{word[-_ENDING:]}")) if len(word) > _BEGINNING else _NONE
