"""A learned model: which label a text has, or how difficult it is, by the weights of its features.

The score of a label is its bias and the sum of the weights of the features that the text has, divided by the root of
the number of all its features, known or not: what is mostly unknown gives little confidence. Confidence is the softmax
of the scores, which training has calibrated (Guo et al., *On Calibration of Modern Neural Networks*, 2017).

Weights are integers, in ``UNIT``-ths of a nat, and so are sums and roots; exponentials come from tables made by
multiplication alone. So a value is the same to the last bit on every platform, in whatever order a set is walked.

The weights of all labels for one feature are one integer, label by label in lanes of 32 bits: adding these adds all
labels at once. A word's weight, with those of its beginning and its ending, is added up when the word is first met, and
then kept, so that most of the work of a text is two sums over dictionaries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from heapq import nsmallest
from math import isqrt
from struct import unpack
from typing import Any, Final, Literal, TypeAlias

from costlens_policy.frozen import frozen
from costlens_policy.signals.learned.features import FAMILIES, OF_WORDS, Features, beginning, ending, features_of

__all__ = [
    "DIFFICULTY", "FINE", "HEAVIEST", "UNIT", "LearnedModel", "Tells", "Training", "Weights", "explain",
    "heaviest_of", "probabilities", "weigh",
]  # fmt: skip

Tells: TypeAlias = Literal["task", "difficulty"]
Weights: TypeAlias = Mapping[str, Mapping[str, Mapping[str, int]]]
"""By label, family and feature."""

DIFFICULTY: Final = ("easy", "hard")
"""The classes of a model that tells the difficulty: the probability of the second is its value."""

UNIT: Final = 32
"""Weights and biases are in this part of a nat."""
FINE: Final = 1024
"""Scores are in this part of a nat."""
HEAVIEST: Final = 32_767
"""The largest weight: with at most a few thousand features of a text, sums fit into their lanes."""

_LANE: Final = 32
_HALF: Final = 1 << (_LANE - 1)
_ROOT: Final = 1 << 10
_MOST_WORDS: Final = 8
_MOST_KEPT: Final = 20_000
_LONGEST_KEPT: Final = 40


@frozen
class Training:
    """Where a model comes from. ``facts`` are figures of the training for people, such as held-out accuracy.

    ``cases`` are the distinct prompts of each label; ``data`` is the digest of prompts and labels.
    """

    date: str
    source: str
    seed: int
    data: str
    cases: Mapping[str, int]
    facts: Mapping[str, Any]


class _Words(dict[str, int]):
    """The weights of words by class, in lanes, each with those of its beginning and its ending.

    Words that the model does not know are kept, too, up to a limit: most come again.
    """

    def __init__(self, words: dict[str, int], beginnings: dict[str, int], endings: dict[str, int]) -> None:
        super().__init__()
        self._parts: Final = (words, beginnings, endings)

    def __missing__(self, word: str) -> int:
        words, beginnings, endings = self._parts
        weight = words.get(word, 0) + beginnings.get(beginning(word), 0) + endings.get(ending(word), 0)
        if len(self) < _MOST_KEPT and len(word) <= _LONGEST_KEPT:
            self[word] = weight
        return weight

    def __reduce__(self) -> tuple[Any, ...]:
        return _Words, self._parts


@frozen
class LearnedModel:
    """A linear model. ``biases`` are aligned with ``classes``; ``weights`` list only features that weigh something."""

    tells: Tells
    classes: tuple[str, ...]
    biases: tuple[int, ...]
    weights: Weights
    training: Training
    _words: _Words = field(init=False, repr=False, compare=False)
    _others: tuple[dict[str, int], ...] = field(init=False, repr=False, compare=False)
    _offset: int = field(init=False, repr=False, compare=False)
    _format: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        size = len(self.classes)
        lanes = {family: self._lanes_of(family) for family in FAMILIES}
        object.__setattr__(self, "_words", _Words(*(lanes[family] for family in OF_WORDS)))
        object.__setattr__(self, "_others", tuple(lanes[family] for family in FAMILIES[len(OF_WORDS) :]))
        object.__setattr__(self, "_offset", sum(_HALF << (_LANE * at) for at in range(size)))
        object.__setattr__(self, "_format", f"<{size}I")

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that it may give; none for a number."""
        return self.classes if self.tells == "task" else ()

    @property
    def range(self) -> tuple[float, float] | None:
        """The lowest and the highest value of a number; None for labels."""
        return (0.0, 1.0) if self.tells == "difficulty" else None

    def scores(self, features: Features) -> list[int]:
        """Return the score of each label, in parts of a nat (``FINE``)."""
        total = sum(map(self._words.__getitem__, features.words), self._offset)
        for lanes, present in zip(self._others, features[1:], strict=True):
            total += sum(map(lanes.__getitem__, lanes.keys() & present))
        root = _root_of(features.size)
        sums = unpack(self._format, total.to_bytes(4 * len(self.classes), "little"))
        return [
            (bias * FINE + (lane - _HALF) * FINE * _ROOT // root) // UNIT
            for bias, lane in zip(self.biases, sums, strict=True)
        ]

    def heaviest(self, features: Features, label: str) -> tuple[tuple[str, float], ...]:
        """Return the features that weighed most for a label, or against it, in nats, the heaviest first."""
        nats = _ROOT / (_root_of(features.size) * UNIT)
        found: dict[str, int] = {}
        for family, present in features.by_family():
            weights = self.weights[label].get(family, {})
            for feature in present:
                if weight := weights.get(feature):
                    name = shown(family, feature)
                    found[name] = found.get(name, 0) + weight
        heaviest = nsmallest(_MOST_WORDS, found.items(), key=lambda item: (-abs(item[1]), item[0]))
        return tuple((name, round(weight * nats, 3)) for name, weight in heaviest)

    def _lanes_of(self, family: str) -> dict[str, int]:
        lanes: dict[str, int] = {}
        for at, label in enumerate(self.classes):
            for feature, weight in self.weights.get(label, {}).get(family, {}).items():
                lanes[feature] = lanes.get(feature, 0) + (weight << (_LANE * at))
        return lanes


def weigh(model: LearnedModel, text: str) -> tuple[str | float, float]:
    """Return the value of a text, and how sure the model is of it.

    The value is a label, or a difficulty from 0 to 1, in steps of 0.0001. The confidence is the probability of the
    label, or of the side of 0.5 on which the difficulty is.
    """
    shares = probabilities(model.scores(features_of(text)))
    best = _best_of(shares)
    return shares[1] if model.tells == "difficulty" else model.classes[best], shares[best]


def explain(model: LearnedModel, text: str) -> tuple[tuple[str, float], ...]:
    """Return the features that weighed most for the value of a text, or against it, in nats, the heaviest first."""
    features = features_of(text)
    return model.heaviest(features, model.classes[_best_of(model.scores(features))])


def heaviest_of(model: LearnedModel, label: str, most: int = _MOST_WORDS) -> tuple[tuple[str, float], ...]:
    """Return what speaks most for a label in any text, in nats before the division by the text's size, heaviest first.

    The weight of a word is that of its beginning and its ending, too, which do not stand by themselves here.
    """
    weights = model.weights.get(label, {})
    words, beginnings, endings = (weights.get(family, {}) for family in OF_WORDS)
    found = {
        word: weight + beginnings.get(beginning(word), 0) + endings.get(ending(word), 0)
        for word, weight in words.items()
    }
    for family in FAMILIES[len(OF_WORDS) :]:
        found |= {shown(family, feature): weight for feature, weight in weights.get(family, {}).items()}
    heaviest = nsmallest(most, found.items(), key=lambda item: (-item[1], item[0]))
    return tuple((name, round(weight / UNIT, 3)) for name, weight in heaviest if weight > 0)


def probabilities(scores: list[int]) -> list[float]:
    """Return the softmax of scores, rounded to four places. Of equal scores the first label's is the best."""
    highest = max(scores)
    powers = [_exp(highest - score) for score in scores]
    total = sum(powers)
    return [round(power / total, 4) for power in powers]


def shown(family: str, feature: str) -> str:
    """Return a feature as people read it: ``writ…``, ``…ing``, ``^ write a`` for a beginning, ``form: digits 3``."""
    match family:
        case "beginnings":
            return f"{feature}…"
        case "endings":
            return f"…{feature}"
        case "first":
            return f"^ {feature}"
        case "last":
            return f"{feature} $"
        case "form":
            return f"form: {feature}"
        case _:
            return feature


def _best_of(shares: Sequence[float]) -> int:
    return max(range(len(shares)), key=shares.__getitem__)


def _root_of(size: int) -> int:
    """Return the root of a number of features, in parts of ``_ROOT``."""
    return isqrt(size * _ROOT * _ROOT)


def _powers(base: float, count: int) -> tuple[float, ...]:
    found = [1.0]
    for _ in range(count - 1):
        found.append(found[-1] * base)
    return tuple(found)


_BY_PARTS: Final = _powers(0.9990239141819757, FINE)
"""The powers of e to -1/1024."""
_BY_NATS: Final = _powers(0.36787944117144233, 32)
"""The powers of 1/e. Beyond, a label has no chance that four places would show."""


def _exp(below: int) -> float:
    """Return e to the power of a score below the highest one."""
    nats, parts = divmod(below, FINE)
    return _BY_NATS[nats] * _BY_PARTS[parts] if nats < 32 else 0.0
