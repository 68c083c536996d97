"""Labels and numbers by words and patterns with weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from costlens_policy.frozen import frozen
from costlens_policy.patterns import compile_pattern
from costlens_policy.signals.weighed import ABSENT, Weighed
from costlens_policy.signals.words import folded, is_one_word, occurs, words_of

__all__ = ["MOST_WORDS", "Labels", "Score", "Term"]

MOST_WORDS: Final = 5
"""How many of the words that weighed most are kept."""


@frozen
class Term:
    """Words or a pattern of which each that occurs adds ``weight``; one of the two is empty."""

    words: tuple[str, ...]
    pattern: str
    weight: float

    @property
    def most(self) -> float:
        """What it adds at most."""
        return self.weight * (len(self.different) or 1)

    @property
    def different(self) -> tuple[str, ...]:
        """The words as they are looked for, each once, in whatever cases it is listed."""
        return tuple(dict.fromkeys(map(folded, self.words)))


@frozen
class Labels:
    """A label: the one whose terms weigh most, of equal ones the first by name. Its confidence is its share of all
    weights.
    """

    terms: Mapping[str, tuple[Term, ...]]

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.terms)

    def prepared(self) -> Callable[[str], Weighed]:
        """Return what weighs a text."""
        matchers = [(label, _Matcher(terms)) for label, terms in sorted(self.terms.items())]

        def weigh(text: str) -> Weighed:
            seen = _Seen(text)
            found = {label: hits for label, matcher in matchers if (hits := matcher.hits(seen))}
            if not found:
                return ABSENT
            weights = {label: sum(hits.values()) for label, hits in found.items()}
            best = max(weights, key=weights.__getitem__)
            return Weighed(best, weights[best] / sum(weights.values()), _heaviest(found[best]))

        return weigh


@frozen
class Score:
    """A number: the sum of the weights of the terms that occur."""

    terms: tuple[Term, ...]

    @property
    def range(self) -> tuple[float, float]:
        return 0.0, float(sum(term.most for term in self.terms))

    def prepared(self) -> Callable[[str], Weighed]:
        """Return what weighs a text."""
        matcher = _Matcher(self.terms)

        def weigh(text: str) -> Weighed:
            hits = matcher.hits(_Seen(text))
            return Weighed(float(sum(hits.values())), 1.0, _heaviest(hits))

        return weigh


def _heaviest(hits: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(hits.items(), key=lambda hit: -hit[1])[:MOST_WORDS])


class _Seen:
    """A text as terms look at it."""

    __slots__ = ("data", "folded", "words")

    def __init__(self, text: str) -> None:
        self.folded = folded(text)
        self.words = set(words_of(self.folded))
        self.data = text.encode("utf-8", "replace")


class _Matcher:
    """Finds which of some terms occur: single words by looking them up, phrases and patterns one by one."""

    __slots__ = ("_patterns", "_phrases", "_words")

    def __init__(self, terms: Iterable[Term]) -> None:
        self._words: dict[str, float] = {}
        self._phrases: dict[str, float] = {}
        self._patterns: list[tuple[str, Callable[[bytes], bool], float]] = []
        for term in terms:
            if term.pattern:
                self._patterns.append((term.pattern, compile_pattern(term.pattern).found, term.weight))
            for word in term.different:
                known = self._words if is_one_word(word) else self._phrases
                known[word] = known.get(word, 0.0) + term.weight

    def hits(self, seen: _Seen) -> dict[str, float]:
        """Return what occurs, each with its weight, in the order of the declaration."""
        words, text = seen.words, seen.folded
        found = {word: weight for word, weight in self._words.items() if word in words}
        found.update((phrase, weight) for phrase, weight in self._phrases.items() if occurs(phrase, text))
        for pattern, matches, weight in self._patterns:
            if matches(seen.data):
                found[pattern] = found.get(pattern, 0.0) + weight
        return found
