"""How well a learned signal tells prompts that it has not seen, and how far its confidence can be trusted."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import numpy as np

from costlens_policy.fit.learning.labeled import Labeled
from costlens_policy.fit.learning.logistic import softmax
from costlens_policy.fit.measurements import Flags, Floats, Places
from costlens_policy.frozen import frozen
from costlens_policy.intervals import Estimate, wilson

__all__ = ["HeldOut", "Sure", "temperature_of"]

_BINS: Final = 10
_CONFIDENCES: Final = (0.5, 0.7, 0.8, 0.9, 0.95)


@frozen
class Sure:
    """What a ``min_confidence`` leaves: the share of prompts with a value, and the share of these that is right."""

    min_confidence: float
    share: float
    accuracy: float


@frozen(eq=False)
class HeldOut:
    """What was told of each prompt by a model that had not seen it.

    ``shares`` are calibrated on the other folds, ``right`` says where the label is the true one (for a difficulty, the
    side of 0.5). ``temperature`` is what calibrates the model of all prompts; ``raw_error`` and ``error`` are the
    expected calibration error before and after, from 0 to 1. ``skill`` is the share of the squared error of always
    saying what is frequent that the signal takes away (Brier skill score): 0 or less means that it tells nothing.
    """

    labeled: Labeled
    shares: Floats
    right: Flags
    temperature: float
    raw_error: float
    error: float
    skill: float

    @staticmethod
    def of(labeled: Labeled, scores: Floats, fold_of: Places) -> HeldOut:
        """Assess scores. Each fold is calibrated by the temperature of the others."""
        targets = np.array(labeled.shares)
        shares = np.zeros_like(scores)
        for fold in np.unique(fold_of):
            aside = fold_of == fold
            shares[aside] = softmax(scores[aside] / temperature_of(scores[~aside], targets[~aside])[0])
        right = shares.argmax(axis=1) == targets.argmax(axis=1)
        squared = ((shares - targets) ** 2).sum()
        frequent = ((targets.mean(axis=0) - targets) ** 2).sum()
        return HeldOut(
            labeled, shares, right, temperature_of(scores, targets)[0], _error(softmax(scores), targets),
            _error(shares, targets), 1.0 - float(squared / frequent),
        )  # fmt: skip

    @property
    def confidences(self) -> Floats:
        """How sure the signal was of each prompt."""
        found: Floats = self.shares.max(axis=1)
        return found

    @property
    def values(self) -> tuple[str | float, ...]:
        """What the signal told of each prompt: a task, or a difficulty."""
        if self.labeled.tells == "difficulty":
            return tuple(float(share) for share in self.shares[:, 1])
        return tuple(self.labeled.classes[at] for at in self.shares.argmax(axis=1))

    @property
    def accuracy(self) -> Estimate:
        """The share of prompts that were told right."""
        return wilson(float(self.right.mean()), len(self.right))

    @property
    def most_frequent(self) -> float:
        """The accuracy of always saying what is most frequent."""
        return max(self.labeled.cases.values()) / len(self.right)

    @property
    def by_class(self) -> dict[str, tuple[int, float, float]]:
        """For each class, how many prompts are of it, how many of these were told (recall), and how many of those told
        are of it (precision)."""
        true, told = np.array(self.labeled.shares).argmax(axis=1), self.shares.argmax(axis=1)
        return {
            name: (
                int((true == at).sum()),
                float(self.right[true == at].mean()) if (true == at).any() else 0.0,
                float(self.right[told == at].mean()) if (told == at).any() else 0.0,
            )
            for at, name in enumerate(self.labeled.classes)
        }

    @property
    def confused(self) -> list[tuple[str, str, int]]:
        """The true class, the one told, and how often, most often first."""
        true, told = np.array(self.labeled.shares).argmax(axis=1), self.shares.argmax(axis=1)
        pairs = Counter((int(a), int(b)) for a, b in zip(true, told, strict=True) if a != b)
        names = self.labeled.classes
        return [(names[a], names[b], count) for (a, b), count in pairs.most_common()]

    @property
    def told(self) -> dict[str, dict[str, int]]:
        """By the class that was told with some confidence, how many prompts were of which class."""
        sure = self.confidences >= _CONFIDENCES[0]
        true, told = np.array(self.labeled.shares)[sure].argmax(axis=1), self.shares[sure].argmax(axis=1)
        counts = Counter(zip(map(int, told), map(int, true), strict=True))
        names = self.labeled.classes
        return {
            name: {names[b]: count for (a, b), count in sorted(counts.items()) if a == at}
            for at, name in enumerate(names)
        }

    def mistaken_for(self, name: str) -> str:
        """Return what a class is most often mistaken for, and how often; empty where it never is."""
        found = next(((told, count) for true, told, count in self.confused if true == name), None)
        return "" if found is None else f"{found[0]} ({found[1]:,})"

    @property
    def sure(self) -> tuple[Sure, ...]:
        """What different values of ``min_confidence`` leave."""
        found = []
        for least in _CONFIDENCES:
            kept = self.confidences >= least
            if kept.any():
                found.append(Sure(least, float(kept.mean()), float(self.right[kept].mean())))
        return tuple(found)

    @property
    def verdict(self) -> str:
        """A plain sentence where the data does not support the signal, or empty."""
        if self.labeled.tells == "difficulty":
            return "" if self.skill > 0.01 else "this data does not support a signal of difficulty"
        if self.accuracy.low > self.most_frequent:
            return ""
        return "this data does not support a signal of the task: always taking the most frequent one is as good"

    def facts(self) -> dict[str, Any]:
        """Return the figures for people that a model's file keeps."""
        accuracy = self.accuracy
        return {
            "held_out": {
                "accuracy": round(accuracy.value, 4),
                "interval": [round(accuracy.low, 4), round(accuracy.high, 4)],
                "most_frequent": round(self.most_frequent, 4),
                "calibration_error": round(self.error, 4),
                "skill": round(self.skill, 4),
            },
            "temperature": round(self.temperature, 4),
            **({"told": self.told} if self.labeled.tells == "task" else {}),
        }


def temperature_of(scores: Floats, targets: Floats) -> tuple[float, float]:
    """Return the temperature with the least loss, and that loss in nats (Guo et al., 2017), by golden section."""

    def loss(power: float) -> float:
        shares = softmax(scores / np.exp(power))
        return -float((targets * np.log(np.maximum(shares, 1e-12))).sum()) / len(targets)

    low, high, part = -3.0, 3.0, (np.sqrt(5.0) - 1.0) / 2.0
    for _ in range(40):
        left, right = high - part * (high - low), low + part * (high - low)
        if loss(left) <= loss(right):
            high = right
        else:
            low = left
    middle = (low + high) / 2
    return float(np.exp(middle)), loss(middle)


def _error(shares: Floats, targets: Floats) -> float:
    """Return the expected calibration error: how far confidence and truth are apart, over ten bins of confidence."""
    told = shares.argmax(axis=1)
    rows = np.arange(len(shares))
    sure, true = shares[rows, told], targets[rows, told]
    bins = np.minimum((sure * _BINS).astype(int), _BINS - 1)
    gaps = np.bincount(bins, sure - true, _BINS)
    return float(np.abs(gaps).sum() / len(shares))
